"""DynamoDB as far as the table uses it: the same Put and Update objects, evaluated in memory.

`tests/integration/aws/test_simulated_table.py` holds it to what real engines do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from imagetasks.errors import StoreUnavailable
from imagetasks.tasks.conditional_write import Put, Refused, Row, Update

Watch = Callable[[Row, Row, Put | Update], None]


class Rows:
    """One table: strongly consistent, each write at one instant; `watch` sees row before, after."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.all: dict[str, dict[str, Any]] = {}
        self._watch = watch

    def get(self, pk: str) -> dict[str, Any]:
        """The row, {} when there is none."""
        return dict(self.all.get(pk, {}))

    def put(self, put: Put) -> None:
        """Write a whole row. Raises Refused, with the row that stands."""
        self.transact([put])

    def update(self, update: Update) -> dict[str, Any]:
        """Change a row and return it. Raises Refused, with the row that stands."""
        self.transact([update])
        return self.get(update.pk)

    def touch(self, update: Update) -> None:
        """Change a row without seeing it. Raises Refused, with no row."""
        try:
            self.transact([update])
        except Refused as refused:
            raise Refused({}) from refused

    def transact(self, writes: Sequence[Put | Update]) -> None:
        """All writes or none. Raises Refused, with the first row in the way and its number."""
        for write in writes:
            if isinstance(write, Update) and set(write.values) & set(write.removed):
                raise StoreUnavailable("ValidationException")  # two paths overlap
        standing = [self.all.get(_pk(write), {}) for write in writes]
        for which, (write, row) in enumerate(zip(writes, standing, strict=True)):
            if not write.condition.holds(row):
                raise Refused(dict(row), which)
        after = [_after(write, row) for write, row in zip(writes, standing, strict=True)]
        for write, old, new in zip(writes, standing, after, strict=True):
            if self._watch:
                self._watch(old, new, write)
            self.all[new["pk"]] = new

    def due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """Keys of up to `limit` rows due at `now`, the longest overdue first."""
        entries = (entry(row) for row in self.all.values())
        return select(filter(None, entries), shard, now, limit)

    def page(
        self, index: str, value: str, *, limit: int, after: Row | None
    ) -> list[dict[str, Any]]:
        """Keys of up to `limit` rows of `index` at `value`, newest first, behind `after`."""
        places = (place(row, index) for row in self.all.values())
        return leaf(filter(None, places), index, value, limit, after)

    def rows(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The rows with these keys; missing ones are missing."""
        return {pk: dict(self.all[pk]) for pk in pks if pk in self.all}


def entry(row: Row) -> dict[str, Any] | None:
    """What the index says of a row, None when the row is not in it."""
    if "due_at" not in row or "due_shard" not in row:
        return None
    return {name: row[name] for name in ("pk", "due_at", "due_shard")}


def select(entries: Any, shard: str, now: int, limit: int) -> list[dict[str, Any]]:
    """A query on the index: one partition, up to `now`, in the order of `due_at`."""
    found = [each for each in entries if each["due_shard"] == shard and each["due_at"] <= now]
    return sorted(found, key=lambda each: each["due_at"])[:limit]


def place(row: Row, index: str) -> dict[str, Any] | None:
    """What a list says of a row, None when the row is not in it."""
    if index not in row or "created_at" not in row:
        return None
    return {name: row[name] for name in ("pk", "created_at", index)}


def leaf(
    places: Any, index: str, value: str, limit: int, after: Row | None
) -> list[dict[str, Any]]:
    """A query on a list, newest first; of two at one instant no engine says which comes first."""
    found = sorted((each for each in places if each[index] == value), key=_order, reverse=True)
    behind = [each for each in found if after is None or _order(each) < _order(after)]
    return [{"pk": each["pk"], "created_at": each["created_at"]} for each in behind[:limit]]


def _order(each: Row) -> tuple[int, str]:
    return int(each["created_at"]), str(each["pk"])


def _pk(write: Put | Update) -> str:
    return str(write.row["pk"]) if isinstance(write, Put) else write.pk


def _after(write: Put | Update, row: Row) -> dict[str, Any]:
    if isinstance(write, Put):
        return {name: stored(value) for name, value in write.row.items()}
    if write.line and "history" not in row:
        raise StoreUnavailable("ValidationException")  # nothing to append to
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
