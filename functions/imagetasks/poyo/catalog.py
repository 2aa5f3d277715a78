"""The model catalog in PoYo's shape, made from the table in `models`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from imagetasks.errors import InvalidParameter
from imagetasks.poyo.models import (
    CREDITS_PER_IMAGE,
    CUSTOM_SIZE,
    MAX_EDGE_PX,
    MODELS,
    PIXEL_RANGE,
    ModelSpec,
)
from imagetasks.tasks.image_reference import HTTPS, ID, SCHEME

USD_PER_CREDIT = 0.005
DEFAULT_PAGE_SIZE = 50
QUERY = ("limit", "cursor", "category", "service_type", "q", "tags")

# A visible character in any regex dialect, except that rare combining marks count as visible.
NOT_BLANK = (
    r"[^\s\x00-\x20\x7f-\xa0\xad\u0300-\u036f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u20d0-\u20f0\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]"
)
IMAGE = f"^(?:{HTTPS.pattern}|{SCHEME}{ID.pattern})$"
INTEGER = re.compile(r"[0-9]{1,5}")  # the form of `limit` and `cursor`


class Billing(TypedDict):
    """Credits for one image by quality and billed resolution, and the price of a credit."""

    unit: Literal["credit"]
    usd_per_credit: float
    credits: Mapping[str, Mapping[str, float]]


class ModelEntry(TypedDict):
    """A model in PoYo's shape; `input_schema` is the JSON Schema of an order's `input`."""

    model_id: str
    tool_name: str
    service_type: Literal["generate"]
    category: Literal["image"]
    title: str
    description: str
    tags: Sequence[str]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    examples: Sequence[Mapping[str, Any]]
    supported_protocols: Sequence[str]
    execution_mode: Literal["async"]
    supports_streaming: bool
    supports_callback: bool
    billing: Billing
    status: Literal["active"]


class ModelPage(TypedDict):
    """A page of models and the cursor of the next page."""

    schema_version: str
    items: Sequence[ModelEntry]
    next_cursor: str | None
    has_more: bool


def model_entry(model: str) -> ModelEntry:
    """One model. Raises KeyError for an unknown name."""
    spec = MODELS[model]
    return {
        "model_id": model,
        "tool_name": model.replace("-", "_"),
        "service_type": "generate",
        "category": "image",
        "title": spec.title,
        "description": f"{spec.title}: one image for one prompt.",
        "tags": ["image-to-image" if spec.images_min else "text-to-image"],
        "input_schema": input_schema(spec),
        "output_schema": OUTPUT_SCHEMA,
        "examples": [{"prompt": "A lighthouse at dusk", "size": "3:2", "quality": "low"}],
        "supported_protocols": ["rest"],
        "execution_mode": "async",
        "supports_streaming": False,
        "supports_callback": True,
        "billing": {"unit": "credit", "usd_per_credit": USD_PER_CREDIT, "credits": _prices()},
        "status": "active",
    }


def list_models(query: Mapping[str, str]) -> ModelPage:
    """The models that match `query`. Raises InvalidParameter if its limit or cursor is not a number."""
    found = [each for each in map(model_entry, MODELS) if _matches(each, query)]
    start = _integer(query, "cursor", default=0, least=0)
    limit = _integer(query, "limit", default=DEFAULT_PAGE_SIZE, least=1)
    end = start + limit
    more = end < len(found)
    return {
        "schema_version": "1.0",
        "items": found[start:end],
        "next_cursor": str(end) if more else None,
        "has_more": more,
    }


OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "file_url": {"type": "string", "format": "uri"},
                    "file_type": {"const": "image"},
                },
            },
        }
    },
}


def _integer(query: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not INTEGER.fullmatch(text) or int(text) < least:
        raise InvalidParameter(name, f"must be a whole number from {least} to 99999")
    return int(text)


def _matches(entry: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    exact = all(
        entry[name] == query.get(name, entry[name]) for name in ("category", "service_type")
    )
    tagged = all(tag in entry["tags"] for tag in query.get("tags", "").split(",") if tag)
    return exact and tagged and query.get("q", "").lower() in json.dumps(entry).lower()


def input_schema(spec: ModelSpec) -> dict[str, Any]:
    """JSON Schema of an order's `input`: as strict as the validation, except for the arithmetic of a
    custom size (see models.size_error) and invisible characters, which JSON Schema cannot express. Null
    means that a field is absent."""
    required = ["prompt", "image_urls"] if spec.images_min else ["prompt"]
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": {
            name: field if name in required else _nullable(field)
            for name, field in _fields(spec).items()
        },
        "if": {
            "required": ["size"],
            "properties": {"size": {"type": "string", "pattern": "x"}},
        },
        "then": {
            "required": ["resolution"],
            "properties": {
                "resolution": {"enum": [each for each in spec.resolutions if each != "1K"]}
            },
        },
    }


def _nullable(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field that may be null."""
    allowed = {"enum": [*field["enum"], None]} if "enum" in field else {}
    return {**field, **allowed, "type": [field["type"], "null"]}


def _fields(spec: ModelSpec) -> dict[str, dict[str, Any]]:
    """The schemas of the fields of an order's `input`."""
    return {
        "prompt": {
            "type": "string",
            "minLength": 1,
            "maxLength": spec.prompt_max,
            "pattern": NOT_BLANK,
        },
        "quality": {"type": "string", "enum": list(spec.qualities), "default": "low"},
        "size": _sizes(spec),
        "resolution": {"type": "string", "enum": list(spec.resolutions), "default": "1K"},
        "image_urls": {
            "type": "array",
            "items": {"type": "string", "maxLength": 2048, "pattern": IMAGE},
            "minItems": spec.images_min,
            "maxItems": spec.images_max,
        },
    }


def _sizes(spec: ModelSpec) -> dict[str, Any]:
    named = ["auto", *spec.ratios]
    return {
        "type": "string",
        "default": "auto",
        "pattern": f"^(?:{'|'.join(named)}|{CUSTOM_SIZE.pattern})$",
        "description": f"{', '.join(named)}, or WIDTHxHEIGHT in pixels at 2K or 4K: multiples of 16, "
        f"at most {MAX_EDGE_PX} and 3:1, {PIXEL_RANGE[0]:,} to {PIXEL_RANGE[1]:,} pixels",
    }


def _prices() -> dict[str, dict[str, float]]:
    """Credits for one image by quality and billed resolution."""
    prices: dict[str, dict[str, float]] = {}
    for (quality, resolution), price in CREDITS_PER_IMAGE.items():
        prices.setdefault(quality, {})[resolution] = float(price)
    return prices
