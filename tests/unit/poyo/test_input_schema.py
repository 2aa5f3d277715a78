"""The validation of inputs by the part of JSON Schema that PoYo's catalogue uses."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from imagetasks.poyo.input_schema import (
    addresses,
    is_valid,
    place,
    problems,
    subschemas,
)
from imagetasks.poyo.input_words import MAX_ERRORS

Schema = dict[str, Any]

URI: Schema = {"type": "string", "format": "uri"}
SIZE: Schema = {
    "oneOf": [
        {"enum": ["2K", "1:1"]},
        {
            "type": "string",
            "maxLength": 9,
            "pattern": "^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$",
            "title": "WIDTHxHEIGHT in pixels",
        },
        {
            "type": "object",
            "required": ["width", "height"],
            "properties": {
                "width": {"type": "integer", "minimum": 1, "maximum": 9999},
                "height": {"type": "integer", "minimum": 1, "maximum": 9999},
            },
            "additionalProperties": False,
        },
    ]
}
NAMES: Schema = {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "string"}}


def told(schema: Schema, value: object) -> list[tuple[str, str]]:
    """Pointers and details of what is wrong with `value` as the field `/x`."""
    found = problems(schema, value, place("/x", "x", schema))
    return [(each["pointer"], each["detail"]) for each in found]


def inside(field: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": {"a": field}, "additionalProperties": False, **more}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, ""),
        ({"type": "string", "maxLength": 2}, "🗼🗼"),
        ({"type": "string", "minLength": 2}, "e\u0301"),
        ({"type": "integer"}, 10**400),
        ({"type": "integer", "minimum": 1, "maximum": 1}, 1),
        ({"type": "number"}, 1.5),
        ({"type": "number"}, 1),
        ({"type": "number"}, Decimal("1.5")),
        ({"type": "boolean"}, False),
        ({"type": ["string", "null"]}, None),
        ({"enum": [1, 2]}, 2),
        ({"enum": ["a", None]}, None),
        ({"const": "a"}, "a"),
        (NAMES, ["a", "b"]),
        (SIZE, "1:1"),
        (SIZE, "10x9999"),
        (SIZE, {"width": 1, "height": 9999}),
        (inside({"type": "string"}), {}),
        (inside({"type": "string"}, additionalProperties=True), {"b": 1}),
        ({"type": "object", "properties": {}}, {"b": 1}),
    ],
)
def test_value_that_the_schema_allows_has_no_problem(schema: Schema, value: object) -> None:
    assert told(schema, value) == []


@pytest.mark.parametrize(
    ("schema", "value", "pointer", "detail"),
    [
        ({"type": "string"}, 7, "/x", "`x` is a number; `x` must be a string"),
        ({"type": "string"}, None, "/x", "`x` is null; `x` must be a string"),
        ({"type": "boolean"}, 1, "/x", "`x` is a number; `x` must be true or false"),
        ({"type": "integer"}, True, "/x", "`x` is a boolean; `x` must be a whole number"),
        ({"type": "integer"}, 1.0, "/x", "`x` is not a whole number; `x` must be a whole number"),
        ({"type": "number"}, True, "/x", "`x` is a boolean; `x` must be a number"),
        ({"type": "array", "maxItems": 2}, "ab", "/x", "must be an array of up to 2 entries"),
        ({"type": "object", "properties": {}}, [], "/x", "`x` is an array; `x` must be an object"),
        ({"enum": ["a", "b"]}, "c", "/x", "must be one of a, b"),
        ({"enum": ["auto", "1:1", "2:3"]}, "c", "/x", "must be auto, one of 1:1, 2:3"),
        ({"enum": ["auto", "1:1"]}, "c", "/x", "must be auto, 1:1"),
        ({"enum": [1]}, True, "/x", "must be 1"),
        ({"enum": [1]}, 1.0, "/x", "must be 1"),
        ({"const": True}, 1, "/x", "must be true"),
        ({"type": "string", "minLength": 1}, "", "/x", "`x` is empty"),
        ({"type": "string", "minLength": 3}, "a", "/x", "`x` has 1 character; `x` must be a"),
        ({"type": "string", "maxLength": 1000}, "🗼" * 1001, "/x", "`x` has 1,001 characters"),
        ({"type": "integer", "minimum": 1}, 0, "/x", "`x` is too small; `x` must be a whole"),
        ({"type": "integer", "maximum": 4}, 5, "/x", "is too large; `x` must be a whole number of"),
        ({"type": "integer", "minimum": 1, "maximum": 4}, 5, "/x", "a whole number from 1 to 4"),
        ({"type": "number", "minimum": 0}, float("nan"), "/x", "too small"),
        (NAMES, [], "/x", "`x` is empty; `x` must be an array of 2 to 3 strings"),
        (NAMES, ["a"], "/x", "`x` has 1 entry"),
        (NAMES, ["a"] * 4, "/x", "`x` has 4 entries"),
        (NAMES, ["a", 7], "/x/1", "an entry in `x` is a number; `x` must be an array of 2 to 3"),
        (SIZE, "3:1", "/x", "must be one of 2K, 1:1, or WIDTHxHEIGHT in pixels, or an object with"),
        (SIZE, "1024x1024\n", "/x", "WIDTHxHEIGHT in pixels"),
        (SIZE, "10x10\n", "/x", "WIDTHxHEIGHT in pixels"),
        (SIZE, "１０２４x1024", "/x", "WIDTHxHEIGHT in pixels"),
        (SIZE, 7, "/x", "an object with width and height"),
        (SIZE, {"width": 7}, "/x/height", "`height` is missing"),
        (SIZE, {"width": 7, "height": "7"}, "/x/height", "`height` is a string"),
        (SIZE, {"width": 7, "height": None}, "/x/height", "`height` is null"),
        (
            SIZE,
            {"width": 7, "height": 8, "x": 1},
            "/x/x",
            "unknown field, allowed are width, height",
        ),
        (inside(URI), {"a": 7}, "/x/a", "`a` is a number; `a` must be an address"),
        (inside(URI, required=["a"]), {}, "/x/a", "`a` is missing; `a` must be an address"),
        (inside(URI), {"a/b~": 1}, "/x/a~1b~0", "unknown field, allowed are a"),
        (inside(URI), {"a" * 65: 1}, "/x", "unknown field, allowed are a"),
        ({"oneOf": [{"type": "string"}, {"enum": ["a"]}]}, "a", "/x", "must be a string, or a"),
        ({"oneOf": [{"type": "object"}, {"enum": [{}]}]}, {}, "/x", "must be an object, or {}"),
    ],
)
def test_problem_says_where_it_is_what_is_wrong_and_what_is_allowed(
    schema: Schema, value: object, pointer: str, detail: str
) -> None:
    [(found, text)] = told(schema, value)

    assert found == pointer
    assert detail in text


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("aspect_ratio", ["prompt", "size"], "size"),
        ("size", ["prompt", "aspect_ratio"], "aspect_ratio"),
        ("images", ["prompt", "image_urls"], "image_urls"),
        ("mask", ["prompt", "image_urls", "mask_url"], "mask_url"),
        ("promt", ["prompt", "size"], "prompt"),
        ("num_images", ["prompt", "n"], "n"),
        ("mask_url", ["prompt", "image_urls"], None),
        ("images", ["prompt"], None),
        ("webhook_url", ["prompt"], "callback_url beside `input`"),
    ],
)
def test_unknown_field_is_told_the_one_that_was_meant(
    name: str, known: list[str], meant: str | None
) -> None:
    fields = {each: {"type": "string"} for each in known}
    schema = {"type": "object", "properties": fields, "additionalProperties": False}
    elsewhere = {"callback_url": "callback_url beside `input`"}

    [found] = problems(schema, {name: "x"}, place("", "input", schema), elsewhere)

    expected = f"unknown field, allowed are {', '.join(known)}"
    assert found["detail"] == expected + (f"; did you mean {meant}?" if meant else "")


def test_addresses_are_found_wherever_the_schema_has_them() -> None:
    element = inside(URI, additionalProperties=True)
    fields = {"mask_url": URI, "image_urls": {"type": "array", "items": URI}, "text": {}}
    schema = {
        "properties": {**fields, "elements": {"type": "array", "items": element}},
    }
    value = {
        "image_urls": ["i", "j"],
        "elements": [{"a": "k", "b": "no"}],
        "text": "no",
        "mask_url": "m",
    }

    assert dict(addresses(schema, value, "/input")) == {
        "/input/mask_url": "m",
        "/input/image_urls/0": "i",
        "/input/image_urls/1": "j",
        "/input/elements/0/a": "k",
    }


def test_every_schema_in_a_schema_has_a_pointer() -> None:
    schema = {"properties": {"size": SIZE, "names": NAMES}}

    assert [pointer for pointer, _ in subschemas(schema)] == [
        "", "/size", "/size/oneOf/0", "/size/oneOf/1", "/size/oneOf/2", "/size/oneOf/2/width",
        "/size/oneOf/2/height", "/names", "/names/items",
    ]  # fmt: skip


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        {f"f{n}" * 30: n for n in range(100_000)},
        {"size": "1" * 1_000_000},
        {"size": {f"f{n}": n for n in range(100_000)}},
        {"names": ["a"] * 1_000_000},
        {"names": [nested(900)] * 3},
        {"size": nested(900)},
    ],
    ids=range(6),
)
def test_hostile_value_is_refused_in_a_moment(value: dict[str, object]) -> None:
    fields = {"size": SIZE, "names": NAMES}
    schema = {"type": "object", "properties": fields, "additionalProperties": False}
    started = time.process_time()

    found = list(islice(problems(schema, value, place("", "input", schema)), MAX_ERRORS))

    assert 1 <= len(found) <= MAX_ERRORS
    assert time.process_time() - started < 0.5


scalars = (
    st.none() | st.booleans() | st.integers(-2, 5) | st.text("a1x:K", max_size=6)
    | st.sampled_from(["auto", "1:1", "10x10", "1000x20"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda each: (
        st.lists(each, max_size=4)
        | st.dictionaries(st.sampled_from(["width", "height", "a", "b"]), each, max_size=3)
    ),
    max_leaves=6,
)
leaves: st.SearchStrategy[Schema] = st.sampled_from(
    [
        {"type": "string", "minLength": 1, "maxLength": 4},
        {"type": "string", "pattern": "^[0-9]+x[0-9]+$", "maxLength": 9},
        {"type": "integer", "minimum": 0, "maximum": 3},
        {"type": ["boolean", "null"]},
        {"type": "string", "enum": ["auto", "1:1"]},
        {"type": "integer", "enum": [1, 2]},
        {"const": "a"},
        SIZE,
    ]
)
schemas = st.recursive(
    leaves,
    lambda each: (
        st.builds(lambda items: {"type": "array", "maxItems": 3, "items": items}, each)
        | st.builds(lambda one, other: {"oneOf": [one, other]}, each, each)
        | st.builds(lambda field: inside(field, required=["a"]), each)
        | st.builds(lambda field: {"type": "object", "properties": {"width": field}}, each)
    ),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(schema=schemas, value=values)
def test_it_allows_what_json_schema_allows(schema: Schema, value: object) -> None:
    assert is_valid(schema, value) is bool(Draft202012Validator(schema).is_valid(value))
