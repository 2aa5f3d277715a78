"""What the doctor says of the page at `/`: whether the bucket's CORS allows it."""

from __future__ import annotations

import pytest

from cli.page import bucket_allows, origin_of

PAGE = "https://images.example"


def rule(*origins: str, methods: tuple[str, ...] = ("GET", "HEAD", "POST")) -> dict[str, object]:
    return {"AllowedOrigins": list(origins), "AllowedMethods": list(methods)}


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (PAGE, PAGE),
        ("https://Images.Example:443/", PAGE),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("http://images.example:80", "http://images.example"),
        ("https://images.example:80", "https://images.example:80"),
    ],
)
def test_origin_is_the_one_that_browsers_send(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ([rule("https://shop.example", PAGE), rule("null")], True),
        ([rule("https://*.example")], True),
        ([], False),
        ([rule("https://shop.example"), rule("null")], False),
        ([rule(f"{PAGE}.evil")], False),
        ([rule("https://imagesXexample")], False),
        ([rule("http://images.example")], False),
        ([rule(PAGE, methods=("GET", "HEAD"))], False),
    ],
)
def test_bucket_allows_the_page_only_by_a_rule_for_its_origin(
    rules: list[dict[str, object]], allowed: bool
) -> None:
    finding = bucket_allows(PAGE, rules, "https://shop.example")

    assert (not finding.todo) is allowed
    assert allowed or "CorsOrigins=https://shop.example,https://images.example" in finding.todo
    assert not str(finding).startswith("FAIL")


def test_first_origin_is_named_without_a_comma() -> None:
    assert bucket_allows(PAGE, [], "").todo == f"deploy with CorsOrigins={PAGE}"
