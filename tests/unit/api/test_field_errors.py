"""Errors of fields: they point to what is there, and say in our words what is wrong and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from imagetasks.api import order_request
from imagetasks.api.field_errors import ALLOWED
from imagetasks.errors import InvalidOrder
from imagetasks.tasks.task import fingerprint
from tests.support.orders import (
    IMAGE_URL,
    SMALLEST_INPUT,
    UPLOAD_URL,
    errors_by_pointer,
    order_body,
    parse_order,
)

BODY = order_body()


@pytest.mark.parametrize(
    ("body", "pointer", "told"),
    [
        (
            {"input": SMALLEST_INPUT},
            "/model",
            "`model` is missing; `model` must be one of gpt-image-1",
        ),
        (
            {"model": "gpt-image-2", "input": []},
            "/input",
            "`input` is an array; `input` must be an",
        ),
        ({"model": "gpt-image-2", "input": "x"}, "/input", "`input` is a string"),
        (
            order_body(prompt=7),
            "/input/prompt",
            "`prompt` is a number; `prompt` must be a string of 1",
        ),
        (order_body(prompt=None), "/input/prompt", "`prompt` is missing"),
        (
            order_body(prompt=""),
            "/input/prompt",
            "`prompt` is empty; `prompt` must be a string of 1 to",
        ),
        (order_body(prompt="x" * 20_001), "/input/prompt", "`prompt` has 20,001 characters"),
        (order_body(prompt="\ud83d"), "/input/prompt", "is not Unicode text"),
        (order_body(quality=1), "/input/quality", "must be one of low, medium, high"),
        (order_body(quality=True), "/input/quality", "`quality` is a boolean"),
        (
            order_body(size={}),
            "/input/size",
            "`size` is an object; `size` must be auto, one of 1:1",
        ),
        (order_body(image_urls=IMAGE_URL), "/input/image_urls", "`image_urls` is a string"),
        (order_body(image_urls=[7]), "/input/image_urls/0", "an entry in `image_urls` is a number"),
        (
            order_body(image_urls=[IMAGE_URL] * 17),
            "/input/image_urls",
            "`image_urls` has 17 entries",
        ),
        (
            BODY | {"metadata": []},
            "/metadata",
            "`metadata` is an array; `metadata` must be an object",
        ),
        (BODY | {"metadata": {"": "x"}}, "/metadata/", "a name in `metadata` is empty"),
        (BODY | {"metadata": {"a": 7}}, "/metadata/a", "an entry in `metadata` is a number"),
        (BODY | {"metadata": {"a": None}}, "/metadata/a", "an entry in `metadata` is null"),
        (BODY | {"metadata": {"0": []}}, "/metadata/0", "an entry in `metadata` is an array"),
        (
            BODY | {"metadata": {"x" * 65: "y"}},
            "/metadata",
            "a name in `metadata` has 65 characters",
        ),
        (
            BODY | {"metadata": {"a/b~": 1}},
            "/metadata/a~1b~0",
            "an entry in `metadata` is a number",
        ),
        (
            BODY | {"metadata": {"model": 1}},
            "/metadata/model",
            "an entry in `metadata` is a number",
        ),
        (BODY | {"metadata": {"\ud83d": "x"}}, "/metadata", "has a name that is not Unicode text"),
        (
            BODY | {"metadata": dict.fromkeys("abcdefghijklmnopq", "x")},
            "/metadata",
            "has 17 entries",
        ),
        (
            BODY | {"max_credits": "5"},
            "/max_credits",
            "`max_credits` is a string; `max_credits` must",
        ),
        (BODY | {"max_credits": 0}, "/max_credits", "`max_credits` is too small"),
        (BODY | {"callback_url": 1}, "/callback_url", "`callback_url` is a number"),
        (
            BODY | {"callback_url": "x" * 2049},
            "/callback_url",
            "`callback_url` has 2,049 characters",
        ),
        (BODY | {"x" * 65: 1}, "", "unknown field, allowed are model, input"),
        (BODY | {"": 1}, "/", "unknown field, allowed are model, input"),
        (BODY | {"[key]": 1}, "/[key]", "unknown field, allowed are model, input"),
        (
            {"model": "gpt-image-2", "input": SMALLEST_INPUT | {"[key]": 1}},
            "/input/[key]",
            "unknown field, allowed are prompt, quality",
        ),
        (
            BODY | {"metadata": {"[key]": 7}},
            "/metadata/[key]",
            "an entry in `metadata` is a number",
        ),
        (
            BODY | {"metadata": {"[key]": "x" * 257}},
            "/metadata/[key]",
            "an entry in `metadata` has 257 characters",
        ),
    ],
    ids=range(34),
)
def test_error_names_the_field_and_what_is_allowed(body: object, pointer: str, told: str) -> None:
    errors = errors_by_pointer(body)

    assert list(errors) == [pointer]
    assert told in errors[pointer]
    assert "Input should" not in errors[pointer]


@pytest.mark.parametrize(
    ("body", "pointer", "meant"),
    [
        (BODY | {"prompt": "x"}, "/prompt", "prompt in `input`"),
        (BODY | {"aspectRatio": "3:2"}, "/aspectRatio", "size in `input`"),
        (BODY | {"imageUrls": [IMAGE_URL]}, "/imageUrls", "image_urls in `input`"),
        (BODY | {"webhook_url": IMAGE_URL}, "/webhook_url", "callback_url"),
        (order_body(webhook_url=IMAGE_URL), "/input/webhook_url", "callback_url beside `input`"),
        (order_body(callBackUrl=IMAGE_URL), "/input/callBackUrl", "callback_url beside `input`"),
        (order_body(metadata={}), "/input/metadata", "metadata beside `input`"),
        (order_body(image_input=[]), "/input/image_input", "image_urls"),
    ],
    ids=range(8),
)
def test_field_in_the_wrong_place_is_told_the_right_one(
    body: object, pointer: str, meant: str
) -> None:
    errors = errors_by_pointer(body)

    assert list(errors) == [pointer]
    assert errors[pointer].endswith(f"; did you mean {meant}?")


def test_field_of_an_order_is_not_suggested_for_an_upload() -> None:
    with pytest.raises(InvalidOrder) as invalid:
        order_request.parse_upload(b'{"content_type": "image/png", "size": 7, "image": 1}')

    assert {each["detail"] for each in invalid.value.problems} == {
        "unknown field, allowed are content_type"
    }


def test_every_field_of_a_body_has_a_sentence_that_says_what_is_allowed() -> None:
    models = (order_request.CreateTaskRequest, order_request.CreateUploadRequest)

    assert {name for model in models for name in model.model_fields} == {"model", *ALLOWED}


@pytest.mark.parametrize("limit", [10**308, 1e308])
def test_huge_limit_is_a_limit(limit: float) -> None:
    assert parse_order(BODY | {"max_credits": limit}).max_credits == pytest.approx(limit)


def test_limit_beyond_a_double_is_refused_in_our_words() -> None:
    errors = errors_by_pointer(BODY | {"max_credits": 10**400})

    assert errors == {"/max_credits": "is not a finite number"}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("data:image/png;base64,AAAA", "POST /v1/uploads"),
        ("data:image/png;base64," + "A" * 100_000, "POST /v1/uploads"),
        ("DATA:,", "POST /v1/uploads"),
        ("https://example.com/" + "x" * 2029, "has 2,049 characters"),
        ("https://example.com/a b.png", "percent-encoded"),
        ("https://example.com/\u00fc.png", "percent-encoded"),
        ("https://example.com/a.png\n", "percent-encoded"),
        ("https://b\u00fccher.example/a.png", "percent-encoded"),
        ("https://b\u00fccher.example/a.png", "in a host name, b\u00fccher is xn--bcher-kva"),
        ("https://example.com/a\\b.png", "percent-encoded"),
        (" data:image/png;base64,AAAA", "POST /v1/uploads"),
        (
            "http://example.com/a.png",
            "must be a public https address, upload://{id}, task:{task_id}/{n}",
        ),
    ],
    ids=range(12),
)
def test_address_that_cannot_be_used_is_told_what_to_do(url: str, told: str) -> None:
    errors = errors_by_pointer(order_body(image_urls=[url, IMAGE_URL, url]))

    assert list(errors) == ["/input/image_urls/0", "/input/image_urls/2"]
    assert all(told in each for each in errors.values())


def test_callback_url_that_needs_percent_encoding_is_told_so() -> None:
    errors = errors_by_pointer(BODY | {"callback_url": "https://shop.example/a b"})

    assert "percent-encoded" in errors["/callback_url"]


@pytest.mark.parametrize(
    "prompt",
    [
        " \n\t",
        "\u200b",
        "\u200b\u200d\u2060\ufeff",
        "\u0000\u0007",
        "\u0301\u0308",
        "\ufe0f",
        "\u202e \u202c",
        "\u00ad",
        "\u2003\u3000",
        "\u3164\u115f\u1160\uffa0\u2800",
        "\U000e0020\U000e007f",
        "\u2065\ufff0\U000e0fff",
        "\U0001d159",
    ],
    ids=ascii,
)
def test_prompt_without_a_visible_character_is_blank(prompt: str) -> None:
    assert "blank" in errors_by_pointer(order_body(prompt=prompt))["/input/prompt"]


@pytest.mark.parametrize("prompt", [".", "\u200bx", "灯", "🗼", "e\u0301", "-", "👨\u200d👩", "٣"])
def test_prompt_with_a_visible_character_is_not_blank(prompt: str) -> None:
    assert parse_order(order_body(prompt=prompt)).input["prompt"] == prompt


def test_null_is_an_absent_field_wherever_a_field_is_optional() -> None:
    absent: dict[str, Any] = dict.fromkeys(("quality", "size", "resolution", "image_urls"))
    outer = dict.fromkeys(("metadata", "max_credits", "callback_url"))

    assert parse_order(order_body(**absent) | outer) == parse_order(BODY)
    assert order_request.order_fingerprint(
        order_body(**absent) | outer
    ) == order_request.order_fingerprint(BODY)


def test_fingerprint_is_of_the_order_as_the_caller_wrote_it() -> None:
    other = order_body(image_urls=[UPLOAD_URL])

    assert order_request.order_fingerprint(BODY) == fingerprint(BODY)
    assert order_request.order_fingerprint(BODY | {"max_credits": 1}) == fingerprint(BODY)
    assert order_request.order_fingerprint(other) != fingerprint(BODY)
