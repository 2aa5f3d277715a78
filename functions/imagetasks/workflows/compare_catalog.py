"""The daily comparison of the bundled models with PoYo's catalogue. No order depends on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aws_lambda_powertools.metrics import MetricUnit

from imagetasks import telemetry
from imagetasks.poyo.live_catalog import CatalogUnreadable
from imagetasks.poyo.model_catalog import allowed
from imagetasks.poyo.model_facts import Item, drift


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogComparison:
    """Compares the bundled models whose ids match `patterns` with those that `live_items` reads from
    PoYo's catalogue."""

    live_items: Callable[[], Iterable[Item]]
    patterns: str

    @classmethod
    def from_env(cls, live_items: Callable[[], Iterable[Item]]) -> CatalogComparison:
        """COMPARED_MODELS: patterns of ids, separated by commas or spaces."""
        return cls(live_items=live_items, patterns=os.environ["COMPARED_MODELS"])

    def run(self) -> int | None:
        """Log each model that differs and record how many do; that number, or None if the catalogue
        could not be read, which is logged: tomorrow's comparison finds the same. A model
        of PoYo that is not bundled does not count, because no order can name it."""
        bundled = allowed(self.patterns)
        try:
            found = drift(bundled, self.live_items())
        except CatalogUnreadable as error:
            telemetry.warning("catalog_unreadable", reason=str(error))
            return None
        differing = {name: what for name, what in found.items() if name in bundled}
        for name, what in differing.items():
            telemetry.warning("catalog_differs", model=name, difference=what)
        telemetry.info("catalog_compared", compared=len(bundled), differing=len(differing))
        telemetry.put_metric("catalog_drift", len(differing), MetricUnit.Count)
        return len(differing)
