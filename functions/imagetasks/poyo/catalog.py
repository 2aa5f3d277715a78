"""The model catalog in PoYo's shape, made from the bundled models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from imagetasks.errors import InvalidParameter
from imagetasks.poyo import model_entry as bundled
from imagetasks.poyo.served_schema import served_schema

if TYPE_CHECKING:
    from imagetasks.poyo.model_catalog import Model

DEFAULT_PAGE_SIZE = 50
QUERY = ("limit", "cursor", "category", "service_type", "q", "tags")
INTEGER = re.compile(r"[0-9]{1,5}")  # the form of `limit` and `cursor`


class ModelEntry(TypedDict):
    """A model in PoYo's shape; `input_schema` is the JSON Schema of an order's `input`, `billing` has the
    prices in credits and the formula that reads them."""

    model_id: str
    tool_name: str
    service_type: Literal["generate"]
    category: str
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
    billing: Mapping[str, Any]
    status: Literal["active"]


class ModelPage(TypedDict):
    """A page of models and the cursor of the next page."""

    schema_version: str
    items: Sequence[ModelEntry]
    next_cursor: str | None
    has_more: bool


def model_entry(model: Model) -> ModelEntry:
    """One model."""
    entry = {**bundled.model_entry(model), "input_schema": served_schema(model)}
    return cast(ModelEntry, entry)


def list_models(query: Mapping[str, str], models: Mapping[str, Model]) -> ModelPage:
    """Those of `models` that match `query`. Raises InvalidParameter if its limit or cursor is not a
    number."""
    found = [each for each in map(model_entry, models.values()) if _matches(each, query)]
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
