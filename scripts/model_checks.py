"""What a model of the catalogue must be for an order to be validated and priced by its entry alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from imagetasks.poyo import input_rules, pricing
from imagetasks.poyo.custom_size import PATTERN
from imagetasks.poyo.model_catalog import Model
from imagetasks.tasks.task import MAX_FILES
from scripts.schema_checks import schema_defects

ID = re.compile(r"[a-z0-9][a-z0-9./-]{0,63}")
BILLING = frozenset(
    {
        "credits", "credits_per_unit", "formula", "input_image_credits", "mask_credits",
        "output_images", "price_table", "quality_credits", "resolution_credits", "type", "unit",
    }
)  # fmt: skip
TEXTS = frozenset(("formula", "type", "unit"))
RULES = frozenset(("checks", "billed_resolution", "bound", "charged_each"))
TIMING = frozenset(("by", "seconds", "source"))
BILLED = frozenset(("sizes", "edge", "auto"))
FIELD_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("prompt", "quality", "resolution", "output_format", "mask_url"), "string"),
    "image_urls": "array",
    "n": "integer",
}


def defects(model: Model) -> Iterator[str]:
    """Why orders of `model` could not be validated or priced; nothing if they can be. Later checks
    assume the earlier ones, so that only the first defect is sure to be one."""
    if not ID.fullmatch(model.model_id):
        yield "its id has unknown characters"
    yield from schema_defects(model.input_schema)
    yield from _field_defects(model)
    yield from _rule_defects(model)
    yield from _billing_defects(model)
    yield from _timing_defects(model)
    yield from _example_defects(model)


def _field_defects(model: Model) -> Iterator[str]:
    """Fields that the code reads by their names, and which are not what it reads."""
    if "prompt" not in model.fields or "prompt" not in model.input_schema.get("required", ()):
        yield "it has no prompt that every order must have"
    for name, kind in FIELD_TYPES.items():
        if name in model.fields and model.fields[name].get("type") != kind:
            yield f"its {name} is no {kind}"
    images = model.fields.get("n", {"const": 1})
    counts = images.get("enum") or [images.get("minimum", 1), images.get("maximum", 1)]
    if min(counts) < 1:
        yield "its n may be less than 1"
    if max(counts) > MAX_FILES:
        yield f"its n may be more than {MAX_FILES}, the images that are kept of a task"


def _rule_defects(model: Model) -> Iterator[str]:
    """Unknown rules, parameters and fields."""
    if unknown := model.rules.keys() - RULES:
        yield f"its rules have the unknown key {min(unknown)}"
    for rule in model.rules.get("checks", ()):
        kind = input_rules.RULES.get(rule.get("rule"))
        if kind is None:
            yield f"it has the unknown rule {rule.get('rule')}"
        elif not kind.required <= rule.keys() - {"rule"} <= kind.required | kind.optional:
            yield f"its rule {rule['rule']} has other parameters than {sorted(kind.required)}"
        elif missing := set(kind.fields(rule)) - model.fields.keys():
            yield f"its rule {rule['rule']} names {min(missing)}, which is no field of it"
    billed = model.rules.get("billed_resolution")
    if billed is not None and billed.keys() != BILLED:
        yield f"its billed resolution has other parameters than {sorted(BILLED)}"


def _billing_defects(model: Model) -> Iterator[str]:
    """Unknown formulas and keys, and values of fields without a price."""
    given = {name for name, each in model.billing.items() if each is not None}
    if unknown := given - BILLING:
        yield f"its billing has the unknown key {min(unknown)}"
    for amount in _amounts({name: model.billing[name] for name in given - TEXTS}):
        if type(amount) not in (int, Decimal):
            yield f"its billing has {amount!r}, which is no number"
        elif amount < 0:
            yield f"its billing has {amount}, which is less than 0"
    if model.billing.get("output_images") not in (None, 1):
        yield "its billing is of several images"
    try:
        rule = pricing.formula(model.billing)
    except pricing.UnknownFormula as error:
        yield str(error)
        return
    yield from _price_defects(model, rule)


def _price_defects(model: Model, rule: pricing.Formula) -> Iterator[str]:
    """Inputs that the formula has no price for."""
    if "billable_resolution" in rule.axes and "billed_resolution" not in model.rules:
        yield "its price is by a billable resolution, and no rule says which that is"
    size = model.fields.get("size", {}).get("pattern")
    if rule.by_megapixels and (size != PATTERN or "size" not in model.input_schema["required"]):
        yield "its price is by megapixels, and its size may be another than one in pixels"
    for name in rule.fields:
        if "enum" not in model.fields.get(name, {"enum": []}):
            yield f"its price is by {name}, whose values are not known"
    choices = [model.fields.get(each, {}).get("enum", [None]) for each in rule.fields]
    for chosen in itertools.product(*choices):
        values = dict(zip(rule.fields, chosen, strict=True))
        try:
            found = _price_of(model, values)
        except (KeyError, TypeError, ArithmeticError):
            yield f"{' and '.join(map(str, chosen))} has no price"
            continue
        if not (found.is_finite() and found > 0):
            yield f"{' and '.join(map(str, chosen)) or 'it'} has the price {found}"


def _timing_defects(model: Model) -> Iterator[str]:
    """A timing without a source, by unknown fields or values, or with something else than seconds."""
    if not model.timing:
        return
    if not model.timing.keys() <= TIMING or not model.timing.get("source"):
        yield f"its timing has other keys than {sorted(TIMING)}, or no source"
    tables: list[Any] = [model.timing.get("seconds")]
    for field in model.timing.get("by", ()):
        values = {each for table in tables for each in table}
        if unknown := values - {*model.fields.get(field, {}).get("enum", ())}:
            yield f"its timing names {min(unknown)}, which is no {field} of it"
        tables = [each for table in tables for each in table.values()]
    for seconds in tables:
        if type(seconds) is not int or seconds < 1:
            yield f"its timing has {seconds!r}, which is no number of seconds"


def _amounts(value: Any) -> Iterator[Any]:
    """Everything in a billing that should be a number."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _amounts(each)
    else:
        yield value


def _price_of(model: Model, values: Mapping[str, Any]) -> Decimal:
    """Credits for one image with these values, whatever else is in the order."""
    chosen = {name: each for name, each in values.items() if each is not None}
    given = {"size": "1000x1000", **chosen}
    billed = values.get("resolution")
    return pricing.price(model.billing, given, billed=billed, images=1, each=False).credits


def _example_defects(model: Model) -> Iterator[str]:
    if not model.examples:
        yield "it has no example"
    for each in model.examples:
        for error in model.errors(each)[:1]:
            yield f"its example is not valid: {error['pointer']} {error['detail']}"
            return
        try:
            model.price(each)
        except (KeyError, TypeError):
            yield "its example has no price"
