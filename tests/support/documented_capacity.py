"""Capacity units as DynamoDB's documentation counts them, of calls to a table in memory.

DynamoDB Local reports the units of single writes and reads, but the same number for a transaction of one
item and of five. So they are computed here; `tests/engine/test_order_capacity.py` compares single writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from imagetasks.tasks.conditional_write import PutItem, UpdateItem
from tests.simulation.table_state import InMemoryTable
from tests.support.consumed_capacity import item_bytes

Index = tuple[Sequence[str], Sequence[str] | None]
INDEXES: tuple[Index, ...] = (
    (("due_shard", "due_at"), ("due_since",)),
    (("owner_key", "created_at"), ()),
    (("owner_status_key", "created_at"), ()),
)
"""The keys of each index of our table, and what else it projects; None is everything."""


class CountingTable(InMemoryTable):
    """A table in memory that counts requests, transactions and capacity units."""

    def __init__(self) -> None:
        self.requests = self.transactions = self.read = self.written = 0
        self._factor = 1
        super().__init__(self._count_write)

    def take(self) -> tuple[int, int, int, int]:
        """Requests, transactions, read and write units since the last call."""
        counted = (self.requests, self.transactions, self.read, self.written)
        self.requests = self.transactions = self.read = self.written = 0
        return counted

    def get(self, pk: str) -> dict[str, Any]:
        """A strongly consistent read: one unit for 4 KB, or for nothing."""
        self.requests += 1
        self.read += units(self.items.get(pk, {}), 4)
        return super().get(pk)

    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Strongly consistent reads, each item by itself."""
        self.requests += 1
        self.read += sum(units(self.items.get(pk, {}), 4) for pk in pks)
        return super().batch_get(pks)

    def put(self, put: PutItem) -> None:
        """A single write: one unit for each KB."""
        self.requests += 1
        InMemoryTable.transact_write(self, [put])

    def update(self, update: UpdateItem) -> dict[str, Any]:
        """A single write, which returns the item without a read."""
        self.requests += 1
        InMemoryTable.transact_write(self, [update])
        return InMemoryTable.get(self, update.pk)

    def transact_write(self, writes: Sequence[PutItem | UpdateItem]) -> None:
        """Two units for each KB: DynamoDB prepares and commits each item."""
        self.requests += 1
        self.transactions += 1
        self._factor = 2
        try:
            super().transact_write(writes)
        finally:
            self._factor = 1

    def _count_write(self, old: Mapping[str, Any], new: Mapping[str, Any], _: object) -> None:
        self.written += written(old, new, INDEXES, factor=self._factor)


def written(
    old: Mapping[str, Any], new: Mapping[str, Any], indexes: Sequence[Index], *, factor: int
) -> int:
    """Units of a write: `factor` (2 in a transaction) for each KB of the larger item, and those of the
    indexes, which a transaction does not double."""
    own = factor * max(units(old, 1), units(new, 1))
    return own + sum(_index_units(old, new, *index) for index in indexes)


def units(item: Mapping[str, Any], kib: int) -> int:
    """How many times `kib` KB the item has, at least once."""
    serialize = TypeSerializer().serialize
    size = item_bytes({name: serialize(value) for name, value in item.items()})
    return max(1, math.ceil(size / 1024 / kib))


def _index_units(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    keys: Sequence[str],
    further: Sequence[str] | None,
) -> int:
    """Units of one index: an entry is put, deleted, or both if its key changes. One with few attributes
    has less than 1 KB."""
    before, after = ([each.get(name) for name in keys] for each in (old, new))
    was, is_ = None not in before, None not in after
    deleted = units(old, 1) if further is None else 1
    put = units(new, 1) if further is None else 1
    if was and is_ and before != after:
        return deleted + put
    if was and is_:
        names = {*old, *new} if further is None else further
        return put * ([old.get(name) for name in names] != [new.get(name) for name in names])
    return put if is_ else deleted * was
