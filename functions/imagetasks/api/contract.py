"""The OpenAPI document as this deployment serves it."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "openapi.json"
ANY_INPUT = {
    "type": "object",
    "description": "What to draw: as the `input_schema` of the model says in `GET /v1/catalog/models/{model}`.",
    "required": ["prompt"],
}


def contract(models: Collection[str]) -> str:
    """The generated document with `models` in the place of those that the template offers by default."""
    text = FILE.read_text()
    document = json.loads(text)
    default = document["components"]["schemas"]["TaskRequest"]["properties"]["model"]["enum"]
    if default == list(models):
        return text
    served = _with_models(document, default, list(models))
    if not set(models) <= set(default):
        served["components"]["schemas"]["TaskInput"] = ANY_INPUT
    return json.dumps(served, ensure_ascii=False)


def _with_models(part: Any, default: list[str], models: list[str]) -> Any:
    """The part of the document in which each choice among the default models is one among `models`."""
    if isinstance(part, list):
        return models if part == default else [_with_models(each, default, models) for each in part]
    if isinstance(part, dict):
        return {name: _with_models(each, default, models) for name, each in part.items()}
    return part
