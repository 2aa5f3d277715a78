"""A model's `input_schema` as clients read it: as strict as the validation of orders, as far as JSON
Schema can say it. Beyond that are the arithmetic of a custom size, totals and invisible characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imagetasks.tasks.image_reference import HTTPS, ID, SCHEME, TASK_FILE

if TYPE_CHECKING:
    from imagetasks.poyo.model_catalog import Model

Schema = dict[str, Any]

MAX_URL_CHARS = 2048
# A visible character in any regex dialect, except that rare combining marks count as visible.
NOT_BLANK = (
    r"[^\s\x00-\x20\x7f-\xa0\xad\u0300-\u036f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u20d0-\u20f0\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]"
)
IMAGE = f"^(?:{HTTPS.pattern}|{SCHEME}{ID.pattern}|{TASK_FILE.pattern})$"
ABSENT: Sequence[Any] = (None, [])  # what stands for an absent field


def nullable(field: Schema) -> Schema:
    """The schema of a field that may be null."""
    own = {"type": field["type"]} if "type" in field else {}
    found = {**field} | ({"type": [field["type"], "null"]} if own else {})
    if "enum" in field:
        found["enum"] = [*field["enum"], None]
    if "oneOf" in field:
        branches = [{**own, **each} for each in field["oneOf"]]
        found["oneOf"] = [*branches, {"type": "null"}]
    return found


def served_schema(model: Model, optional: Callable[[Schema], Schema] = nullable) -> Schema:
    """JSON Schema of an order's `input`. Null means that a field is absent, which `optional` says of the
    schema of an optional field."""
    required = list(model.input_schema.get("required", ()))
    fields = {name: _field(name, each, required) for name, each in model.fields.items()}
    schema: Schema = {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": {
            name: each if name in required else optional(each) for name, each in fields.items()
        },
    }
    conditions = list(_conditions(model))
    return {**schema, "allOf": conditions} if conditions else schema


def _field(name: str, field: Mapping[str, Any], required: Sequence[str]) -> Schema:
    """The schema of a field; an empty array stands for an absent one."""
    served = _addresses(field)
    if name == "prompt":
        served = {**served, "pattern": NOT_BLANK}
    if served.get("type") == "array":
        least = {"minItems": max(1, served.get("minItems", 1))} if name in required else {}
        served = {k: v for k, v in served.items() if k != "minItems"} | least
    return served


def _addresses(schema: Mapping[str, Any]) -> Schema:
    """The schema with the form of an address in the place of each `uri`."""
    served = dict(schema)
    if served.get("format") == "uri":
        del served["format"]
        return {**served, "maxLength": MAX_URL_CHARS, "pattern": IMAGE}
    if "items" in served:
        served["items"] = _addresses(served["items"])
    if "properties" in served:
        served["properties"] = {k: _addresses(v) for k, v in served["properties"].items()}
    return served


def _conditions(model: Model) -> Iterator[Schema]:
    """The rules across fields, each as `if` this `then` that."""
    for rule in model.rules.get("checks", ()):
        match rule["rule"]:
            case "custom_size":
                yield from _custom_sizes(model, rule)
            case "value_needs":
                allowed = _one_of(model, rule["needs"], rule["allowed"])
                yield {"if": _one_of(model, rule["field"], rule["values"]), "then": allowed}
            case "only_with":
                chosen = _is_there(rule["field"])
                if "values" in rule:
                    chosen = _one_of(model, rule["field"], rule["values"])
                if rule["with"] not in model.defaults():
                    yield {"if": chosen, "then": _is_there(rule["with"])}
            case "needed_without":
                yield {"anyOf": [_is_there(rule["field"]), _is_there(rule["without"])]}


def _custom_sizes(model: Model, rule: Mapping[str, Any]) -> Iterator[Schema]:
    """Which resolutions a size in pixels may have."""
    by_pattern = {"x": rule["resolutions"]}
    for edge, resolutions in rule.get("edge_resolutions", {}).items():
        by_pattern[f"(^|x){edge}(x|$)"] = resolutions
    for pattern, resolutions in by_pattern.items():
        size = {"size": {"type": "string", "pattern": pattern}}
        yield {
            "if": {"required": ["size"], "properties": size},
            "then": _one_of(model, "resolution", resolutions),
        }


def _one_of(model: Model, name: str, values: Sequence[Any]) -> Schema:
    """The field, or its default where it is absent, is one of `values`."""
    if model.defaults().get(name) in values:
        return {"properties": {name: {"enum": [*values, None]}}}
    return {"required": [name], "properties": {name: {"enum": list(values)}}}


def _is_there(name: str) -> Schema:
    """The field is neither absent nor what stands for that."""
    return {"required": [name], "properties": {name: {"not": {"enum": list(ABSENT)}}}}
