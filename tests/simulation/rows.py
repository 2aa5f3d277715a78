"""DynamoDB as far as the table uses it: the same Put and Update objects, evaluated in memory.

`tests/test_table_twin.py` holds it to what real engines do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from imagetasks.clauses import Put, Refused, Row, Update
from imagetasks.errors import StoreUnavailable

Watch = Callable[[Row, Row, Put | Update], None]


class Rows:
    """One table: strongly consistent, each write at one instant; `watch` sees row before, after."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self._watch = watch

    def get(self, pk: str) -> dict[str, Any]:
        """The row, {} when there is none."""
        return dict(self.rows.get(pk, {}))

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
        standing = [self.rows.get(_pk(write), {}) for write in writes]
        for which, (write, row) in enumerate(zip(writes, standing, strict=True)):
            if not write.condition.holds(row):
                raise Refused(dict(row), which)
        after = [_after(write, row) for write, row in zip(writes, standing, strict=True)]
        for write, old, new in zip(writes, standing, after, strict=True):
            if self._watch:
                self._watch(old, new, write)
            self.rows[new["pk"]] = new

    def due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """Keys of up to `limit` rows due at `now`, the longest overdue first."""
        entries = (entry(row) for row in self.rows.values())
        return select(filter(None, entries), shard, now, limit)


def entry(row: Row) -> dict[str, Any] | None:
    """What the index says of a row, None when the row is not in it."""
    if "due_at" not in row or "due_shard" not in row:
        return None
    return {name: row[name] for name in ("pk", "due_at", "due_shard")}


def select(entries: Any, shard: str, now: int, limit: int) -> list[dict[str, Any]]:
    """A query on the index: one partition, up to `now`, in the order of `due_at`."""
    found = [each for each in entries if each["due_shard"] == shard and each["due_at"] <= now]
    return sorted(found, key=lambda each: each["due_at"])[:limit]


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
