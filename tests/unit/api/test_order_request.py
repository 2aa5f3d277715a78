"""Validation of orders: invalid fields are named before a credit is spent."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from imagetasks.errors import InvalidOrder
from imagetasks.poyo.model_catalog import model
from tests.support.orders import (
    IMAGE_URL,
    SMALLEST_INPUT,
    errors_by_pointer,
    order_body,
    order_of,
    parse_order,
)


def test_smallest_order_is_sent_as_it_is_and_poyos_defaults_are_told() -> None:
    order = order_of(order_body())

    assert order.input == SMALLEST_INPUT
    assert order.defaults == {"quality": "low", "size": "auto", "resolution": "1K"}


def test_complete_order_is_passed_to_poyo_unchanged() -> None:
    full = {"quality": "high", "size": "16:9", "resolution": "4K", "image_urls": [IMAGE_URL]}
    order = order_of(
        order_body("gpt-image-2-edit", **full) | {"metadata": {"a": "b"}, "max_credits": 64.16}
    )

    assert order.input == SMALLEST_INPUT | full
    assert order.metadata == {"a": "b"}
    assert (order.estimated_credits, order.credits_exact) == (Decimal("64.16"), True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"\xff\xfe", ""),
        (b"null", ""),
        (b"[]", ""),
        (b'"x"', ""),
        (b"[" * 100_000, ""),
        (b'{"model":' + b"1" * 5000 + b"}", "/model"),
        ({"input": SMALLEST_INPUT}, "/model"),
        ({"model": "gpt-image-2"}, "/input"),
        ({"model": 7, "input": SMALLEST_INPUT}, "/model"),
        ({"model": None, "input": SMALLEST_INPUT}, "/model"),
        (order_body("gpt-image-1"), "/model"),
        ({"model": "gpt-image-2", "input": []}, "/input"),
        (order_body(prompt=""), "/input/prompt"),
        (order_body(prompt=" \n\t"), "/input/prompt"),
        (order_body(prompt=7), "/input/prompt"),
        (order_body(prompt=None), "/input/prompt"),
        (order_body(prompt="x" * 20_001), "/input/prompt"),
        (order_body(prompt="a \ud83d b"), "/input/prompt"),
        (order_body(quality="ultra"), "/input/quality"),
        (order_body(quality="LOW"), "/input/quality"),
        (order_body(resolution="8K"), "/input/resolution"),
        (order_body(resolution="2k"), "/input/resolution"),
        (order_body(size="7:5"), "/input/size"),
        (order_body(size="1024x1024"), "/input/size"),
        (order_body(size=1024), "/input/size"),
        (order_body("gpt-image-2-edit"), "/input/image_urls"),
        (order_body(image_urls=IMAGE_URL), "/input/image_urls"),
        (order_body(image_urls=[IMAGE_URL] * 17), "/input/image_urls"),
        (order_body(image_urls=[IMAGE_URL, 7]), "/input/image_urls/1"),
        (order_body(image_urls=["https://example.com/" + "x" * 2048]), "/input/image_urls/0"),
        (order_body() | {"metadata": {"a": 7}}, "/metadata/a"),
        (order_body() | {"metadata": {"a": "x" * 257}}, "/metadata/a"),
        (order_body() | {"metadata": {str(n): "x" for n in range(17)}}, "/metadata"),
        (order_body() | {"max_credits": 0}, "/max_credits"),
        (order_body() | {"max_credits": -1}, "/max_credits"),
        (order_body() | {"max_credits": "5"}, "/max_credits"),
        (order_body() | {"max_credits": True}, "/max_credits"),
        (order_body() | {"max_credits": 1.99}, "/max_credits"),
        (b'{"model":"gpt-image-2","input":{"prompt":"x"},"max_credits":NaN}', "/max_credits"),
    ],
    ids=range(40),
)
def test_invalid_field_is_named_by_its_pointer(body: object, pointer: str) -> None:
    errors = errors_by_pointer(body)

    assert list(errors) == [pointer]
    assert errors[pointer]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "data:image/png;base64,AAAA",
        "ftp://example.com/a.png",
        "upload://a",
        "//example.com/a.png",
        "example.com/a.png",
        "https://localhost/a.png",
        "https://host/a.png",
        "https://printer.local/a.png",
        "https://127.0.0.1/a.png",
        "https://10.0.0.1./a.png",
        "https://[::1]/a.png",
        "https://user:pass@example.com/a.png",
        "https://example.com@evil/a.png",
        "https://example.com/a\nb.png",
        "https://example.com/a b.png",
        "https://example.com/\u00fc.png",
        " https://example.com/a.png",
        "https://[broken/a.png",
        "https://",
        "",
    ],
)
def test_image_url_that_poyo_cannot_fetch_is_rejected(url: str) -> None:
    assert list(errors_by_pointer(order_body(image_urls=[IMAGE_URL, url]))) == [
        "/input/image_urls/1"
    ]


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("aspect_ratio", "size"),
        ("ratio", "size"),
        ("images", "image_urls"),
        ("image", "image_urls"),
        ("image_url", "image_urls"),
        ("Prompt", "prompt"),
        ("qualty", "quality"),
        ("resolutoin", "resolution"),
    ],
)
def test_unknown_field_is_rejected_with_the_field_that_was_probably_meant(
    field: str, meant: str
) -> None:
    errors = errors_by_pointer(order_body(**{field: "x"}))

    assert errors[f"/input/{field}"].endswith(f"did you mean {meant}?")


def test_unknown_field_like_no_other_is_rejected_with_the_allowed_fields() -> None:
    assert errors_by_pointer(order_body(zzz=1))["/input/zzz"].endswith("image_urls")
    assert "metadata" in errors_by_pointer(order_body() | {"zzz": 1})["/zzz"]


def test_all_invalid_fields_are_named_in_one_response() -> None:
    errors = errors_by_pointer(order_body(quality="x", resolution="9K", image_urls=["ftp://x"]))

    assert set(errors) == {"/input/quality", "/input/resolution", "/input/image_urls/0"}


def test_errors_do_not_repeat_the_callers_values() -> None:
    canary = "canary-value"
    bodies: list[object] = [
        order_body(prompt=[canary]),
        order_body(quality=canary),
        order_body(size=canary),
        order_body(image_urls=[f"ftp://{canary}"]),
        order_body(canary),
        order_body() | {"metadata": {"a": [canary]}},
        canary.encode(),
    ]
    for body in bodies:
        assert canary not in "".join(errors_by_pointer(body).values())


def test_thousands_of_unknown_fields_get_a_short_and_quick_response() -> None:
    unknown = {f"field{n}": n for n in range(20_000)} | {"f" * 500_000: 1}
    began = time.process_time()

    with pytest.raises(InvalidOrder) as invalid:
        parse_order({"model": "gpt-image-2", "input": SMALLEST_INPUT | unknown})

    assert time.process_time() - began < 3
    assert len(json.dumps(list(invalid.value.problems))) < 20_000


@pytest.mark.parametrize("max_credits", [2, 2.0, 1e9])
def test_max_credits_at_or_above_the_estimate_is_accepted(max_credits: float) -> None:
    assert parse_order(order_body() | {"max_credits": max_credits}).max_credits == max_credits


def test_long_prompt_in_any_script_is_accepted() -> None:
    prompt = "灯塔🗼" * 5000

    assert parse_order(order_body(prompt=prompt)).input["prompt"] == prompt


@pytest.mark.parametrize("field", ["prompt", "size", "quality", "image_urls", "n", "input_"])
def test_unknown_field_beside_the_input_is_rejected_too(field: str) -> None:
    assert "unknown field" in errors_by_pointer(order_body() | {field: "x"})[f"/{field}"]


@pytest.mark.parametrize("quality", ["low", "medium", "high"])
@pytest.mark.parametrize(
    ("resolution", "size"), [("1K", "1:1"), ("2K", "1:1"), ("4K", "1:1"), ("4K", "16:9")]
)
def test_max_credits_is_exact_to_a_hundredth_of_a_credit(
    quality: str, resolution: str, size: str
) -> None:
    image_input = {"quality": quality, "resolution": resolution, "size": size}
    price = model("gpt-image-2").price(image_input).credits

    assert parse_order(
        order_body(**image_input) | {"max_credits": float(price)}
    ).max_credits == float(price)
    errors = errors_by_pointer(
        order_body(**image_input) | {"max_credits": float(price - Decimal("0.01"))}
    )
    assert errors == {"/max_credits": f"this order is estimated at {price} credits"}


def test_invalid_order_with_a_limit_is_told_what_is_invalid_and_not_priced() -> None:
    body = order_body(quality="ultra", resolution="8K") | {"max_credits": 0.01}

    assert set(errors_by_pointer(body)) == {"/input/quality", "/input/resolution"}
