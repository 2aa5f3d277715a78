"""The daily schedule: compare the bundled models with PoYo's public catalogue."""

from __future__ import annotations

from functools import partial
from typing import Any

from imagetasks.poyo import transport
from imagetasks.poyo.live_catalog import live_items
from imagetasks.workflows.compare_catalog import CatalogComparison

comparison = CatalogComparison.from_env(
    partial(live_items, transport.send, transport.base_url_from_env())
)


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int | None]:
    """EventBridge Scheduler, every day; returns how many models differ, None if that is unknown."""
    return {"differing": comparison.run()}
