"""What is wrong with one field: a JSON pointer (RFC 6901), and a sentence that says what is allowed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from imagetasks.poyo.input_words import MAX_NAME_CHARS, json_type, pointer_below, unknown_field
from imagetasks.poyo.meant_model import meant_model
from imagetasks.tasks.image_format import EXTENSIONS

MAX_URL_CHARS = 2048
MAX_VALUE_CHARS = 256  # of a value of `metadata`
MAX_METADATA = 16
MAX_LISTED = 12  # models that a sentence names

# By field; what is allowed for `model` is for the deployment to say.
ALLOWED: Mapping[str, str] = {
    "input": "an object with a prompt",
    "metadata": f"an object of up to {MAX_METADATA} strings, with names of 1 to {MAX_NAME_CHARS} and "
    f"values of up to {MAX_VALUE_CHARS} characters",
    "max_credits": "a number greater than 0",
    "callback_url": f"a public https URL of up to {MAX_URL_CHARS} characters",
    "content_type": f"one of {', '.join(EXTENSIONS)}",
}
MODEL = "/model"


def field_error(pointer: str, detail: str) -> Mapping[str, str]:
    """One entry of a problem's `errors`."""
    return {"pointer": pointer, "detail": detail}


def one_of_models(models: Collection[str]) -> str:
    """The models of which an order names one, to follow "must be"."""
    if not models:
        return "a model that this service offers, and it offers none"
    if len(models) > MAX_LISTED:
        return f"one of the {len(models)} models that GET /v1/catalog/models lists"
    return f"one of {', '.join(models)}"


def unknown_model(models: Collection[str], name: str = "") -> Mapping[str, str]:
    """The error of an order that names a model which is none of `models`, with the one that is meant."""
    meant = meant_model(name, models)
    suggestion = f"; did you mean {meant}?" if meant else ""
    return field_error(MODEL, f"must be {one_of_models(models)}{suggestion}")


def is_unknown_model(errors: Sequence[Mapping[str, str]]) -> bool:
    """Whether an unknown model is all that is wrong with an order."""
    named = [each for each in errors if each.get("pointer") == MODEL]
    return len(errors) == 1 and any(each["detail"].startswith("must be ") for each in named)


def from_validation(
    error: Mapping[str, Any],
    known: Collection[str],
    elsewhere: Mapping[str, str],
    allowed: Mapping[str, str],
) -> Mapping[str, str]:
    """One error of pydantic in our words; the caller's value is never repeated. `known` are the fields
    of the body and `allowed` what they may be; `elsewhere` are fields of its objects, and where they
    are."""
    path = list(error["loc"])
    in_name = len(path) > 2 and path[-1] == KEY  # a shorter path ends with a name of the caller
    if in_name:
        path.pop()
    pointer = ""
    for name in path:
        pointer = pointer_below(pointer, name)
    if error["type"] == "extra_forbidden":
        return field_error(pointer, unknown_field(str(path[-1]), known, elsewhere))
    field, part = path[0], f"`{path[0]}`"
    if len(path) > 1:
        part = f"{'a name' if in_name else 'an entry'} in {part}"
    return field_error(pointer, f"{part} {_fault(error)}; `{field}` must be {allowed[field]}")


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
