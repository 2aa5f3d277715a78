"""What the schema of a model's input must be for any value to be validated by it in bounded time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from imagetasks.poyo import input_schema
from imagetasks.poyo.input_schema import is_valid, subschemas

Schema = Mapping[str, Any]

REPEATED_GROUP = re.compile(r"\)[*+?{]|\\[1-9]|\(\?")  # may take exponential time, or is unknown
COUNT, NUMBER, TEXT = (int,), (int, Decimal), (str,)
FORMS: Mapping[str, tuple[type, ...]] = {
    "additionalProperties": (bool,), "enum": (list,), "format": TEXT, "items": (dict,),
    "maxItems": COUNT, "maxLength": COUNT, "maximum": NUMBER, "minItems": COUNT, "minLength": COUNT,
    "minimum": NUMBER, "oneOf": (list,), "pattern": TEXT, "properties": (dict,),
    "required": (list,), "title": TEXT, "type": (str, list),
}  # fmt: skip
BOUNDS: Mapping[str, tuple[str, ...]] = {
    "string": ("maxLength",),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("maxItems", "items"),
    "object": ("properties", "additionalProperties"),
}
SCALARS = {"string", "integer", "number"}


def schema_defects(schema: Schema) -> Iterator[str]:
    """Why values could not be validated by `schema`, with the pointer of the part that is the reason."""
    for pointer, part in subschemas(schema):
        for defect in _part_defects(part):
            yield f"{pointer or 'its schema'} {defect}"


def _part_defects(schema: Schema) -> Iterator[str]:
    """Defects of one schema, without those in it."""
    for name in schema.keys() - input_schema.VALIDATING - input_schema.ANNOTATIONS:
        yield f"has the unknown keyword {name}"
    for name, kinds in FORMS.items():
        if name in schema and type(schema[name]) not in kinds:
            yield f"has the keyword {name} in an unexpected form"
    if unknown := {*_types(schema)} - input_schema.TYPES.keys():
        yield f"has the unknown type {min(unknown)}"
    if schema.get("format", "uri") not in input_schema.FORMATS:
        yield f"has the unknown format {schema['format']}"
    if missing := {*schema.get("required", [])} - schema.get("properties", {}).keys():
        yield f"requires {min(missing)}, which is no field of it"
    if "pattern" in schema:
        yield from _pattern_defects(schema["pattern"], schema)
    if "default" in schema and not is_valid(schema, schema["default"]):
        yield f"has the default {schema['default']}, which it does not allow"
    yield from _bound_defects(schema)


def _pattern_defects(pattern: str, schema: Schema) -> Iterator[str]:
    try:
        input_schema.compiled(pattern)
    except re.error:
        yield f"has the pattern {pattern}, which is no regular expression"
    if REPEATED_GROUP.search(pattern):
        yield f"has the pattern {pattern}, whose time is not bounded"
    if "title" not in schema:
        yield f"has the pattern {pattern} without a title, its words in errors"


def _bound_defects(schema: Schema) -> Iterator[str]:
    """Values of any size, or of any type in a field or an entry."""
    inside = dict(schema.get("properties", {}))
    if "items" in schema:
        inside["items"] = schema["items"]
    for name in (name for name, each in inside.items() if not _is_typed(each)):
        yield f"has no type for {name}, so that it is not bounded"
    closed = "format" in schema or {"enum", "const"} & schema.keys()
    kinds = {*_types(schema)} - (SCALARS if closed else set())
    needed = {each for kind in kinds for each in BOUNDS.get(kind, ())}
    for name in sorted(needed - schema.keys()):
        yield f"has no {name}, so that it is not bounded"


def _is_typed(schema: Schema) -> bool:
    """Whether `schema` says which types it allows, or which values."""
    if {"type", "enum", "const"} & schema.keys():
        return True
    return "oneOf" in schema and all(map(_is_typed, schema["oneOf"]))


def _types(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)
