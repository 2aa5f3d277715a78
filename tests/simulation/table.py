"""The simulated table: `Rows` behind a wire that fails, and an index that lags behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imagetasks.aws.table import OWNER_INDEXES
from imagetasks.errors import DatabaseUnavailable
from imagetasks.poyo.rate_limit import WINDOW_PK
from imagetasks.tasks.conditional_write import ConditionFailed, Item, PutItem, UpdateItem
from imagetasks.tasks.transitions import TRANSITIONS
from tests.simulation.scheduler import World
from tests.simulation.table_state import Rows, Watch, entry, leaf, place, select

EVENTS = {transition.event: name for name, transition in TRANSITIONS.items() if transition.event}
INDEXED = ("pk", "due_at", "due_shard", "created_at", "owner_key", "owner_status_key")


class SimulatedTable:
    """What `imagetasks.table.Table` can do, with every way it can fail."""

    def __init__(self, world: World, watch: Watch) -> None:
        self.kept = Rows(self._written)
        self._world = world
        self._watch = watch
        self._index: dict[str, list[tuple[int, dict[str, Any]]]] = {}

    def get(self, pk: str) -> dict[str, Any]:
        """A strongly consistent read."""

        def act() -> dict[str, Any]:
            if self._world.fault("table.read"):
                raise DatabaseUnavailable("InternalServerError")
            return self.kept.get(pk)

        return self._world.effect("table.get", act, show=_brief)

    def put(self, put: PutItem) -> None:
        """Write a whole row."""
        what = "table.put" if put.item["pk"] != WINDOW_PK else "table.put quota"
        self._write(what, lambda: self.kept.put(put))

    def update(self, update: UpdateItem) -> dict[str, Any]:
        """Change a row and return it."""
        return self._write(f"table.update {named(update)}", lambda: self.kept.update(update))

    def update_blind(self, update: UpdateItem) -> None:
        """Change a row without seeing it."""
        self._write("table.update_blind", lambda: self.kept.update_blind(update))

    def transact_write(self, writes: Sequence[PutItem | UpdateItem]) -> None:
        """All writes or none; its token makes the SDK's retry the same transaction."""
        self._write("table.transact_write", lambda: self.kept.transact_write(writes), token=True)

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """What the index says, which may have been true some time ago."""

        def act() -> list[dict[str, Any]]:
            if self._world.fault("table.read"):
                raise DatabaseUnavailable("RequestTimeout")
            seen = (entry(self._seen(pk)) for pk in self._index)
            return select(filter(None, seen), shard, now, limit)

        return self._world.effect(
            "table.query_due", act, slow=0.3, show=lambda rows: f"{len(rows)} due"
        )

    def query_page(
        self, index: str, value: str, *, limit: int, after: Item | None
    ) -> list[dict[str, Any]]:
        """What a list says, which may have been true some time ago, too."""

        def act() -> list[dict[str, Any]]:
            if self._world.fault("table.read"):
                raise DatabaseUnavailable("RequestTimeout")
            attribute = OWNER_INDEXES[index]
            seen = (place(self._seen(pk), attribute) for pk in self._index)
            return leaf(filter(None, seen), attribute, value, limit, after)

        return self._world.effect("table.query_page", act, show=lambda keys: f"{len(keys)} listed")

    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Strongly consistent reads, all at once."""

        def act() -> dict[str, dict[str, Any]]:
            if self._world.fault("table.read"):
                raise DatabaseUnavailable("UnprocessedKeys")
            return self.kept.batch_get(pks)

        return self._world.effect("table.batch_get", act, show=lambda rows: f"{len(rows)} rows")

    def next_due(self) -> int | None:
        """The earliest instant in the index or in the rows themselves, None when all is done."""
        entries = [entry(self._seen(pk)) or entry(row) for pk, row in self.kept.all.items()]
        return min((int(each["due_at"]) for each in entries if each), default=None)

    def _write[T](self, what: str, write: Callable[[], T], *, token: bool = False) -> T:
        def act() -> T:
            fault = self._world.fault("table.write")
            if fault == "throttled":
                raise DatabaseUnavailable("ProvisionedThroughputExceededException")
            if fault == "conflict":
                raise DatabaseUnavailable("TransactionConflict")
            if fault == "unavailable":
                raise DatabaseUnavailable("ConnectTimeoutError")
            done = write()
            if fault == "lost":
                raise DatabaseUnavailable("ReadTimeoutError")
            if fault == "repeated" and not token:
                # The SDK never saw the answer and asks again: it meets its own write.
                self._world.sleep(self._world.chance.uniform(50, 5000))
                return write()
            return done

        try:
            return self._world.effect(what, act, show=lambda done: _brief(done) if done else "")
        except ConditionFailed as refused:
            self._world.tell(self._world.process.actor, what, f"refused: {_brief(refused.item)}")
            raise

    def _written(self, old: Item, new: Item, write: PutItem | UpdateItem) -> None:
        """Let the promises see the write, and the index hear of it some time later."""
        self._watch(old, new, write)
        past = self._index.setdefault(new["pk"], [])
        lag = 0 if self._world.calm else self._world.plan.index_lag_ms
        heard = self._world.now + self._world.chance.randint(0, lag)
        if past:
            heard = max(heard, past[-1][0])
        past.append((heard, {name: new[name] for name in INDEXED if name in new}))

    def _seen(self, pk: str) -> dict[str, Any]:
        """A row as far as the indexes have heard of it."""
        past = self._index[pk]
        while len(past) > 1 and past[1][0] <= self._world.now:
            past.pop(0)
        when, heard = past[0]
        return heard if when <= self._world.now else {}


def named(update: UpdateItem) -> str:
    """Which transition an update makes, `quota` for the row that counts submits."""
    if update.pk == WINDOW_PK:
        return "quota"
    return EVENTS[update.history_entry["event"]] if update.history_entry else "reschedule"


def _brief(row: Any) -> str:
    """The little of a row that the story tells: no prompt, no address."""
    names = ("state", "reason", "attempt", "poyo_id", "candidate_poyo_ids")
    return ", ".join(str(row[name]) for name in names if name in row) or "no row"
