"""Rules across the fields of an input, custom sizes, and the resolution that is billed."""

from __future__ import annotations

from typing import Any

import pytest

from imagetasks.poyo.custom_size import billed_resolution, custom_size
from imagetasks.poyo.input_rules import RULES, broken

Values = dict[str, Any]

CUSTOM: Values = {
    "rule": "custom_size",
    "resolutions": ["2K", "4K"],
    "multiple_of": 16,
    "longest_edge": 3840,
    "ratio": 3,
    "pixels": [655_360, 8_294_400],
    "edge_resolutions": {"3840": ["4K"]},
}
AUTO: Values = {
    "rule": "value_needs",
    "field": "size",
    "values": ["auto"],
    "needs": "resolution",
    "allowed": ["1K"],
}
TRANSPARENT: Values = {
    "rule": "value_needs",
    "field": "background",
    "values": ["transparent"],
    "needs": "output_format",
    "allowed": ["png", "webp"],
}
MASK: Values = {"rule": "only_with", "field": "mask_url", "with": "image_urls"}
AUTO_WITH: Values = {**MASK, "field": "size", "values": ["auto"]}
NEEDED: Values = {"rule": "needed_without", "field": "size", "without": "image_urls"}
TOTAL: Values = {"rule": "total_at_most", "fields": ["n", "image_urls"], "most": 15}
IMAGE = ["https://example.com/a.png"]
BILLED: Values = {"auto": "1K", "sizes": ["16:9", "9:16", "21:9"], "edge": 3840}


def told(rule: Values, values: Values, invalid: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    found = broken([rule], values, "/input", frozenset(invalid))
    return [(each["pointer"], each["detail"]) for each in found]


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (CUSTOM, {"size": "1024x1024", "resolution": "2K"}),
        (CUSTOM, {"size": "3840x2160", "resolution": "4K"}),
        (CUSTOM, {"size": "1280x3840", "resolution": "4K"}),
        (CUSTOM, {"size": "1024x640", "resolution": "2K"}),
        (CUSTOM, {"size": "16:9", "resolution": "1K"}),
        (CUSTOM, {"size": "auto", "resolution": "1K"}),
        (CUSTOM, {}),
        (AUTO, {"size": "auto", "resolution": "1K"}),
        (AUTO, {"size": "1:1", "resolution": "4K"}),
        (TRANSPARENT, {"background": "transparent", "output_format": "webp"}),
        (TRANSPARENT, {"background": "opaque", "output_format": "jpeg"}),
        (TRANSPARENT, {"output_format": "jpeg"}),
        (MASK, {"mask_url": IMAGE[0], "image_urls": IMAGE}),
        (MASK, {}),
        (AUTO_WITH, {"size": "1:1"}),
        (AUTO_WITH, {"size": "auto", "image_urls": IMAGE}),
        (NEEDED, {"size": "1:1"}),
        (NEEDED, {"image_urls": IMAGE}),
        (TOTAL, {"n": 5, "image_urls": IMAGE * 10}),
        (TOTAL, {"n": 15}),
        (TOTAL, {}),
    ],
)
def test_rule_says_nothing_of_what_it_allows(rule: Values, values: Values) -> None:
    assert told(rule, values) == []


