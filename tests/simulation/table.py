"""The simulated table: `Rows` behind a wire that fails, and an index that lags behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imagetasks.errors import StoreUnavailable
from imagetasks.poyo.rate_limit import QUOTA_KEY
from imagetasks.tasks.conditional_write import Put, Refused, Row, Update
from imagetasks.tasks.transitions import TRANSITIONS
from tests.simulation.scheduler import World
from tests.simulation.table_state import Rows, Watch, entry, leaf, place, select

EVENTS = {transition.event: name for name, transition in TRANSITIONS.items() if transition.event}
INDEXED = ("pk", "due_at", "due_shard", "created_at", "listed", "listed_status")


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
                raise StoreUnavailable("InternalServerError")
            return self.kept.get(pk)

        return self._world.effect("table.get", act, show=_brief)

    def put(self, put: Put) -> None:
        """Write a whole row."""
        what = "table.put" if put.row["pk"] != QUOTA_KEY else "table.put quota"
        self._write(what, lambda: self.kept.put(put))

    def update(self, update: Update) -> dict[str, Any]:
        """Change a row and return it."""
        return self._write(f"table.update {named(update)}", lambda: self.kept.update(update))

    def touch(self, update: Update) -> None:
        """Change a row without seeing it."""
        self._write("table.touch", lambda: self.kept.touch(update))

    def transact(self, writes: Sequence[Put | Update]) -> None:
        """All writes or none; its token makes the SDK's retry the same transaction."""
        self._write("table.transact", lambda: self.kept.transact(writes), token=True)

    def due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """What the index says, which may have been true some time ago."""

        def act() -> list[dict[str, Any]]:
            if self._world.fault("table.read"):
                raise StoreUnavailable("RequestTimeout")
            seen = (entry(self._seen(pk)) for pk in self._index)
            return select(filter(None, seen), shard, now, limit)

        return self._world.effect("table.due", act, slow=0.3, show=lambda rows: f"{len(rows)} due")

    def page(
        self, index: str, value: str, *, limit: int, after: Row | None
    ) -> list[dict[str, Any]]:
        """What a list says, which may have been true some time ago, too."""

        def act() -> list[dict[str, Any]]:
            if self._world.fault("table.read"):
                raise StoreUnavailable("RequestTimeout")
            seen = (place(self._seen(pk), index) for pk in self._index)
            return leaf(filter(None, seen), index, value, limit, after)

        return self._world.effect("table.page", act, show=lambda keys: f"{len(keys)} listed")

    def rows(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Strongly consistent reads, all at once."""

        def act() -> dict[str, dict[str, Any]]:
            if self._world.fault("table.read"):
                raise StoreUnavailable("UnprocessedKeys")
            return self.kept.rows(pks)

        return self._world.effect("table.rows", act, show=lambda rows: f"{len(rows)} rows")

    def next_due(self) -> int | None:
        """The earliest instant in the index or in the rows themselves, None when all is done."""
        entries = [entry(self._seen(pk)) or entry(row) for pk, row in self.kept.all.items()]
        return min((int(each["due_at"]) for each in entries if each), default=None)

    def _write[T](self, what: str, write: Callable[[], T], *, token: bool = False) -> T:
        def act() -> T:
            fault = self._world.fault("table.write")
            if fault == "throttled":
                raise StoreUnavailable("ProvisionedThroughputExceededException")
            if fault == "conflict":
                raise StoreUnavailable("TransactionConflict")
            if fault == "unavailable":
                raise StoreUnavailable("ConnectTimeoutError")
            done = write()
            if fault == "lost":
                raise StoreUnavailable("ReadTimeoutError")
            if fault == "repeated" and not token:
                # The SDK never saw the answer and asks again: it meets its own write.
                self._world.sleep(self._world.chance.uniform(50, 5000))
                return write()
            return done

        try:
            return self._world.effect(what, act, show=lambda done: _brief(done) if done else "")
        except Refused as refused:
            self._world.tell(self._world.process.actor, what, f"refused: {_brief(refused.row)}")
            raise

    def _written(self, old: Row, new: Row, write: Put | Update) -> None:
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


def named(update: Update) -> str:
    """Which transition an update makes, `quota` for the row that counts submits."""
    if update.pk == QUOTA_KEY:
        return "quota"
    return EVENTS[update.line["event"]] if update.line else "move"


def _brief(row: Any) -> str:
    """The little of a row that the story tells: no prompt, no address."""
    names = ("state", "reason", "attempt", "poyo_id", "hints")
    return ", ".join(str(row[name]) for name in names if name in row) or "no row"
