"""What a model of the catalogue must be for an order to be validated and priced by its entry alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from imagetasks.poyo import input_rules, input_schema, pricing
from imagetasks.poyo.input_schema import is_valid, subschemas
from imagetasks.poyo.model_catalog import Model

ID = re.compile(r"[a-z0-9][a-z0-9./-]{0,63}")
BILLING = frozenset(
    {
        "credits", "credits_per_unit", "formula", "input_image_credits", "mask_credits",
        "output_images", "price_table", "quality_credits", "resolution_credits", "type", "unit",
    }
)  # fmt: skip
TEXTS = frozenset(("formula", "type", "unit"))
RULES = frozenset(("checks", "billed_resolution", "charged_each"))
TIMING = frozenset(("by", "seconds", "source"))
BILLED = frozenset(("sizes", "edge", "auto"))
REPEATED_GROUP = re.compile(r"\)[*+?{]|\\[1-9]|\(\?")  # may take exponential time, or is unknown
BOUNDS: Mapping[str, tuple[str, ...]] = {
    "string": ("maxLength",),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("maxItems", "items"),
    "object": ("properties", "additionalProperties"),
}


def defects(model: Model) -> Iterator[str]:
    """Why orders of `model` could not be validated or priced; nothing if they can be. Later checks
    assume the earlier ones, so that only the first defect is sure to be one."""
    if not ID.fullmatch(model.model_id):
        yield "its id has unknown characters"
    for pointer, schema in subschemas(model.input_schema):
        yield from (f"{pointer or 'its schema'} {each}" for each in _schema_defects(schema))
    if "prompt" not in model.fields:
        yield "it has no prompt"
    yield from _rule_defects(model)
    yield from _billing_defects(model)
    yield from _timing_defects(model)
    yield from _example_defects(model)


def _schema_defects(schema: Mapping[str, Any]) -> Iterator[str]:
    """Defects of one schema, without those in it."""
    for name in schema.keys() - input_schema.VALIDATING - input_schema.ANNOTATIONS:
        yield f"has the unknown keyword {name}"
    if unknown := {*_types(schema)} - input_schema.TYPES.keys():
        yield f"has the unknown type {min(unknown)}"
    if schema.get("format", "uri") not in input_schema.FORMATS:
        yield f"has the unknown format {schema['format']}"
    if not isinstance(schema.get("additionalProperties", False), bool):
        yield "has additionalProperties that are not true or false"
    if missing := {*schema.get("required", [])} - schema.get("properties", {}).keys():
        yield f"requires {min(missing)}, which is no field of it"
    if "pattern" in schema:
        yield from _pattern_defects(schema["pattern"], schema)
    if "default" in schema and not is_valid(schema, schema["default"]):
        yield f"has the default {schema['default']}, which it does not allow"
    if not {"enum", "const", "oneOf", "format"} & schema.keys():
        needed = {each for kind in _types(schema) for each in BOUNDS.get(kind, ())}
        for name in sorted(needed - schema.keys()):
            yield f"has no {name}, so that it is not bounded"


def _types(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _pattern_defects(pattern: str, schema: Mapping[str, Any]) -> Iterator[str]:
    try:
        input_schema.compiled(pattern)
    except re.error:
        yield f"has the pattern {pattern}, which is no regular expression"
    if REPEATED_GROUP.search(pattern):
        yield f"has the pattern {pattern}, whose time is not bounded"
    if "title" not in schema:
        yield f"has the pattern {pattern} without a title, its words in errors"


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
    if model.billing.get("output_images") not in (None, 1):
        yield "its billing is of several images"
    try:
        rule = pricing.formula(model.billing)
    except pricing.UnknownFormula as error:
        yield str(error)
        return
    fields = ["resolution" if each == "billable_resolution" else each for each in rule.axes]
    choices = [model.fields.get(each, {}).get("enum", [None]) for each in fields]
    for chosen in itertools.product(*choices):
        values = dict(zip(fields, chosen, strict=True))
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
    given = {"size": "1000x1000", **{name: each for name, each in values.items() if each}}
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
