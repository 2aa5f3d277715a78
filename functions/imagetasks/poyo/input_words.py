"""The words for what is wrong with a field of an order's `input`, and for what is allowed there."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]

MAX_ERRORS = 20  # named in one response
MAX_NAME_CHARS = 64  # of a caller's own name that is repeated
SIMILAR = 0.75  # a slip of the pen; less is another field, as `mask_url` is not `image_urls`
SAME_FIELD = (  # names that similar APIs, and PoYo's own models, have for one field
    ("size", "aspect_ratio", "aspectRatio", "ratio", "image_size"),
    ("image_urls", "images", "image", "input_urls", "input_image", "input_images", "image_input"),
    ("mask_url", "mask", "mask_image", "mask_image_url"),
    ("output_format", "format", "outputFormat"),
    ("n", "num_images", "number_of_images"),
    ("callback_url", "webhook", "webhook_url", "webhookUrl"),
)
PLURALS = {"array": "arrays", "object": "objects", "string": "strings"}


def pointer_below(pointer: str, name: str | int) -> str:
    """The JSON pointer (RFC 6901) of a member or an element of what `pointer` names. A name that is
    too long to be repeated is left out: the pointer then names what has it."""
    text = str(name)
    if len(text) > MAX_NAME_CHARS:
        return pointer
    return f"{pointer}/{text.replace('~', '~0').replace('/', '~1')}"


def json_type(value: Any) -> str:
    """What JSON calls `value`, with its article."""
    names = {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")


def unknown_field(
    name: str, known: Collection[str], elsewhere: Mapping[str, str] | None = None
) -> str:
    """What is said of a field that does not exist, with the one that was probably meant: one of those
    `known` here, or one of those `elsewhere`, each with the words for where it is."""
    places = {**(elsewhere or {}), **{each: each for each in known}}
    alias = [each for names in SAME_FIELD if name in names for each in names if each in places]
    similar = alias or difflib.get_close_matches(name[: 2 * MAX_NAME_CHARS], places, 1, SIMILAR)
    suggestion = f"; did you mean {places[similar[0]]}?" if similar else ""
    return f"unknown field, allowed are {', '.join(known)}{suggestion}"


def one_of(words: Iterable[Any]) -> str:
    """The words as a choice: "2K or 4K"."""
    texts = [str(each) for each in words]
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def described(schema: Schema) -> str:
    """What a schema allows, to follow "must be"."""
    if "oneOf" in schema:
        return ", or ".join(described(each) for each in schema["oneOf"])
    if "enum" in schema:
        return _choice([each for each in schema["enum"] if each is not None])
    if "const" in schema:
        return _text(schema["const"])
    if "pattern" in schema and "title" in schema:
        return str(schema["title"])
    kinds = schema.get("type", [])
    kind = kinds if isinstance(kinds, str) else next((each for each in kinds if each != "null"), "")
    return _KINDS.get(kind, _anything)(schema)


def _choice(allowed: list[Any]) -> str:
    texts = [_text(each) for each in allowed]
    first = "auto, " if len(texts) > 1 and texts[0] == "auto" else ""
    rest = texts[1:] if first else texts
    return f"{first}{'one of ' if len(rest) > 1 else ''}{', '.join(rest)}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _string(schema: Schema) -> str:
    noun = "an address" if schema.get("format") == "uri" else "a string"
    return noun + _range(schema, "minLength", "maxLength", "characters")


def _array(schema: Schema) -> str:
    items = schema.get("items", {})
    noun = (
        "addresses"
        if items.get("format") == "uri"
        else PLURALS.get(str(items.get("type")), "entries")
    )
    text = "an array" + _range(schema, "minItems", "maxItems", noun)
    return f"{text}, each a string" if noun == "addresses" else text


def _object(schema: Schema) -> str:
    names = [*schema.get("required", schema.get("properties", {}))]
    return f"an object with {' and '.join(names)}" if names else "an object"


def _integer(schema: Schema) -> str:
    return f"a whole {_number(schema).removeprefix('a ')}"


def _number(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"a number from {least:,} to {most:,}"
    if least is not None:
        return f"a number of at least {least:,}"
    return "a number" if most is None else f"a number of at most {most:,}"


def _boolean(_: Schema) -> str:
    return "true or false"


def _anything(_: Schema) -> str:
    return "a value of another kind"


_KINDS = {
    "string": _string,
    "array": _array,
    "object": _object,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def _range(schema: Schema, least_name: str, most_name: str, unit: str) -> str:
    least, most = schema.get(least_name, 0), schema.get(most_name)
    if most is None:
        return f" of at least {least:,} {unit}" if least else f" of {unit}" * (unit != "characters")
    if least == most:
        return f" of {most:,} {unit}"
    return f" of {least:,} to {most:,} {unit}" if least else f" of up to {most:,} {unit}"
