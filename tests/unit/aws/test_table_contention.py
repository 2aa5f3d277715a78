"""Many orders at once on the same items: the waits after conflicts keep enough of them going.

DynamoDB Local has no conflicts of transactions. The engine here has them as DynamoDB's two phases make
them: a transaction takes its items one after the other, and one that finds an item taken is cancelled.
"""

from __future__ import annotations

import contextlib
import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from threading import Event, Thread
from typing import Any, cast

import pytest

from imagetasks.aws.table import Table
from imagetasks.errors import DatabaseUnavailable
from imagetasks.limits import Limits
from imagetasks.tasks.conditional_write import Condition, UpdateItem
from tests.support.fakes import cancelled_transaction
from tests.support.template import template

PREPARED_S, COMMITTED_S = 0.004, 0.01  # until all items are taken, and from then until all are free
ARRIVAL_S = 0.2  # within which all orders come


class VirtualTime:
    """Runs threads one at a time, the one that waits for the earliest instant next."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._waiting: list[tuple[float, int, Event]] = []
        self._order = count()

    def sleep(self, seconds: float) -> None:
        """Let the other threads run until `seconds` have passed."""
        turn = self._turn_in(seconds)
        self._give_turn()
        assert turn.wait(60)

    def run(self, acts: Sequence[Callable[[], None]]) -> None:
        """Run each of `acts` to its end in a thread of its own."""
        threads = [Thread(target=self._run, args=(act, self._turn_in(0))) for act in acts]
        for thread in threads:
            thread.start()
        self._give_turn()
        for thread in threads:
            thread.join(60)

    def _run(self, act: Callable[[], None], turn: Event) -> None:
        assert turn.wait(60)
        act()
        self._give_turn()

    def _turn_in(self, seconds: float) -> Event:
        turn = Event()
        heapq.heappush(self._waiting, (self.now_s + seconds, next(self._order), turn))
        return turn

    def _give_turn(self) -> None:
        if self._waiting:
            self.now_s, _, turn = heapq.heappop(self._waiting)
            turn.set()


class ConflictingEngine:
    """DynamoDB's transactions: `committed` of them were not cancelled."""

    def __init__(self, time: VirtualTime, rng: random.Random) -> None:
        self.committed = 0
        self._time, self._rng = time, rng
        self._taken: set[str] = set()

    def transact_write_items(self, TransactItems: Sequence[Mapping[str, Any]]) -> None:  # noqa: N803
        """Take each item at a moment of its own, then free all of them."""
        pks = [each["Update"]["Key"]["pk"]["S"] for each in TransactItems]
        begun_s, own = self._time.now_s, set[str]()
        moments = sorted((self._rng.uniform(0, PREPARED_S), pk) for pk in pks)
        for after_s, pk in moments:
            self._time.sleep(begun_s + after_s - self._time.now_s)
            if pk not in self._taken:
                self._taken.add(pk)
                own.add(pk)
        self._time.sleep(COMMITTED_S)
        self._taken -= own
        if missing := set(pks) - own:
            codes = ("TransactionConflict" if pk in missing else "None" for pk in pks)
            raise cancelled_transaction(*codes)
        self.committed += 1


def accepted(orders: int, *, items: int) -> int:
    """How many of `orders` that come at once are written, if all of them change the same `items`."""
    time, rng = VirtualTime(), random.Random(7)  # noqa: S311  # repeatable, not secret
    engine = ConflictingEngine(time, rng)
    table = Table(
        cast(Any, engine),
        "tasks",
        sleep=time.sleep,
        monotonic_s=lambda: time.now_s,
        jitter=rng.uniform,
    )
    shared = [
        UpdateItem(pk=f"spend#{n}", condition=Condition(), values={}, added={"tasks": 1})
        for n in range(items)
    ]

    def place() -> None:
        time.sleep(rng.uniform(0, ARRIVAL_S))
        with contextlib.suppress(DatabaseUnavailable):
            table.transact_write(shared)

    time.run([place] * orders)
    return engine.committed


@pytest.mark.parametrize("items", [1, 2, 3, 4])
def test_nearly_all_orders_of_a_burst_that_the_api_accepts_are_written(items: int) -> None:
    burst = template()["Parameters"]["RequestsPerSecond"]["Default"]

    assert accepted(burst, items=items) >= 0.95 * burst


@pytest.mark.parametrize("items", [1, 2, 3, 4])
@pytest.mark.parametrize("orders", [100, 250])
def test_more_orders_at_once_are_written_than_poyo_takes_meanwhile(orders: int, items: int) -> None:
    limits = Limits()
    window = limits.window_submits
    meanwhile = window + window * limits.aws_call_s / limits.window_s

    assert accepted(orders, items=items) >= meanwhile