@pytest.mark.parametrize(
    ("rule", "values", "pointer", "detail"),
    [
        (
            CUSTOM,
            {"size": "1024x1024", "resolution": "1K"},
            "/input/size",
            "a custom WIDTHxHEIGHT needs resolution 2K or 4K",
        ),
        (
            CUSTOM,
            {"size": "1024x1024"},
            "/input/size",
            "a custom WIDTHxHEIGHT needs resolution 2K or 4K",
        ),
        (
            CUSTOM,
            {"size": "1000x1024", "resolution": "2K"},
            "/input/size",
            "both edges of a custom size must be multiples of 16",
        ),
        (
            CUSTOM,
            {"size": "1024x1000", "resolution": "2K"},
            "/input/size",
            "both edges of a custom size must be multiples of 16",
        ),
        (
            CUSTOM,
            {"size": "3856x2160", "resolution": "4K"},
            "/input/size",
            "the longest edge of a custom size is 3840",
        ),
        (
            CUSTOM,
            {"size": "1264x3840", "resolution": "4K"},
            "/input/size",
            "a custom size may be at most 3:1",
        ),
        (
            CUSTOM,
            {"size": "1008x640", "resolution": "2K"},
            "/input/size",
            "a custom size must have 655,360 to 8,294,400 pixels",
        ),
        (
            CUSTOM,
            {"size": "3840x2176", "resolution": "4K"},
            "/input/size",
            "a custom size must have 655,360 to 8,294,400 pixels",
        ),
        (
            CUSTOM,
            {"size": "3840x2160", "resolution": "2K"},
            "/input/size",
            "an edge of 3840 pixels needs resolution 4K",
        ),
        (AUTO, {"size": "auto", "resolution": "2K"}, "/input/size", "auto needs resolution 1K"),
        (
            TRANSPARENT,
            {"background": "transparent", "output_format": "jpeg"},
            "/input/background",
            "transparent needs output_format png or webp",
        ),
        (MASK, {"mask_url": IMAGE[0]}, "/input/mask_url", "mask_url needs image_urls"),
        (AUTO_WITH, {"size": "auto"}, "/input/size", "auto needs image_urls"),
        (
            NEEDED,
            {},
            "/input/size",
            "`size` is missing; it is needed where there are no image_urls",
        ),
        (
            TOTAL,
            {"n": 6, "image_urls": IMAGE * 10},
            "/input/n",
            "n and image_urls together may be at most 15, not 16",
        ),
    ],
)
def test_rule_names_the_field_and_what_it_needs(
    rule: Values, values: Values, pointer: str, detail: str
) -> None:
    assert told(rule, values) == [(pointer, detail)]


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        (CUSTOM, {"size", "resolution"}),
        (AUTO, {"size", "resolution"}),
        (MASK, {"mask_url", "image_urls"}),
        (NEEDED, {"size", "image_urls"}),
        (TOTAL, {"n", "image_urls"}),
    ],
)
def test_rule_says_nothing_where_a_field_that_it_reads_is_invalid_by_itself(
    rule: Values, fields: set[str]
) -> None:
    wrong = {"size": {"width": "x", "height": []}, "n": "many", "mask_url": 7, "image_urls": 7}

    assert set(RULES[rule["rule"]].fields(rule)) == fields
    for each in fields:
        assert told(rule, wrong, invalid=(each,)) == []


@pytest.mark.parametrize(
    "text",
    ["auto", "1:1", "01024x1024", "99999x16", "1024X1024", "1024x1024\n", "１０２４x1024", "9x9", "", 7,
     None, {"width": 1}],
    ids=repr,
)  # fmt: skip
def test_other_texts_are_no_custom_size(text: object) -> None:
    assert custom_size(text) is None


def test_custom_size_is_a_text_or_an_object() -> None:
    assert custom_size("1024x768") == custom_size({"width": 1024, "height": 768}) == (1024, 768)


@pytest.mark.parametrize(
    ("size", "resolution", "billed"),
    [
        ("auto", "1K", "1K"),
        ("auto", "4K", "1K"),
        ("1:1", "2K", "2K"),
        ("1:1", "4K", "2K"),
        ("16:9", "4K", "4K"),
        ("21:9", "4K", "4K"),
        ("16:9", "2K", "2K"),
        ("3840x2160", "4K", "4K"),
        ("1280x3840", "4K", "4K"),
        ("2048x2048", "4K", "2K"),
        ("3840x2160", "2K", "2K"),
    ],
)
def test_4k_is_billed_as_2k_except_for_some_sizes(size: str, resolution: str, billed: str) -> None:
    values = {"size": size, "resolution": resolution}

    assert billed_resolution(BILLED, values) == billed
    assert billed_resolution(None, values) == resolution


def test_model_without_resolutions_has_none_to_bill() -> None:
    assert billed_resolution(None, {}) is None
