"""Validation by the part of JSON Schema that occurs in PoYo's catalogue. Its time is bounded by the
schema: a value that is too long is not looked into, and a value's own depth and names do not matter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from imagetasks.poyo.input_words import (
    Schema,
    described,
    json_type,
    pointer_below,
    unknown_field,
)

Problem = Mapping[str, str]

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float, Decimal),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
VALIDATING = frozenset(
    {
        "additionalProperties", "const", "enum", "format", "items", "maxItems", "maxLength",
        "maximum", "minItems", "minLength", "minimum", "oneOf", "pattern", "properties", "required",
        "type",
    }
)  # fmt: skip
ANNOTATIONS = frozenset(("default", "title", "description", "example", "examples"))
FORMATS = frozenset(("uri",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value is: its pointer, the words for it, and the name and the schema of its field."""

    pointer: str
    part: str
    field: str
    schema: Schema

    def fault(self, what: str) -> Problem:
        """The problem that the value `what` ("is missing"), and what the field must be."""
        detail = f"{self.part} {what}; `{self.field}` must be {described(self.schema)}"
        return {"pointer": self.pointer, "detail": detail}

    def must_be(self) -> Problem:
        """The problem that the value is not one of those that the field may have."""
        return {"pointer": self.pointer, "detail": f"must be {described(self.schema)}"}


def place(pointer: str, name: str, schema: Schema) -> Place:
    """The place of the field `name`, which `pointer` names."""
    return Place(pointer=pointer, part=f"`{name}`", field=name, schema=schema)


def problems(
    schema: Schema,
    value: Any,
    at: Place,
    elsewhere: Mapping[str, str] | None = None,
) -> Iterator[Problem]:
    """What `schema` does not allow about `value`, lazily and in the schema's order. `elsewhere` are
    fields of other objects that an unknown field may be meant to be, and where they are."""
    if not _has_type(value, schema.get("type")):
        whole = schema.get("type") == "integer" and isinstance(value, float | Decimal)
        yield at.fault("is not a whole number" if whole else f"is {json_type(value)}")
        return
    if not _is_chosen(schema, value):
        yield at.must_be()
        return
    if "oneOf" in schema:
        allowed = True
        for each in _one_of_problems(schema["oneOf"], value, at):
            allowed = False
            yield each
        if not allowed:
            return
    if isinstance(value, str):
        yield from _string_problems(schema, value, at)
    elif isinstance(value, list):
        yield from _array_problems(schema, value, at)
    elif isinstance(value, dict):
        yield from _object_problems(schema, value, at, elsewhere)
    elif not isinstance(value, bool) and value is not None:
        yield from _number_problems(schema, value, at)


def is_valid(schema: Schema, value: Any) -> bool:
    """Whether `schema` allows `value`."""
    return not any(problems(schema, value, place("", "value", schema)))


def addresses(schema: Schema, value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """The pointer and the text of every address (format `uri`) in a valid `value`."""
    if schema.get("format") == "uri" and isinstance(value, str):
        yield pointer, value
    elif isinstance(value, list) and "items" in schema:
        for n, each in enumerate(value):
            yield from addresses(schema["items"], each, pointer_below(pointer, n))
    elif isinstance(value, dict):
        for name, each in schema.get("properties", {}).items():
            if name in value:
                yield from addresses(each, value[name], pointer_below(pointer, name))


def subschemas(schema: Schema, pointer: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema in `schema`, itself included, and its pointer."""
    yield pointer, schema
    for name, each in schema.get("properties", {}).items():
        yield from subschemas(each, pointer_below(pointer, name))
    for n, each in enumerate(schema.get("oneOf", [])):
        yield from subschemas(each, pointer_below(pointer_below(pointer, "oneOf"), n))
    if "items" in schema:
        yield from subschemas(schema["items"], pointer_below(pointer, "items"))


def _has_type(value: Any, kinds: str | list[str] | None) -> bool:
    """Whether `value` has one of the types. A boolean is no number, and 1.0 is no integer."""
    if kinds is None:
        return True
    names = [kinds] if isinstance(kinds, str) else kinds
    return any(type(value) in TYPES[each] for each in names)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _is_chosen(schema: Schema, value: Any) -> bool:
    """Whether `enum` and `const` allow `value`."""
    chosen = "enum" not in schema or any(_same(value, each) for each in schema["enum"])
    return chosen and ("const" not in schema or _same(value, schema["const"]))


def _one_of_problems(branches: list[Schema], value: Any, at: Place) -> Iterator[Problem]:
    """Nothing if exactly one branch allows `value`. Only one branch can be meant by an object or array."""
    allowing = sum(is_valid(each, value) for each in branches)
    if allowing == 1:
        return
    meant = [each for each in branches if "type" in each and _has_type(value, each["type"])]
    if not allowing and isinstance(value, dict | list) and len(meant) == 1:
        yield from problems(meant[0], value, at)
    else:
        yield at.must_be()


def _string_problems(schema: Schema, value: str, at: Place) -> Iterator[Problem]:
    length, most = len(value), schema.get("maxLength")
    if most is not None and length > most:
        yield at.must_be() if "pattern" in schema else at.fault(f"has {length:,} characters")
    elif length < schema.get("minLength", 0):
        yield at.fault(f"has {_count(length, 'character')}" if length else "is empty")
    elif "pattern" in schema and not compiled(schema["pattern"]).search(value):
        yield at.must_be()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _number_problems(schema: Schema, value: Any, at: Place) -> Iterator[Problem]:
    if "minimum" in schema and not value >= schema["minimum"]:
        yield at.fault("is too small")
    elif "maximum" in schema and not value <= schema["maximum"]:
        yield at.fault("is too large")


def _array_problems(schema: Schema, value: list[Any], at: Place) -> Iterator[Problem]:
    length, most = len(value), schema.get("maxItems")
    if (most is not None and length > most) or length < schema.get("minItems", 0):
        entries = f"{length:,} {'entry' if length == 1 else 'entries'}"
        yield at.fault(f"has {entries}" if length else "is empty")
        return
    for n, each in enumerate(value if "items" in schema else []):
        inside = Place(
            pointer=pointer_below(at.pointer, n),
            part=f"an entry in `{at.field}`",
            field=at.field,
            schema=at.schema,
        )
        yield from problems(schema["items"], each, inside)


def _object_problems(
    schema: Schema, value: Mapping[str, Any], at: Place, elsewhere: Mapping[str, str] | None
) -> Iterator[Problem]:
    fields: Mapping[str, Schema] = schema.get("properties", {})
    required = schema.get("required", [])
    for name, field in fields.items():
        inside = place(pointer_below(at.pointer, name), name, field)
        if name in value:
            yield from problems(field, value[name], inside)
        elif name in required:
            yield inside.fault("is missing")
    if schema.get("additionalProperties") is False:
        for name in value:
            if name not in fields:
                pointer = pointer_below(at.pointer, name)
                yield {"pointer": pointer, "detail": unknown_field(name, fields, elsewhere)}


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression as JSON Schema means it: `$` is the end of the text, not a line's, and
    `\\d` is a digit of ASCII. Raises re.error."""
    end = pattern.endswith("$") and not pattern.endswith("\\$")
    return re.compile(rf"{pattern[:-1]}\Z" if end else pattern, re.ASCII)
