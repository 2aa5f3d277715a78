"""The simulated DynamoDB table: calls that fail, and indexes that lag behind the items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imagetasks.aws.budget_repository import SETTINGS_PK
from imagetasks.aws.submit_account import ACCOUNT_PK
from imagetasks.aws.table import OWNER_INDEXES
from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.conditional_write import ConditionFailed, Item, PutItem, UpdateItem
from imagetasks.tasks.transitions import TRANSITIONS
from tests.simulation.scheduler import Simulator
from tests.simulation.table_state import (
    DUE_ENTRY,
    InMemoryTable,
    OnWrite,
    as_stored,
    due_entry,
    list_entry,
    select_due,
    select_page,
)

EVENTS = {transition.event: name for name, transition in TRANSITIONS.items() if transition.event}
INDEXED = (*DUE_ENTRY, "created_at", "owner_key", "owner_status_key")


class SimulatedTable:
    """Replaces Table; every call may fail in every way that DynamoDB's client can."""

    def __init__(
        self,
        simulator: Simulator,
        on_write: OnWrite,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        self.memory = InMemoryTable(self._after_write, on_commit)
        self._simulator = simulator
        self._on_write = on_write
        self._index: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        # By shard, the items that are or were in the index of due tasks; a dict, because it is ordered.
        self._shards: dict[str, dict[str, None]] = {}

    def get(self, pk: str) -> dict[str, Any]:
        """A strongly consistent read."""

        def act() -> dict[str, Any]:
            if self._simulator.fault("table.read"):
                raise DatabaseUnavailable("InternalServerError")
            return self.memory.get(pk)

        return self._simulator.effect(
            "table.get" + _kind(pk).replace(" account", ""), act, describe=_summary
        )

    def put(self, put: PutItem) -> None:
        """Write an item. Raises ConditionFailed."""
        self._write("table.put" + _kind(put.item["pk"]), lambda: self.memory.put(put))

    def update(self, update: UpdateItem) -> dict[str, Any]:
        """Update an item and return it. Raises ConditionFailed."""
        return self._write(
            f"table.update {update_name(update)}", lambda: self.memory.update(update)
        )

    def update_blind(self, update: UpdateItem) -> None:
        """Update an item without reading it. Raises ConditionFailed."""
        self._write("table.update_blind", lambda: self.memory.update_blind(update))

    def transact_write(self, writes: Sequence[PutItem | UpdateItem]) -> None:
        """Apply all writes or none; its client token makes a retry of the SDK idempotent."""
        what = f"table.transact_write {write_name(writes[0])}"
        self._write(what, lambda: self.memory.transact_write(writes), token=True)

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """The due items of a shard, as the index shows them: possibly outdated."""

        def act() -> list[dict[str, Any]]:
            if self._simulator.fault("table.read"):
                raise DatabaseUnavailable("RequestTimeout")
            seen = (due_entry(self._indexed(pk)) for pk in self._shards.get(shard, ()))
            return select_due(filter(None, seen), shard, now, limit)

        return self._simulator.effect(
            "table.query_due", act, latency_factor=0.3, describe=lambda items: f"{len(items)} due"
        )

    def query_page(
        self, index: str, value: str, *, limit: int, after: Item | None
    ) -> list[dict[str, Any]]:
        """A page of a list, as its index shows it: possibly outdated."""

        def act() -> list[dict[str, Any]]:
            if self._simulator.fault("table.read"):
                raise DatabaseUnavailable("RequestTimeout")
            attribute = OWNER_INDEXES[index]
            seen = (list_entry(self._indexed(pk), attribute) for pk in self._index)
            return select_page(filter(None, seen), attribute, value, limit, after)

        return self._simulator.effect(
            "table.query_page", act, describe=lambda keys: f"{len(keys)} listed"
        )

    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Strongly consistent reads of several items."""

        def act() -> dict[str, dict[str, Any]]:
            if self._simulator.fault("table.read"):
                raise DatabaseUnavailable("UnprocessedKeys")
            items = self.memory.batch_get(pks)
            if SETTINGS_PK in pks:
                self._simulator.process.rules = items
            return items

        return self._simulator.effect(
            "table.batch_get", act, describe=lambda items: f"{len(items)} items"
        )

    def add(self, item: Item) -> None:
        """Put an item that exists before the run."""
        self.memory.items[item["pk"]] = as_stored(item)

    def shows_due(self, now: int) -> bool:
        """Whether the index shows an item that is due at `now`."""
        seen = (due_entry(self._indexed(pk)) for pks in self._shards.values() for pk in pks)
        return any(each is not None and each["due_at"] <= now for each in seen)

    def next_due(self) -> int | None:
        """The earliest `due_at` in the index or in the items, None when no task is due at any time."""
        entries = (
            due_entry(self._indexed(pk)) or due_entry(self.memory.items[pk])
            for pks in self._shards.values()
            for pk in pks
        )
        return min((int(each["due_at"]) for each in entries if each), default=None)

    def _write[T](self, what: str, write: Callable[[], T], *, token: bool = False) -> T:
        def act() -> T:
            fault = self._simulator.fault("table.write")
            if fault == "throttled":
                raise DatabaseUnavailable("ProvisionedThroughputExceededException")
            if fault == "conflict":
                raise DatabaseUnavailable("TransactionConflict")
            if fault == "unavailable":
                raise DatabaseUnavailable("ConnectTimeoutError")
            done = write()
            if fault == "response_lost":
                raise DatabaseUnavailable("ReadTimeoutError")
            if fault == "retried" and not token:
                # The SDK lost the response and repeats the request, which meets its own write.
                self._simulator.sleep(self._simulator.rng.uniform(50, 5000))
                return write()
            return done

        try:
            return self._simulator.effect(
                what, act, describe=lambda done: _summary(done) if done else ""
            )
        except ConditionFailed as error:
            self._simulator.record(
                self._simulator.process.actor, what, f"condition failed: {_summary(error.item)}"
            )
            raise

    def _after_write(self, old: Item, new: Item, write: PutItem | UpdateItem) -> None:
        """Pass the write to the invariants now and to the indexes some time later."""
        self._on_write(old, new, write)
        if new["pk"] not in self._index and "created_at" not in new:
            return  # an item of no index
        versions = self._index.setdefault(new["pk"], [])
        if "due_shard" in new:
            self._shards.setdefault(new["due_shard"], {})[new["pk"]] = None
        lag = 0 if self._simulator.fault_free else self._simulator.scenario.index_lag_ms
        visible_at = self._simulator.now + self._simulator.rng.randint(0, lag)
        if versions:
            visible_at = max(visible_at, versions[-1][0])
        versions.append((visible_at, {name: new[name] for name in INDEXED if name in new}))

    def _indexed(self, pk: str) -> dict[str, Any]:
        """An item as the indexes show it now, {} when they do not show it yet."""
        versions = self._index[pk]
        while len(versions) > 1 and versions[1][0] <= self._simulator.now:
            versions.pop(0)
        visible_at, attributes = versions[0]
        return attributes if visible_at <= self._simulator.now else {}


def _kind(pk: str) -> str:
    """The kind of an item that is no task."""
    kinds = {ACCOUNT_PK: " account", "wait_slot": " wait_slot", "budget": " budget"}
    kinds |= {SETTINGS_PK: " settings", "token": " token", "poyo": " poyo"}
    return kinds.get(pk.partition("#")[0], "")


def write_name(write: PutItem | UpdateItem) -> str:
    """What the transaction does whose first write this is."""
    return "submit" if isinstance(write, PutItem) else update_name(write)


def update_name(update: UpdateItem) -> str:
    """The transition that an update makes, or the kind of the item if it is no task's."""
    kind = update.pk.partition("#")[0]
    if kind != "task":
        return kind
    if update.history_entry:
        return EVENTS[update.history_entry["event"]]
    moves = "due_at" in update.values or "due_at" in update.removed
    return "settle" if "charged_credits" in update.values and not moves else "reschedule"


def _summary(item: Any) -> str:
    """The attributes of an item that the trace shows: no prompt and no URL."""
    names = ("state", "reason", "attempt", "poyo_id", "candidate_poyo_ids")
    return ", ".join(str(item[name]) for name in names if name in item) or "no item"
