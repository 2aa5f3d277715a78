"""What a caller may ask for: wrong fields are named before a credit is spent."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from imagetasks import order, pricing
from imagetasks.errors import InvalidOrder

GOOD: dict[str, Any] = {"prompt": "A lighthouse"}
URL = "https://example.com/a.png"


def parsed(body: object) -> order.TaskRequest:
    return order.parse(body if isinstance(body, bytes) else json.dumps(body).encode())


def wrong(body: object) -> dict[str, str]:
    """What is wrong with it, by pointer."""
    with pytest.raises(InvalidOrder) as invalid:
        parsed(body)
    return {each["pointer"]: each["detail"] for each in invalid.value.problems}


def of(model: str = "gpt-image-2", **wish: object) -> dict[str, object]:
    return {"model": model, "input": GOOD | wish}


def test_the_smallest_order_has_poyos_defaults() -> None:
    wish = order.poyo_input(parsed(of()))

    assert wish == GOOD | {"quality": "low", "size": "auto", "resolution": "1K"}


def test_a_full_order_is_passed_on_as_it_is() -> None:
    full = {"quality": "high", "size": "16:9", "resolution": "4K", "image_urls": [URL]}
    request = parsed(
        of("gpt-image-2-edit", **full) | {"metadata": {"a": "b"}, "max_credits": 64.16}
    )

    assert order.poyo_input(request) == GOOD | full
    assert request.metadata == {"a": "b"}
    assert pricing.estimate(order.poyo_input(request)) == Decimal("64.16")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"\xff\xfe", ""),
        (b"null", ""),
        (b"[]", ""),
        (b'"x"', ""),
        (b"[" * 100_000, ""),
        (b'{"model":' + b"1" * 5000 + b"}", ""),
        ({"input": GOOD}, "/model"),
        ({"model": "gpt-image-2"}, "/input"),
        ({"model": 7, "input": GOOD}, "/model"),
        ({"model": None, "input": GOOD}, "/model"),
        (of("gpt-image-1"), "/model"),
        ({"model": "gpt-image-2", "input": []}, "/input"),
        (of(prompt=""), "/input/prompt"),
        (of(prompt=" \n\t"), "/input/prompt"),
        (of(prompt=7), "/input/prompt"),
        (of(prompt=None), "/input/prompt"),
        (of(prompt="x" * 20_001), "/input/prompt"),
        (of(prompt="a \ud83d b"), "/input/prompt"),
        (of(quality="ultra"), "/input/quality"),
        (of(quality="LOW"), "/input/quality"),
        (of(quality=None), "/input/quality"),
        (of(resolution="8K"), "/input/resolution"),
        (of(resolution="2k"), "/input/resolution"),
        (of(size="7:5"), "/input/size"),
        (of(size="1024x1024"), "/input/size"),
        (of(size=1024), "/input/size"),
        (of("gpt-image-2-edit"), "/input/image_urls"),
        (of(image_urls=URL), "/input/image_urls"),
        (of(image_urls=[URL] * 17), "/input/image_urls"),
        (of(image_urls=[URL, 7]), "/input/image_urls/1"),
        (of(image_urls=["https://example.com/" + "x" * 2048]), "/input/image_urls/0"),
        (of() | {"metadata": {"a": 7}}, "/metadata/a"),
        (of() | {"metadata": {"a": "x" * 257}}, "/metadata/a"),
        (of() | {"metadata": {str(n): "x" for n in range(17)}}, "/metadata"),
        (of() | {"max_credits": 0}, "/max_credits"),
        (of() | {"max_credits": -1}, "/max_credits"),
        (of() | {"max_credits": "5"}, "/max_credits"),
        (of() | {"max_credits": True}, "/max_credits"),
        (of() | {"max_credits": 1.99}, "/max_credits"),
        (b'{"model":"gpt-image-2","input":{"prompt":"x"},"max_credits":NaN}', "/max_credits"),
    ],
    ids=range(41),
)
def test_what_is_wrong_is_pointed_at(body: object, pointer: str) -> None:
    problems = wrong(body)

    assert list(problems) == [pointer]
    assert problems[pointer]


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
def test_an_image_address_that_poyo_cannot_fetch_is_refused(url: str) -> None:
    assert list(wrong(of(image_urls=[URL, url]))) == ["/input/image_urls/1"]


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
def test_an_unknown_field_is_refused_with_the_one_that_was_meant(field: str, meant: str) -> None:
    problems = wrong(of(**{field: "x"}))

    assert problems[f"/input/{field}"].endswith(f"did you mean {meant}?")


def test_what_has_no_likeness_is_only_told_what_is_known() -> None:
    assert wrong(of(zzz=1))["/input/zzz"].endswith("image_urls")
    assert "metadata" in wrong(of() | {"zzz": 1})["/zzz"]


def test_every_wrong_field_is_named_at_once() -> None:
    problems = wrong(of(quality="x", resolution="9K", image_urls=["ftp://x"]))

    assert set(problems) == {"/input/quality", "/input/resolution", "/input/image_urls/0"}


def test_the_callers_own_words_are_not_repeated() -> None:
    canary = "canary-words"
    bodies: list[object] = [
        of(prompt=[canary]),
        of(quality=canary),
        of(size=canary),
        of(image_urls=[f"ftp://{canary}"]),
        of(canary),
        of() | {"metadata": {"a": [canary]}},
        canary.encode(),
    ]
    for body in bodies:
        assert canary not in "".join(wrong(body).values())


def test_a_flood_of_unknown_fields_is_answered_briefly_and_at_once() -> None:
    flood = {f"field{n}": n for n in range(20_000)} | {"f" * 500_000: 1}
    began = time.process_time()

    with pytest.raises(InvalidOrder) as invalid:
        parsed({"model": "gpt-image-2", "input": GOOD | flood})

    assert time.process_time() - began < 3
    assert len(json.dumps(list(invalid.value.problems))) < 20_000


@pytest.mark.parametrize("credit", [2, 2.0, 1e9])
def test_a_limit_that_is_kept_is_no_problem(credit: float) -> None:
    assert parsed(of() | {"max_credits": credit}).max_credits == credit


def test_a_prompt_may_be_long_and_in_any_script() -> None:
    prompt = "灯塔🗼" * 5000

    assert parsed(of(prompt=prompt)).input.prompt == prompt
