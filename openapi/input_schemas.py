"""JSON Schemas of an order's `input`: one for each model or group of models with the same rules, and one
that has the fields of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from imagetasks.poyo.model_catalog import Model
from imagetasks.poyo.served_schema import served_schema
from openapi.offered import MODELS
from openapi.parameters import Schema


def input_schemas() -> dict[str, Schema]:
    """The schemas by public name."""
    groups = {name: schema for name, (schema, _) in _groups().items()}
    fields: dict[str, list[Schema]] = {}
    for schema in groups.values():
        for name, each in schema["properties"].items():
            found = fields.setdefault(name, [])
            found += [each] if each not in found else []
    every: Schema = {
        "type": "object",
        "description": "What to draw. Which fields there are and what they may be depends on the model: its "
        "`input_schema` in `GET /v1/catalog/models/{model}` says it.",
        "required": ["prompt"],
        "additionalProperties": False,
        "properties": {name: _any_of(found) for name, found in fields.items()},
    }
    return {**groups, "TaskInput": every}


def by_model(ref: str) -> Iterator[Schema]:
    """What the model says of the input, as `if` it is one of these models `then`. `ref` is the form of a
    reference to a schema."""
    for name, (_, models) in _groups().items():
        yield {
            "if": {"properties": {"model": {"enum": models}}},
            "then": {"properties": {"input": {"$ref": ref.format(model=name)}}},
        }


def or_null(schema: Mapping[str, Any]) -> Schema:
    """The schema of a field that may be null, in the form that every generator reads."""
    outer = {k: v for k, v in schema.items() if k == "description" or (k == "default" and v)}
    inner = {k: v for k, v in schema.items() if k not in ("default", "description")}
    return {"anyOf": [inner, {"type": "null"}], **outer}


def _any_of(found: list[Schema]) -> Schema:
    """One schema for a field that some models have. It has no default: a generated client would send that
    to the other models, too, which refuse the field."""
    if len(found) == 1:
        return {name: value for name, value in found[0].items() if name != "default"}
    branches: list[Schema] = []
    for each in found:
        inner = {k: v for k, v in each.items() if k not in ("default", "description")}
        for branch in inner.get("anyOf", [inner]):
            branches += [branch] if branch not in branches else []
    return {"anyOf": branches}


@cache
def _groups() -> Mapping[str, tuple[Schema, list[str]]]:
    """Schemas by public name, each with the models whose input it describes."""
    groups: dict[str, tuple[Schema, list[str]]] = {}
    by_text: dict[str, str] = {}
    for name, model in MODELS.items():
        schema = served_schema(model, or_null)
        public = by_text.setdefault(json.dumps(schema, sort_keys=True), _public_name(model))
        groups.setdefault(public, (schema, []))[1].append(name)
    return groups


def _public_name(model: Model) -> str:
    """The name of the schema: that of the first model which has it."""
    words = model.model_id.replace(".", "-").split("-")
    return "".join(each.capitalize() for each in words) + "Input"
