"""DynamoDB as far as the table uses it: the same Put and Update objects, evaluated in memory.

`tests/integration/aws/test_simulated_table.py` holds it to what real engines do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from imagetasks.aws.table import OWNER_INDEXES
from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.conditional_write import ConditionFailed, Item, PutItem, UpdateItem

Watch = Callable[[Item, Item, PutItem | UpdateItem], None]


class Rows:
    """One table: strongly consistent, each write at one instant; `watch` sees row before, after."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.all: dict[str, dict[str, Any]] = {}
        self._watch = watch

    def get(self, pk: str) -> dict[str, Any]:
        """The row, {} when there is none."""
        return dict(self.all.get(pk, {}))

    def put(self, put: PutItem) -> None:
        """Write a whole row. Raises Refused, with the row that stands."""
        self.transact_write([put])

    def update(self, update: UpdateItem) -> dict[str, Any]:
        """Change a row and return it. Raises Refused, with the row that stands."""
        self.transact_write([update])
        return self.get(update.pk)

    def update_blind(self, update: UpdateItem) -> None:
        """Change a row without seeing it. Raises Refused, with no row."""
        try:
            self.transact_write([update])
        except ConditionFailed as refused:
            raise ConditionFailed({}) from refused

    def transact_write(self, writes: Sequence[PutItem | UpdateItem]) -> None:
        """All writes or none. Raises Refused, with the first row in the way and its number."""
        for write in writes:
            if isinstance(write, UpdateItem) and set(write.values) & set(write.removed):
                raise DatabaseUnavailable("ValidationException")  # two paths overlap
        standing = [self.all.get(_pk(write), {}) for write in writes]
        for which, (write, row) in enumerate(zip(writes, standing, strict=True)):
            if not write.condition.holds(row):
                raise ConditionFailed(dict(row), which)
        after = [_after(write, row) for write, row in zip(writes, standing, strict=True)]
        for write, old, new in zip(writes, standing, after, strict=True):
            if self._watch:
                self._watch(old, new, write)
            self.all[new["pk"]] = new

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """Keys of up to `limit` rows due at `now`, the longest overdue first."""
        entries = (entry(row) for row in self.all.values())
        return select(filter(None, entries), shard, now, limit)

    def query_page(
        self, index: str, value: str, *, limit: int, after: Item | None
    ) -> list[dict[str, Any]]:
        """Keys of up to `limit` rows of `index` at `value`, newest first, behind `after`."""
        attribute = OWNER_INDEXES[index]
        places = (place(row, attribute) for row in self.all.values())
        return leaf(filter(None, places), attribute, value, limit, after)

    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The rows with these keys; missing ones are missing."""
        return {pk: dict(self.all[pk]) for pk in pks if pk in self.all}


def entry(row: Item) -> dict[str, Any] | None:
    """What the index says of a row, None when the row is not in it."""
    if "due_at" not in row or "due_shard" not in row:
        return None
    return {name: row[name] for name in ("pk", "due_at", "due_shard")}


def select(entries: Any, shard: str, now: int, limit: int) -> list[dict[str, Any]]:
    """A query on the index: one partition, up to `now`, in the order of `due_at`."""
    found = [each for each in entries if each["due_shard"] == shard and each["due_at"] <= now]
    return sorted(found, key=lambda each: each["due_at"])[:limit]


def place(row: Item, index: str) -> dict[str, Any] | None:
    """What a list says of a row, None when the row is not in it."""
    if index not in row or "created_at" not in row:
        return None
    return {name: row[name] for name in ("pk", "created_at", index)}


def leaf(
    places: Any, index: str, value: str, limit: int, after: Item | None
) -> list[dict[str, Any]]:
    """A query on a list, newest first; of two at one instant no engine says which comes first."""
    found = sorted((each for each in places if each[index] == value), key=_order, reverse=True)
    behind = [each for each in found if after is None or _order(each) < _order(after)]
    return [{"pk": each["pk"], "created_at": each["created_at"]} for each in behind[:limit]]


def _order(each: Item) -> tuple[int, str]:
    return int(each["created_at"]), str(each["pk"])


def _pk(write: PutItem | UpdateItem) -> str:
    return str(write.item["pk"]) if isinstance(write, PutItem) else write.pk


def _after(write: PutItem | UpdateItem, row: Item) -> dict[str, Any]:
    if isinstance(write, PutItem):
        return {name: stored(value) for name, value in write.item.items()}
    if write.history_entry and "history" not in row:
        raise DatabaseUnavailable("ValidationException")  # nothing to append to
    changed = write.applied(row)
    return {"pk": write.pk} | {name: stored(value) for name, value in changed.items()}


def stored(value: Any) -> Any:
    """`value` as DynamoDB gives it back: every number a Decimal, every sequence a list."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, Mapping):
        return {str(name): stored(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [stored(each) for each in value]
    raise TypeError(f"no type of DynamoDB: {type(value).__name__}")
