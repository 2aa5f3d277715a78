"""How long an order usually takes: one number of a model, or a table by some fields of its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def typical_seconds(timing: Mapping[str, Any], values: Mapping[str, Any]) -> int | None:
    """The `seconds` of a model's `timing` for an input with these `values`: a number, or a table with the
    fields in `by` as its axes. None for a value that it does not name."""
    found = timing.get("seconds")
    for field in timing.get("by", ()):
        found = (found or {}).get(values.get(field))
    return found
