"""The catalogue in PoYo's shape, from the one table of rules: what there is and what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from imagetasks.pricing import CREDITS, MODELS, Rules

USD_PER_CREDIT = 0.005
USUAL_PAGE = 50
QUERY = ("limit", "cursor", "category", "service_type", "q", "tags")


def item(model: str) -> dict[str, Any]:
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
        "input_schema": _input_schema(rules),
        "output_schema": OUTPUT_SCHEMA,
        "examples": [{"prompt": "A lighthouse at dusk", "size": "3:2", "quality": "low"}],
        "supported_protocols": ["rest"],
        "execution_mode": "async",
        "supports_streaming": False,
        "supports_callback": True,
        "billing": {"unit": "credit", "usd_per_credit": USD_PER_CREDIT, "credits": _prices()},
        "status": "active",
    }


def page(asked: Mapping[str, str]) -> dict[str, Any]:
    """The models that answer to `asked`. Raises ValueError when its limit or cursor is no number."""
    found = [each for each in map(item, MODELS) if _matches(each, asked)]
    start, limit = int(asked.get("cursor", "0")), int(asked.get("limit", USUAL_PAGE))
    if start < 0 or limit < 1:
        raise ValueError("limit and cursor count upwards")
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


def _matches(found: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    exact = all(
        found[name] == asked.get(name, found[name]) for name in ("category", "service_type")
    )
    tagged = all(tag in found["tags"] for tag in asked.get("tags", "").split(",") if tag)
    return exact and tagged and asked.get("q", "").lower() in json.dumps(found).lower()


def _input_schema(rules: Rules) -> dict[str, Any]:
    sizes = f"auto, {', '.join(rules.ratios)}, or WIDTHxHEIGHT in pixels"
    images = {
        "type": "array",
        "items": {"type": "string", "format": "uri"},
        "minItems": rules.images_min,
        "maxItems": rules.images_max,
    }
    return {
        "type": "object",
        "required": ["prompt", "image_urls"] if rules.images_min else ["prompt"],
        "additionalProperties": False,
        "properties": {
            "prompt": {"type": "string", "minLength": 1, "maxLength": rules.prompt_max},
            "quality": {"type": "string", "enum": list(rules.qualities), "default": "low"},
            "size": {"type": "string", "default": "auto", "description": sizes},
            "resolution": {"type": "string", "enum": list(rules.resolutions), "default": "1K"},
            "image_urls": images,
        },
    }


def _prices() -> dict[str, dict[str, float]]:
    """Credits an image, by quality and billed resolution."""
    prices: dict[str, dict[str, float]] = {}
    for (quality, resolution), price in CREDITS.items():
        prices.setdefault(quality, {})[resolution] = float(price)
    return prices
