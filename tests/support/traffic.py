"""Orders, the queue, the sweep and PoYo on one timeline: the real workflows with a clock that jumps."""

from __future__ import annotations

import heapq
import itertools
import json
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from imagetasks.aws.secrets import CachedSecret, CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import Clock
from imagetasks.errors import TooManyOrders
from imagetasks.limits import Limits
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.conditional_write import Item, PutItem, UpdateItem
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.sweep import sweep
from imagetasks.workflows.task_updater import TaskUpdater
from tests.simulation.table_state import InMemoryTable, due_entry, select_due
from tests.support.environment import order
from tests.support.fakes import FakeSecretsClient, ManualClock, make_clock, poyo_response
from tests.support.transport import FakeTransport, SentRequest

NEVER_S = 10**8


class PendingTable(InMemoryTable):
    """A table whose index of due tasks holds the pending ones only, so that long runs stay fast."""

    def __init__(self) -> None:
        self.pending: set[str] = set()
        super().__init__(self._remember)

    def _remember(self, old: Item, new: Item, write: PutItem | UpdateItem) -> None:
        (self.pending.add if new.get("state") == "pending" else self.pending.discard)(new["pk"])

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        entries = (due_entry(self.items[pk]) for pk in self.pending)
        return select_due(filter(None, entries), shard, now, limit)


@dataclass
class SlidingPoyo(FakeTransport):
    """PoYo, which accepts 20 submits, or `accepted_in_10_s`, in any ten seconds, and fails as `failing`
    says."""

    time: ManualClock
    failing: Callable[[int], HttpResponse | Exception | None] = lambda _: None
    sent: list[tuple[int, str]] = field(default_factory=list)  # when, and which task
    refused: int = 0
    accepted_in_10_s: int = 20
    _recent: deque[int] = field(default_factory=deque)

    def respond(self, request: SentRequest) -> HttpResponse:
        now, task_id = self.time.now, request.headers["Idempotency-Key"]
        failure = self.failing(now)
        if isinstance(failure, Exception):
            raise failure
        if failure is not None:
            return failure
        while self._recent and self._recent[0] <= now - 10_000:
            self._recent.popleft()
        if len(self._recent) >= self.accepted_in_10_s:
            self.refused += 1
            return poyo_response({"code": 429, "error": {"message": "rate limit"}}, 429)
        self._recent.append(now)
        self.sent.append((now, task_id))
        return poyo_response({"code": 200, "data": {"task_id": f"P{len(self.sent)}"}})


class Traffic:
    """A timeline of events; `order_at` adds orders, `run` plays everything until `until` (ms)."""

    def __init__(
        self,
        *,
        lateness_s: float = 0.3,
        limits: Limits | None = None,
        accepted_in_10_s: int = 20,
    ) -> None:
        self.time = ManualClock()
        self.begin = self.time.now
        self.table = PendingTable()
        self.poyo = SlidingPoyo(self.time, accepted_in_10_s=accepted_in_10_s)
        self.limits = limits or Limits(first_poll_s=NEVER_S)
        self.clock = make_clock(self.time, self.limits)
        self.orders: list[Task] = []  # accepted, in order
        self.refusals: list[float] = []  # seconds until there was room
        self.lose_message: Callable[[], bool] = lambda: False
        self._lateness_s = lateness_s
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self._count = itertools.count()
        self.submitter = self.submitter_with(self.clock)
        self.reconciler = self._reconciler()

    def submitter_with(self, clock: Clock) -> Submitter:
        """The submitter of a function with its own clock."""
        secret = CachedSecret(
            cast(Any, FakeSecretsClient({"current": "k1", "k1": "k"})), "callback"
        )
        return Submitter(
            slots=SubmitSlots(cast(Any, self.table), clock, self.time.forward),
            poyo=PoyoClient(
                send=self.poyo, base_url="https://poyo.test", key=lambda: "sk", refresh_key=_no
            ),
            callback_keys=CallbackKeys(secret),
            uploads=cast(Any, None),
            updater=self._updater(clock),
            clock=clock,
        )

    def at(self, seconds: float, event: Callable[[], object]) -> None:
        """Let `event` happen `seconds` after the beginning."""
        self._push(self.begin + round(seconds * 1000), event)

    def order_at(self, seconds: float, submitter: Submitter | None = None) -> None:
        """Place an order `seconds` after the beginning."""

        def place() -> None:
            key = f"key{len(self.orders) + len(self.refusals)}"
            try:
                placed = (submitter or self.submitter).submit(order(key))
            except TooManyOrders as error:
                self.refusals.append(error.wait_s)
            else:
                self.orders.append(placed.task)

        self.at(seconds, place)

    def run(self, seconds: float) -> None:
        """Play all events until `seconds` after the beginning; the sweep runs each minute."""
        for minute in range(int(seconds // 60)):
            self.at(minute * 60 + 7, self._sweep)
        until = self.begin + round(seconds * 1000)
        while self._events and self._events[0][0] <= until:
            at, _, event = heapq.heappop(self._events)
            self.time.now = max(self.time.now, at)
            event()

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        """Replaces TaskQueue: SQS delays in whole seconds, and the worker is a little late."""
        if self.lose_message():
            return
        late_s = self.clock.rng.uniform(0, self._lateness_s)
        delay_s = min(900, max(0, math.ceil(delay_s))) + late_s
        body = json.dumps(asdict(message))
        self._push(
            self.time.now + round(delay_s * 1000),
            lambda: self.reconciler.reconcile(TaskMessage.from_json(body)),
        )

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        for message in messages:
            self.send(message)

    def task(self, task_id: str) -> Task:
        return TaskRepository(cast(Any, self.table)).get(task_id)

    def sent_after_s(self) -> list[float]:
        """When each submit was accepted by PoYo, in seconds after the beginning."""
        return [(at - self.begin) / 1000 for at, _ in self.poyo.sent]

    def _push(self, at: int, event: Callable[[], object]) -> None:
        heapq.heappush(self._events, (at, next(self._count), event))

    def _sweep(self) -> None:
        repository = TaskRepository(cast(Any, self.table))
        sweep(
            repository=repository,
            queue=cast(Any, self),
            clock=self.clock,
            time_left_s=lambda: 100,
        )

    def _updater(self, clock: Clock) -> TaskUpdater:
        repository = TaskRepository(cast(Any, self.table))
        return TaskUpdater(repository=repository, queue=cast(Any, self), clock=clock)

    def _reconciler(self) -> TaskReconciler:
        nothing = cast(Any, None)
        return TaskReconciler(
            repository=TaskRepository(cast(Any, self.table)),
            poyo=self.submitter.poyo,
            images=nothing,
            downloader=nothing,
            submitter=self.submitter,
            notifications=nothing,
            updater=self._updater(self.clock),
            clock=self.clock,
        )


def _no(_: str) -> bool:
    return False
