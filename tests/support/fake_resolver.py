"""A resolver of host names that returns what a test sets."""

from __future__ import annotations


class FakeResolver:
    """Returns the next of `results`, the last one repeatedly, and records every lookup."""

    def __init__(self, *results: list[str]) -> None:
        self.results = list(results)
        self.lookups: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.lookups.append((host, port))
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]
