"""The methods that the real table and the simulated one share, and comparable results of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from imagetasks.tasks.conditional_write import (
    Item,
    PutItem,
    UpdateItem,
)


class Engine(Protocol):
    """The methods that `Table` and its simulation have in common."""

    def get(self, pk: str) -> dict[str, Any]: ...
    def put(self, put: PutItem) -> None: ...
    def update(self, update: UpdateItem) -> dict[str, Any]: ...
    def update_blind(self, update: UpdateItem) -> None: ...
    def transact_write(self, writes: list[PutItem | UpdateItem]) -> None: ...
    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]: ...
    def query_page(
        self, index: str, value: str, *, limit: int, after: Item | None
    ) -> list[dict[str, Any]]: ...
    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]: ...


Operation = Callable[[Engine], Any]


def sorted_due(entries: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    """Entries of the due index; the order of two at one instant is undefined."""
    instants = [each["due_at"] for each in entries]
    assert instants == sorted(instants)
    return sorted((each["due_at"], each["pk"]) for each in entries)


def sorted_list(keys: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    """Keys, newest first; the order of two at one instant is undefined."""
    instants = [each["created_at"] for each in keys]
    assert instants == sorted(instants, reverse=True)
    assert all(set(each) >= {"pk", "created_at"} for each in keys)
    return sorted((each["created_at"], each["pk"]) for each in keys)


def whole_list(engine: Engine, index: str, value: str, limit: int) -> list[tuple[Any, str]]:
    """All pages to the end: each item once, even if several have one creation time."""
    keys: list[dict[str, Any]] = []
    after: Item | None = None
    while page := engine.query_page(index, value, limit=limit, after=after):
        keys += page
        after = {"pk": page[-1]["pk"], "created_at": page[-1]["created_at"]}
        assert len(page) <= limit
    assert len({each["pk"] for each in keys}) == len(keys)
    return sorted_list(keys)
