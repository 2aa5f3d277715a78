"""What an order costs: a closed set of price formulas, matched by their text and never evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from imagetasks.poyo.custom_size import Size, Values, custom_size

Billing = Mapping[str, Any]

PIXELS_PER_MEGAPIXEL = 1_000_000  # the smaller of the two in use, so that a bound stays one
NUMBER = r"[0-9]+(?:\.[0-9]+)?"
AXIS = r"(?:resolution|quality|billable_resolution)"
TABLE = (
    r"credits|resolution_credits\[resolution\]|quality_credits\[quality\]"
    rf"|price_table\[{AXIS}\]\[{AXIS}\]"
)
TABLES = {"credits", "credits_per_unit", "price_table", "quality_credits", "resolution_credits"}
FORMULA = re.compile(
    rf"(?P<each>number_of_images \* )?(?P<table>{TABLE})"
    rf"(?P<references> \+ reference_image_count \* (?P<rate>input_image_credits|{NUMBER}))?"
)
MEGAPIXELS = re.compile(rf"output_megapixels \* number_of_images \* (?P<rate>{NUMBER})")


@dataclass(frozen=True, slots=True)
class Price:
    """Credits that PoYo is expected to charge. Unless it is `exact`, PoYo charges that or less."""

    credits: Decimal
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A price formula: the fields that choose the price of an image, and what it is multiplied by."""

    table: str
    axes: tuple[str, ...] = ()
    each_image: bool = False
    each_reference: bool = False
    by_megapixels: bool = False

    @property
    def fields(self) -> list[str]:
        """The fields of an input that choose the price of an image."""
        return ["resolution" if each == "billable_resolution" else each for each in self.axes]


class UnknownFormula(ValueError):
    """A billing whose formula is not in the closed set, or does not fit its numbers."""


def formula(billing: Billing) -> Formula:
    """The formula of a model's `billing`. Raises UnknownFormula."""
    text = " ".join(str(billing.get("formula") or "credits").split())
    if found := MEGAPIXELS.fullmatch(text):
        _require_rate(found["rate"], billing.get("credits_per_unit"), text)
        return Formula(table="credits_per_unit", each_image=True, by_megapixels=True)
    found = FORMULA.fullmatch(text)
    if not found:
        raise UnknownFormula(f"unknown formula: {text}")
    if found["rate"] not in (None, "input_image_credits"):
        _require_rate(found["rate"], billing.get("input_image_credits"), text)
    table, *axes = re.findall(r"\w+", found["table"])
    if billing.get(table) is None:
        raise UnknownFormula(f"the formula {text} needs `{table}`")
    if others := sorted(each for each in TABLES - {table} if billing.get(each) is not None):
        raise UnknownFormula(f"the formula {text} does not use `{others[0]}`")
    return Formula(
        table=table,
        axes=tuple(axes),
        each_image=found["each"] is not None,
        each_reference=found["references"] is not None,
    )


def price(
    billing: Billing, values: Values, *, billed: str | None, images: int, each: bool
) -> Price:
    """What PoYo charges for `images` images with these `values` (an input with its defaults), when it
    bills the resolution `billed`. `each`: PoYo says in prose that it charges each image. Raises
    UnknownFormula, and KeyError for a value without a price."""
    rule = formula(billing)
    of_image, exact = _image_price(rule, billing, values, billed)
    exact = exact and (images == 1 or each or rule.each_image)
    total = of_image * images
    references = len(values.get("image_urls", ()))
    times = 1 if rule.each_reference else images  # what is not said is bounded from above
    extras = Decimal(billing.get("input_image_credits") or 0) * references * times
    masks = Decimal(billing.get("mask_credits") or 0) * ("mask_url" in values) * images
    certain = (rule.each_reference or not extras) and not masks
    return Price(total + extras + masks, exact and certain)


def _image_price(
    rule: Formula, billing: Billing, values: Values, billed: str | None
) -> tuple[Decimal, bool]:
    """Credits for one image, and whether they are exact and not only the most it can cost."""
    if rule.by_megapixels:
        return Decimal(billing[rule.table]) * _megapixels(custom_size(values["size"])), False
    chosen = {**values, "billable_resolution": billed}
    found: Any = billing[rule.table]
    for n, axis in enumerate(rule.axes):
        if chosen.get(axis) is None:
            possible = set(_prices(found, len(rule.axes) - n))
            return max(possible), len(possible) == 1
        found = found[chosen[axis]]
    return Decimal(found), True


def _prices(table: Any, depth: int) -> Iterator[Decimal]:
    """All prices in a table of `depth` axes."""
    if not depth:
        yield Decimal(table)
    else:
        for each in table.values():
            yield from _prices(each, depth - 1)


def _megapixels(size: Size | None) -> Decimal:
    """Whole megapixels that have at least the pixels of `size`. Raises KeyError if it is not known."""
    if size is None:
        raise KeyError("size")
    exact = Decimal(size.width * size.height) / PIXELS_PER_MEGAPIXEL
    return exact.to_integral_value(ROUND_CEILING)


def _require_rate(written: str, given: Any, text: str) -> None:
    """Raise UnknownFormula unless the number in the formula is the one beside it."""
    if given is None or Decimal(written) != Decimal(given):
        raise UnknownFormula(f"the number in the formula {text} is not the one beside it")
