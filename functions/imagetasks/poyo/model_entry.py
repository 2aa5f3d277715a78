"""A model in the shape of PoYo's catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetasks.poyo.model_catalog import Model


OUTPUT_SCHEMA: Mapping[str, Any] = {
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


def model_entry(each: Model) -> dict[str, Any]:
    """The model in the shape of PoYo's catalogue, without our own rules; prices are numbers of JSON."""
    return {
        "model_id": each.model_id,
        "tool_name": each.model_id.replace("-", "_").replace(".", "_"),
        "service_type": "generate",
        "category": each.category,
        "title": each.title,
        "description": each.description,
        "tags": list(each.tags),
        "input_schema": each.input_schema,
        "output_schema": OUTPUT_SCHEMA,
        "examples": list(each.examples),
        "supported_protocols": ["rest"],
        "execution_mode": "async",
        "supports_streaming": False,
        "supports_callback": True,
        "billing": _numbers(each.billing),
        "status": "active",
    }


def _numbers(value: Any) -> Any:
    """The value with its decimals as numbers that JSON can have; their text stays the same."""
    if isinstance(value, dict):
        return {name: _numbers(each) for name, each in value.items()}
    return float(value) if isinstance(value, Decimal) else value
