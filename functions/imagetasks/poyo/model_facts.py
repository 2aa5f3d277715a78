"""The facts in PoYo's catalogue about its image models, without its texts: by their digests the bundled
models are compared with a live catalogue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from imagetasks.poyo.model_catalog import Model

Item = Mapping[str, Any]  # a model in PoYo's shape

IMAGE_CATEGORIES = frozenset(("image", "text2img", "img2img", "image_tools"))
NOTES = frozenset(("description", "example", "examples"))  # PoYo's own texts in its schemas
DIGEST_CHARS = 12


def is_image_model(item: Item) -> bool:
    """Whether the model makes images."""
    category = item.get("category")
    return isinstance(category, str) and category in IMAGE_CATEGORIES


def input_facts(item: Item) -> dict[str, Any]:
    """The schema of the model's input without texts."""
    found: dict[str, Any] = _without_notes(item["input_schema"])
    return found


def billing_facts(item: Item) -> dict[str, Any]:
    """What the model costs, without texts and without what is null."""
    billing = item["billing"].items()
    return {name: each for name, each in billing if each is not None and name != "display"}


def digests(item: Item) -> dict[str, str]:
    """A short digest of the facts about the input and of those about the price; the order of members
    does not matter, and 2 is 2.0."""
    return {"input": _digest(input_facts(item)), "billing": _digest(billing_facts(item))}


def drift(bundled: Mapping[str, Model], live: Iterable[Item]) -> dict[str, str]:
    """By id, in which way a live catalogue differs from the bundled models: `new`, `gone`, `input`,
    `billing`, or `input and billing`."""
    now = {str(each["model_id"]): digests(each) for each in live if is_image_model(each)}
    found = dict.fromkeys(now.keys() - bundled.keys(), "new")
    for name, model in bundled.items():
        differing = [
            part for part, each in model.facts.items() if now.get(name, {}).get(part) != each
        ]
        if differing:
            found[name] = " and ".join(differing) if name in now else "gone"
    return dict(sorted(found.items()))


def _without_notes(value: Any) -> Any:
    """A schema without the keywords in NOTES; a field may have such a name."""
    if isinstance(value, list):
        return [_without_notes(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: {field: _without_notes(schema) for field, schema in each.items()}
        if name == "properties" and isinstance(each, dict)
        else _without_notes(each)
        for name, each in value.items()
        if name not in NOTES
    }


def _digest(value: Any) -> str:
    text = json.dumps(_plain(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]


def _plain(value: Any) -> Any:
    """The value with each number as the same float, whatever it was read as, if a float can be that."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | bool):
        return value
    try:
        return float(value)
    except OverflowError:
        return str(value)
