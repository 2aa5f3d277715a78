"""`python -m scripts.make_models [--check]`: make the bundled catalogue `models.json` from the facts of
PoYo's models (`catalog/facts.json`) and what is our own (`catalog/overlay/`)."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imagetasks.poyo import model_catalog
from imagetasks.poyo.model_facts import billing_facts, digests, input_facts, is_image_model
from scripts.model_checks import defects

ROOT = Path(__file__).parents[1]
CATALOG = ROOT / "catalog"
SCHEMA_VERSION = "1.0"

FIELDS = (  # the order in which fields are shown and named
    "prompt", "quality", "size", "aspect_ratio", "resolution", "background", "output_format", "n",
    "image_urls", "mask_url",
)  # fmt: skip
# Our own bounds where PoYo publishes none.
PROMPT_CHARS, TEXT_CHARS, ADDRESSES, IMAGES = 20_000, 5_000, 16, 4
LEAST_INTEGER, MOST_INTEGER = 0, 2_147_483_647

Json = dict[str, Any]
MALFORMED = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, re.error,
)  # fmt: skip


class Unusable(Exception):
    """The catalogue cannot be made: which model is the reason, and why."""


def make(items: Iterable[Mapping[str, Any]], overlay: Mapping[str, Json]) -> str:
    """The text of `models.json` for the image models among `items`, which are in PoYo's shape, and the
    `overlay` of each by id. Raises Unusable."""
    entries: dict[str, Json] = {}
    for item in items:
        name = str(item["model_id"])
        if not is_image_model(item):
            continue
        if name in entries:
            raise Unusable(f"{name}: there are two models with this id")
        with _unusable_if_malformed(name):
            entries[name] = entry(item, overlay.get(name, {}))
    lines = [_line(entries[name]) for name in sorted(entries)]
    head = f'{{"schema_version":"{SCHEMA_VERSION}","items":[\n'
    text = head + ",\n".join(lines) + "\n]}\n"
    _check(text)
    return text


def entry(item: Mapping[str, Any], ours: Mapping[str, Any]) -> Json:
    """A model's entry: PoYo's facts, bounded, with our texts, examples, rules and corrections."""
    name = str(item["model_id"])
    patched = merged(input_facts(item), ours.get("input", {}))
    schema = _bounded_object({**patched, "additionalProperties": False})
    return {
        "model_id": name,
        "category": item["category"],
        "title": ours.get("title", name),
        "description": ours.get("description", "An image model that PoYo sells."),
        "tags": _tags(schema),
        "input_schema": schema,
        "examples": ours.get("examples") or [_smallest_example(schema)],
        "billing": merged(billing_facts(item), ours.get("billing", {})),
        "rules": ours.get("rules", {}),
        "timing": ours.get("timing", {}),
        "facts": digests(item),
    }


def merged(target: Any, patch: Any, *, final: bool = True) -> Any:
    """`target` with `patch` applied as a JSON merge patch (RFC 7396): null removes a member. Unless it
    is `final`, null stays, so that the result is itself a patch: both, one after the other."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, each in patch.items():
        if each is None and final:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), each, final=final)
    return result


def read_overlay(folder: Path) -> dict[str, Json]:
    """What is our own about each model, by id. A file describes a family: what is `shared` by its
    `models`, what those for editing have beside it, and what each model has. Raises Unusable."""
    overlay: dict[str, Json] = {}
    for path in sorted(folder.glob("*.json")):
        family = json.loads(path.read_text(encoding="utf-8"))
        for name, own in family["models"].items():
            if name in overlay:
                raise Unusable(f"{name}: it is described twice, again in {path.name}")
            edit = family.get("edit", {}) if "-edit" in name else {}
            shared = merged(family.get("shared", {}), edit, final=False)
            overlay[name] = merged(shared, own, final=False)
    return overlay


def _line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _check(text: str) -> None:
    for name, model in model_catalog.read(text).items():
        with _unusable_if_malformed(name):
            for defect in defects(model):
                raise Unusable(f"{name}: {defect}")


@contextmanager
def _unusable_if_malformed(name: str) -> Iterator[None]:
    """Raise Unusable where a model has a text instead of an object, or the like."""
    try:
        yield
    except MALFORMED as error:
        raise Unusable(f"{name}: it has an unexpected form ({type(error).__name__})") from error


def _bounded_object(schema: Json) -> Json:
    """An object's schema with our bounds where there are none, and its fields in our order."""
    fields: Json = schema.get("properties", {})
    order = [*(each for each in FIELDS if each in fields), *sorted(fields.keys() - {*FIELDS})]
    required = schema.get("required", [])
    bounded = {name: _bounded(fields[name], name) for name in order}
    for name, each in bounded.items():
        if name not in required and each.get("minItems") == 1:
            bounded[name] = merged(each, {"minItems": None})  # an empty array is an absent one
    return {"type": "object", **schema, "properties": bounded}


def _bounded(schema: Json, name: str) -> Json:
    """A field's schema with our bounds where there are none."""
    if {"enum", "const"} & schema.keys():
        return schema
    if "oneOf" in schema:
        schema = {**schema, "oneOf": [_bounded(each, name) for each in schema["oneOf"]]}
    bounds: Mapping[str, Json] = {
        "string": _string_bounds(schema, name),
        "integer": {"minimum": 1, "maximum": IMAGES}
        if name == "n"
        else {"minimum": LEAST_INTEGER, "maximum": MOST_INTEGER},
        "array": {"maxItems": ADDRESSES},
    }
    result = {**bounds.get(str(schema.get("type")), {}), **schema}
    if "items" in result:
        result["items"] = _bounded(result["items"], f"{name} of an entry")
    return _bounded_object(result) if result.get("type") == "object" else result


def _string_bounds(schema: Json, name: str) -> Json:
    if schema.get("format") == "uri":
        return {}  # an address is checked, with its length, by who takes the order
    return (
        {"minLength": 1, "maxLength": PROMPT_CHARS}
        if name == "prompt"
        else {"maxLength": TEXT_CHARS}
    )


def _tags(schema: Json) -> list[str]:
    takes = "image_urls" in schema["properties"]
    needs = "image_urls" in schema.get("required", ())
    return [*["text-to-image"] * (not needs), *["image-to-image"] * takes]


def _smallest_example(schema: Json) -> Json:
    """An input with the required fields alone, the first value of each."""
    fields, required = schema["properties"], {"prompt", *schema.get("required", [])}
    return {name: _smallest(each, name) for name, each in fields.items() if name in required}


def _smallest(schema: Json, name: str) -> Any:
    if name == "prompt":
        return "A lighthouse at dusk"
    if name == "image_urls":
        return ["https://images.example.com/lighthouse.png"]
    return schema.get("default", schema.get("enum", [None])[0])


def unused(overlay: Mapping[str, Json], items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The ids that the overlay describes and the catalogue does not have any more."""
    yield from sorted(overlay.keys() - {each["model_id"] for each in items})


def main() -> int:
    """Write the file, or with --check compare it. 1: it cannot be made, or is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.make_models", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args().check
    items = json.loads((CATALOG / "facts.json").read_text(encoding="utf-8"))["items"]
    try:
        text = make(items, read_overlay(CATALOG / "overlay"))
    except Unusable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not check:
        model_catalog.FILE.write_text(text, encoding="utf-8")
    elif model_catalog.FILE.read_text(encoding="utf-8") != text:
        sys.stderr.write("models.json is not up to date: run python -m scripts.make_models\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
