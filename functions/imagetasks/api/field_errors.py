"""What is wrong with one field: a JSON pointer (RFC 6901), and a sentence that says what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from imagetasks.poyo import models
from imagetasks.tasks.image_format import EXTENSIONS

MAX_ERRORS = 20  # named in one response
MAX_NAME_CHARS = 64  # of a caller's own name that is repeated
MAX_PROMPT_CHARS = max(spec.prompt_max for spec in models.MODELS.values())
MAX_IMAGES = max(spec.images_max for spec in models.MODELS.values())
MAX_URL_CHARS = 2048
MAX_VALUE_CHARS = 256  # of a value of `metadata`
MAX_METADATA = 16

BROADEST = next(iter(models.MODELS.values()))  # its rules accept the orders of every model
# By field; the fields of `input` have other names than those beside it.
ALLOWED: Mapping[str, str] = {
    "model": f"one of {', '.join(models.MODELS)}",
    "input": "an object with a prompt",
    "prompt": f"a string of 1 to {MAX_PROMPT_CHARS:,} characters",
    "quality": f"one of {', '.join(BROADEST.qualities)}",
    "size": "auto, a ratio such as 3:2, or WIDTHxHEIGHT in pixels",
    "resolution": f"one of {', '.join(BROADEST.resolutions)}",
    "image_urls": f"an array of up to {MAX_IMAGES} addresses, each a string",
    "metadata": f"an object of up to {MAX_METADATA} strings, with names of 1 to {MAX_NAME_CHARS} and "
    f"values of up to {MAX_VALUE_CHARS} characters",
    "max_credits": "a number greater than 0",
    "callback_url": f"a public https URL of up to {MAX_URL_CHARS} characters",
    "content_type": f"one of {', '.join(EXTENSIONS)}",
}
FIELD_ALIASES = {  # names of the same field in similar APIs
    **dict.fromkeys(("aspect_ratio", "aspectRatio", "ratio", "image_size"), "size"),
    **dict.fromkeys(
        ("images", "image", "input_urls", "input_image", "input_images", "image_input"),
        "image_urls",
    ),
    **dict.fromkeys(("webhook", "webhook_url", "webhookUrl"), "callback_url"),
}
SIMILAR = 0.75  # a slip of the pen; less is another field, as `mask_url` is not `image_urls`
UNKNOWN_MODEL = {"pointer": "/model", "detail": f"must be {ALLOWED['model']}"}


def field_error(pointer: str, detail: str) -> Mapping[str, str]:
    """One entry of a problem's `errors`."""
    return {"pointer": pointer, "detail": detail}


def pointer_below(pointer: str, name: str | int) -> str:
    """The JSON pointer of a member or an element of what `pointer` names. A name that is too long to
    be repeated is left out: the pointer then names what has it."""
    text = str(name)
    if len(text) > MAX_NAME_CHARS:
        return pointer
    return f"{pointer}/{text.replace('~', '~0').replace('/', '~1')}"


def json_type(value: Any) -> str:
    """What JSON calls `value`, with its article."""
    names = {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")


def from_validation(
    error: Mapping[str, Any], known: Collection[str], elsewhere: Mapping[str, str]
) -> Mapping[str, str]:
    """One error of pydantic in our words; the caller's value is never repeated. `known` are the fields
    of the object that an unknown field is in, `elsewhere` those of the others and where they are."""
    path = list(error["loc"])
    in_name = len(path) > 2 and path[-1] == KEY  # a shorter path ends with a name of the caller
    if in_name:
        path.pop()
    pointer = ""
    for name in path:
        pointer = pointer_below(pointer, name)
    if error["type"] == "extra_forbidden":
        return field_error(pointer, unknown_field(str(path[-1]), known, elsewhere))
    depth = 2 if path[0] == "input" and len(path) > 1 else 1
    field, part = path[depth - 1], f"`{path[depth - 1]}`"
    if len(path) > depth:
        part = f"{'a name' if in_name else 'an entry'} in {part}"
    return field_error(pointer, f"{part} {_fault(error)}; `{field}` must be {ALLOWED[field]}")


KEY = "[key]"  # pydantic's mark of an error in a name and not in its value
FAULTS = {
    "missing": "is missing",
    "string_too_short": "is empty",
    "greater_than": "is too small",
}


def _fault(error: Mapping[str, Any]) -> str:
    """What is wrong with the field."""
    kind, given = str(error["type"]), error.get("input")
    if kind.endswith("_type"):
        return f"is {json_type(given)}"
    if kind in ("string_too_long", "too_long"):
        unit = "characters" if isinstance(given, str) else "entries"
        return f"has {len(given or ''):,} {unit}"
    return FAULTS.get(kind, "is not valid")


def unknown_field(name: str, known: Collection[str], elsewhere: Mapping[str, str]) -> str:
    """The message for an unknown field, with the known field that was probably meant. `elsewhere` are
    fields of other objects, and where they are."""
    places = {**elsewhere, **{each: each for each in known}}
    similar = (
        [FIELD_ALIASES[name]]
        if name in FIELD_ALIASES
        else difflib.get_close_matches(name[: 2 * MAX_NAME_CHARS], places, 1, SIMILAR)
    )
    suggestion = f"; did you mean {places[similar[0]]}?" if similar and similar[0] in places else ""
    return f"unknown field, allowed are {', '.join(known)}{suggestion}"
