"""The part of DynamoDB that Table uses: the same PutItem and UpdateItem objects, in memory.

`tests/engine/test_simulated_table.py` compares it with real engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from imagetasks.aws.table import OWNER_INDEXES
from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.conditional_write import ConditionFailed, Item, PutItem, UpdateItem

DUE_ENTRY = ("pk", "due_at", "due_shard", "due_since")
OnWrite = Callable[[Item, Item, PutItem | UpdateItem], None]


class InMemoryTable:
    """A strongly consistent table; `on_write` gets the item before and after each write, and `on_commit`
    is called when all writes of a transaction are done."""

    def __init__(
        self, on_write: OnWrite | None = None, on_commit: Callable[[], None] | None = None
    ) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self._on_write = on_write
        self._on_commit = on_commit

    def get(self, pk: str) -> dict[str, Any]:
        """The item, {} when it does not exist."""
        return dict(self.items.get(pk, {}))

    def put(self, put: PutItem) -> None:
        """Write an item. Raises ConditionFailed with the current item."""
        self.transact_write([put])

    def update(self, update: UpdateItem) -> dict[str, Any]:
        """Update an item and return it. Raises ConditionFailed with the current item."""
        self.transact_write([update])
        return self.get(update.pk)

    def update_blind(self, update: UpdateItem) -> None:
        """Update an item without reading it. Raises ConditionFailed without an item."""
        try:
            self.transact_write([update])
        except ConditionFailed as error:
            raise ConditionFailed({}) from error

    def transact_write(self, writes: Sequence[PutItem | UpdateItem]) -> None:
        """Apply all writes or none.

        Raises ConditionFailed with the current item of the first failed condition and its index.
        """
        for write in writes:
            if isinstance(write, UpdateItem) and set(write.values) & set(write.removed):
                raise DatabaseUnavailable("ValidationException")  # a path is both set and removed
        current = [self.items.get(_pk(write), {}) for write in writes]
        for which, (write, item) in enumerate(zip(writes, current, strict=True)):
            if not write.condition.holds(item):
                raise ConditionFailed(dict(item), which)
        after = [_after(write, item) for write, item in zip(writes, current, strict=True)]
        for write, old, new in zip(writes, current, after, strict=True):
            if self._on_write:
                self._on_write(old, new, write)
            self.items[new["pk"]] = new
        if self._on_commit:
            self._on_commit()

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """Keys of up to `limit` items due at `now`, the earliest due first."""
        entries = (due_entry(item) for item in self.items.values())
        return select_due(filter(None, entries), shard, now, limit)

    def query_page(
        self, index: str, value: str, *, limit: int, after: Item | None
    ) -> list[dict[str, Any]]:
        """Keys of up to `limit` items of `index` at `value` after `after`, newest first."""
        attribute = OWNER_INDEXES[index]
        entries = (list_entry(item, attribute) for item in self.items.values())
        return select_page(filter(None, entries), attribute, value, limit, after)

    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The existing items among these keys."""
        return {pk: dict(self.items[pk]) for pk in pks if pk in self.items}


def due_entry(item: Item) -> dict[str, Any] | None:
    """The entry of an item in the index of due tasks, None when it has none."""
    if "due_at" not in item or "due_shard" not in item:
        return None
    return {name: item[name] for name in DUE_ENTRY if name in item}


def select_due(entries: Any, shard: str, now: int, limit: int) -> list[dict[str, Any]]:
    """A query on the index of due tasks: one partition, up to `now`, in the order of `due_at`."""
    found = [each for each in entries if each["due_shard"] == shard and each["due_at"] <= now]
    return sorted(found, key=lambda each: each["due_at"])[:limit]


def list_entry(item: Item, index: str) -> dict[str, Any] | None:
    """The entry of an item in a list's index, None when it has none."""
    if index not in item or "created_at" not in item:
        return None
    return {name: item[name] for name in ("pk", "created_at", index)}


def select_page(
    entries: Any, index: str, value: str, limit: int, after: Item | None
) -> list[dict[str, Any]]:
    """A query on a list's index, newest first; items of one instant have no defined order."""
    found = sorted((each for each in entries if each[index] == value), key=_order, reverse=True)
    following = [each for each in found if after is None or _order(each) < _order(after)]
    return [{"pk": each["pk"], "created_at": each["created_at"]} for each in following[:limit]]


def _order(each: Item) -> tuple[int, str]:
    return int(each["created_at"]), str(each["pk"])


def _pk(write: PutItem | UpdateItem) -> str:
    return str(write.item["pk"]) if isinstance(write, PutItem) else write.pk


def _after(write: PutItem | UpdateItem, item: Item) -> dict[str, Any]:
    if isinstance(write, PutItem):
        return {name: as_stored(value) for name, value in write.item.items()}
    if write.history_entry and "history" not in item:
        raise DatabaseUnavailable("ValidationException")  # history is missing: list_append fails
    # What the update leaves is stored already.
    after = {"pk": write.pk} | write.applied(item)
    for name in (*write.values, *write.added):
        after[name] = as_stored(after[name])
    if write.history_entry:
        after["history"][-1] = as_stored(after["history"][-1])
    return after


def as_stored(value: Any) -> Any:
    """`value` as DynamoDB returns it: every number a Decimal, every sequence a list."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    if isinstance(value, (dict, Mapping)):
        return {str(name): as_stored(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_stored(each) for each in value]
    raise TypeError(f"not a DynamoDB type: {type(value).__name__}")
