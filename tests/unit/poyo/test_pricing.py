"""Prices: the closed set of formulas, what is exact, and what is only the most it can cost."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.poyo.pricing import Formula, Price, UnknownFormula, formula, price

RESOLUTIONS = {"resolution_credits": {"1K": 8, "2K": 11.5}}
QUALITIES = {"quality_credits": {"low": 1.9, "medium": 7.2, "high": 30}}
TABLE = {"price_table": {"low": {"1K": 2, "2K": 4}, "high": {"1K": 33.76, "2K": 35.52}}}
TURNED = {"price_table": {"1K": {"low": 1.31, "high": 11.78}, "2K": {"low": 2.65, "high": 23.94}}}
IMAGE = ["https://example.com/a.png"]


def cost(
    billing: dict[str, Any],
    values: dict[str, Any] | None = None,
    *,
    billed: str | None = None,
    images: int = 1,
    each: bool = False,
) -> tuple[str, bool]:
    """Credits and whether they are exact; the billing is read as the bundled file is."""
    exact = json.loads(json.dumps(billing), parse_float=Decimal)
    found = price(exact, values or {}, billed=billed, images=images, each=each)
    return str(found.credits), found.exact


@pytest.mark.parametrize(
    ("text", "numbers", "expected"),
    [
        (None, {"credits": 5}, Formula(table="credits")),
        ("credits", {"credits": 5}, Formula(table="credits")),
        (
            " resolution_credits[resolution] ",
            RESOLUTIONS,
            Formula(table="resolution_credits", axes=("resolution",)),
        ),
        (
            "quality_credits[quality]",
            QUALITIES,
            Formula(table="quality_credits", axes=("quality",)),
        ),
        (
            "price_table[quality][billable_resolution]",
            TABLE,
            Formula(table="price_table", axes=("quality", "billable_resolution")),
        ),
        (
            "price_table[resolution][quality]",
            TURNED,
            Formula(table="price_table", axes=("resolution", "quality")),
        ),
        (
            "number_of_images * resolution_credits[resolution] + reference_image_count * 2",
            {**RESOLUTIONS, "input_image_credits": 2},
            Formula(
                table="resolution_credits",
                axes=("resolution",),
                each_image=True,
                each_reference=True,
            ),
        ),
        (
            "output_megapixels * number_of_images * 0.48",
            {"credits_per_unit": 0.48},
            Formula(table="credits_per_unit", each_image=True, by_megapixels=True),
        ),
    ],
)
def test_formula_is_recognised_by_its_text(
    text: str | None, numbers: dict[str, Any], expected: Formula
) -> None:
    billing = json.loads(json.dumps({"formula": text, **numbers}), parse_float=Decimal)

    assert formula(billing) == expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("credits * 2", {"credits": 5}),
        ("60 + (enable_pbr ? 24 : 0)", {"credits": 5}),
        ("__import__('os').system('true')", {"credits": 5}),
        ("resolution_credits[quality]", RESOLUTIONS),
        ("price_table[resolution]", TURNED),
        ("price_table[seed][quality]", TURNED),
        ("price_table[resolution][quality]; credits", TURNED),
        ("resolution_credits[resolution]", {}),
        ("resolution_credits[resolution]", {"resolution_credits": None}),
        (None, {}),
        (None, {"credits": None}),
        (None, {"credits": 2, **RESOLUTIONS}),
        ("resolution_credits[resolution]", {"credits": 2, **RESOLUTIONS}),
        ("number_of_images * credits + reference_image_count * 3", {"credits": 1, "input_image_credits": 2}),
        ("number_of_images * credits + reference_image_count * 3", {"credits": 1}),
        ("output_megapixels * number_of_images * 4", {"credits_per_unit": 5}),
        ("output_megapixels * number_of_images * 4", {}),
    ],
    ids=range(17),
)  # fmt: skip
def test_unknown_formula_and_numbers_that_do_not_fit_are_refused(
    text: str | None, numbers: dict[str, Any]
) -> None:
    with pytest.raises(UnknownFormula):
        formula({"formula": text, **numbers})


def test_fixed_price_is_exact_for_one_image_and_a_bound_for_several() -> None:
    assert cost({"credits": 4.2}) == ("4.2", True)
    assert cost({"credits": 4.2}, images=3) == ("12.6", False)
    assert cost({"credits": 4.2}, images=3, each=True) == ("12.6", True)


def test_price_by_resolution_or_quality() -> None:
    by_resolution = {"formula": "resolution_credits[resolution]", **RESOLUTIONS}
    by_quality = {"formula": "quality_credits[quality]", **QUALITIES}

    assert cost(by_resolution, {"resolution": "2K"}) == ("11.5", True)
    assert cost(by_quality, {"quality": "medium"}) == ("7.2", True)


def test_order_of_the_indices_is_that_of_the_formula() -> None:
    values = {"quality": "high", "resolution": "2K"}

    assert cost({"formula": "price_table[resolution][quality]", **TURNED}, values) == (
        "23.94",
        True,
    )
    billable = {"formula": "price_table[quality][billable_resolution]", **TABLE}
    assert cost(billable, values, billed="1K") == ("33.76", True)


def test_unknown_quality_or_resolution_is_priced_at_the_most_it_can_cost() -> None:
    by_quality = {"formula": "quality_credits[quality]", **QUALITIES}
    both = {"formula": "price_table[resolution][quality]", **TURNED}

    assert cost(by_quality, images=2) == ("60", False)
    assert cost(both, {"resolution": "1K"}) == ("11.78", False)
    assert cost(both, {"quality": "low"}) == ("23.94", False)
    assert cost({"formula": "quality_credits[quality]", "quality_credits": {"low": 2}}) == (
        "2",
        True,
    )


def test_value_without_a_price_is_an_error() -> None:
    with pytest.raises(KeyError):
        cost({"formula": "resolution_credits[resolution]", **RESOLUTIONS}, {"resolution": "4K"})


def test_references_are_added_and_exact_where_the_formula_says_so() -> None:
    said = {
        "formula": "number_of_images * credits + reference_image_count * input_image_credits",
        "credits": 8,
        "input_image_credits": 2,
    }

    assert cost(said, {"image_urls": IMAGE * 3}, images=2) == ("22", True)
    unsaid = {"credits": 4.8, "input_image_credits": 0.5}
    assert cost(unsaid) == ("4.8", True)
    assert cost(unsaid, {"image_urls": IMAGE * 3}) == ("6.3", False)
    assert cost(unsaid, {"image_urls": IMAGE * 3}, images=2) == ("12.6", False)
    free = {"credits": 1.31, "input_image_credits": 0, "mask_credits": 0}
    assert cost(free, {"image_urls": IMAGE, "mask_url": IMAGE[0]}) == ("1.31", True)
    masked = {"credits": 1, "mask_credits": 3}
    assert cost(masked, {"mask_url": IMAGE[0]}) == ("4", False)
    assert cost(masked, {"mask_url": IMAGE[0]}, images=2) == ("8", False)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("1000x1000", "4"), ("1000x1001", "8"), ("1024x1024", "8"), ("100x100", "4"), ("2000x1500", "12")],
)  # fmt: skip
def test_megapixels_are_counted_as_whole_ones_which_is_the_most_they_can_be(
    size: str, expected: str
) -> None:
    billing = {"formula": "output_megapixels * number_of_images * 4", "credits_per_unit": 4}

    assert cost(billing, {"size": size}) == (expected, False)


def test_megapixels_of_a_size_without_pixels_are_not_known() -> None:
    billing = {"formula": "output_megapixels * number_of_images * 4", "credits_per_unit": 4}

    with pytest.raises(KeyError):
        cost(billing, {"size": "1:1"})


def test_price_is_a_value() -> None:
    assert Price(Decimal("1.0"), exact=True) == Price(Decimal(1), exact=True)
