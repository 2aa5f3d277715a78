"""The catalogue in PoYo's shape, from the one table of rules: what there is and what it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

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

NOT_BLANK = r"[^\s\x1c-\x1f\x85]"  # what Python strips of a text, in every dialect of patterns
IMAGE = f"^(?:{HTTPS.pattern}|{SCHEME}{ID.pattern})$"
WHOLE = re.compile(r"[0-9]{1,5}")  # what `limit` and `cursor` are written as


class Billing(TypedDict):
    """Credits an image by quality and billed resolution, and what a credit costs."""

    unit: Literal["credit"]
    usd_per_credit: float
    credits: Mapping[str, Mapping[str, float]]


class Model(TypedDict):
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


class Page(TypedDict):
    """Models, and where the next page begins."""

    schema_version: str
    items: Sequence[Model]
    next_cursor: str | None
    has_more: bool


def model_entry(model: str) -> Model:
    """One model. Raises KeyError when there is none of that name."""
    rules = MODELS[model]
    return {
        "model_id": model,
        "tool_name": model.replace("-", "_"),
        "service_type": "generate",
        "category": "image",
        "title": rules.title,
        "description": f"{rules.title}: one image for one prompt.",
        "tags": ["image-to-image" if rules.images_min else "text-to-image"],
        "input_schema": input_schema(rules),
        "output_schema": OUTPUT_SCHEMA,
        "examples": [{"prompt": "A lighthouse at dusk", "size": "3:2", "quality": "low"}],
        "supported_protocols": ["rest"],
        "execution_mode": "async",
        "supports_streaming": False,
        "supports_callback": True,
        "billing": {"unit": "credit", "usd_per_credit": USD_PER_CREDIT, "credits": _prices()},
        "status": "active",
    }


def list_models(asked: Mapping[str, str]) -> Page:
    """The models that answer to `asked`. Raises ValueError when its limit or cursor is no number."""
    found = [each for each in map(model_entry, MODELS) if _matches(each, asked)]
    start, limit = (
        _integer(asked.get("cursor", "0")),
        _integer(asked.get("limit", str(DEFAULT_PAGE_SIZE))),
    )
    if limit < 1:
        raise ValueError("a page has one model at least")
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


def _integer(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


def _matches(found: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    exact = all(
        found[name] == asked.get(name, found[name]) for name in ("category", "service_type")
    )
    tagged = all(tag in found["tags"] for tag in asked.get("tags", "").split(",") if tag)
    return exact and tagged and asked.get("q", "").lower() in json.dumps(found).lower()


def input_schema(rules: ModelSpec) -> dict[str, Any]:
    """JSON Schema of an order's `input`: as strict as the validation, but for a custom size's
    arithmetic (see pricing.size_problem), which JSON Schema cannot do."""
    return {
        "type": "object",
        "required": ["prompt", "image_urls"] if rules.images_min else ["prompt"],
        "additionalProperties": False,
        "properties": {
            "prompt": {
                "type": "string",
                "minLength": 1,
                "maxLength": rules.prompt_max,
                "pattern": NOT_BLANK,
            },
            "quality": {"type": "string", "enum": list(rules.qualities), "default": "low"},
            "size": _sizes(rules),
            "resolution": {"type": "string", "enum": list(rules.resolutions), "default": "1K"},
            "image_urls": {
                "type": "array",
                "items": {"type": "string", "maxLength": 2048, "pattern": IMAGE},
                "minItems": rules.images_min,
                "maxItems": rules.images_max,
            },
        },
        "if": {"required": ["size"], "properties": {"size": {"pattern": "x"}}},
        "then": {
            "required": ["resolution"],
            "properties": {
                "resolution": {"enum": [each for each in rules.resolutions if each != "1K"]}
            },
        },
    }


def _sizes(rules: ModelSpec) -> dict[str, Any]:
    named = ["auto", *rules.ratios]
    return {
        "type": "string",
        "default": "auto",
        "pattern": f"^(?:{'|'.join(named)}|{CUSTOM_SIZE.pattern})$",
        "description": f"{', '.join(named)}, or WIDTHxHEIGHT in pixels at 2K or 4K: multiples of 16, "
        f"at most {MAX_EDGE_PX} and 3:1, {PIXEL_RANGE[0]:,} to {PIXEL_RANGE[1]:,} pixels",
    }


def _prices() -> dict[str, dict[str, float]]:
    """Credits an image, by quality and billed resolution."""
    prices: dict[str, dict[str, float]] = {}
    for (quality, resolution), price in CREDITS_PER_IMAGE.items():
        prices.setdefault(quality, {})[resolution] = float(price)
    return prices
