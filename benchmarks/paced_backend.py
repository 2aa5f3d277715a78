"""The functions that submit, on a table in memory and a queue whose workers are late, on a timeline."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, cast

from benchmarks.timeline import Timeline
from imagetasks.aws.secrets import CachedSecret, CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import Clock
from imagetasks.limits import Limits
from imagetasks.poyo.client import PoyoClient, Transport
from imagetasks.tasks.conditional_write import UpdateItem
from imagetasks.tasks.message import TaskMessage
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import TaskUpdater
from tests.simulation.table_state import InMemoryTable
from tests.support.environment import order
from tests.support.fakes import START, FakeSecretsClient

TABLE_S = (0.003, 0.02)
LATE_S = (0.02, 0.3)
WORKERS, COLD_S = 10, 1.0


class SlowTable(InMemoryTable):
    """A table whose calls take a while."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline

    def get(self, pk: str) -> dict[str, Any]:
        self._wait()
        return super().get(pk)

    def update(self, update: UpdateItem) -> dict[str, Any]:
        self.transact_write([update])
        return dict(self.items[update.pk])

    def transact_write(self, writes: Sequence[Any]) -> None:
        self._wait()
        super().transact_write(writes)

    def _wait(self) -> None:
        self._timeline.sleep(self._timeline.rng.uniform(*TABLE_S))


class Queue:
    """The queue and its workers: a delay is in whole seconds, delivery is late, and so is the first
    message of each worker."""

    def __init__(self, timeline: Timeline, work: Callable[[TaskMessage], None]) -> None:
        self._timeline, self._work = timeline, work
        self._visible: deque[str] = deque()
        self._busy, self._idle = 0, 0

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        seconds = min(900, max(0, math.ceil(delay_s)))
        body, late_s = json.dumps(asdict(message)), self._timeline.rng.uniform(*LATE_S)
        self._timeline.at(self._timeline.now_s + seconds + late_s, lambda: self._arrive(body))

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        for message in messages:
            self.send(message)

    def _arrive(self, body: str) -> None:
        self._visible.append(body)
        self._deliver()

    def _deliver(self) -> None:
        while self._visible and self._busy < WORKERS:
            body, cold = self._visible.popleft(), self._idle == 0
            self._busy, self._idle = self._busy + 1, max(0, self._idle - 1)
            self._timeline.start(lambda body=body: self._receive(body), after_s=cold * COLD_S)  # type: ignore[misc]

    def _receive(self, body: str) -> None:
        self._work(TaskMessage.from_json(body))
        self._busy, self._idle = self._busy - 1, self._idle + 1
        self._deliver()


class Backend:
    """The functions that submit, on that table and queue."""

    def __init__(self, timeline: Timeline, send: Transport) -> None:
        clock = Clock(
            now_ms=lambda: START + round(timeline.now_s * 1000),
            rng=timeline.rng,
            limits=Limits(first_poll_s=10**6),
        )
        table, nothing = cast(Any, SlowTable(timeline)), cast(Any, None)
        repository = TaskRepository(table)
        queue = cast(Any, Queue(timeline, self._work))
        updater = TaskUpdater(repository=repository, queue=queue, clock=clock)
        poyo = PoyoClient(send=send, base_url="", key=lambda: "sk", refresh_key=lambda _: False)
        secrets = FakeSecretsClient({"current": "k1", "k1": "k"})
        self.submitter = Submitter(
            slots=SubmitSlots(table, clock, timeline.sleep),
            poyo=poyo,
            callback_keys=CallbackKeys(CachedSecret(cast(Any, secrets), "callback")),
            uploads=nothing,
            updater=updater,
            clock=clock,
        )
        self.reconciler = TaskReconciler(
            repository=repository,
            poyo=poyo,
            images=nothing,
            downloader=nothing,
            submitter=self.submitter,
            notifications=nothing,
            updater=updater,
            clock=clock,
        )

    def order(self, n: int) -> None:
        """Place one order."""
        self.submitter.submit(order(f"key {n}"))

    def _work(self, message: TaskMessage) -> None:
        self.reconciler.reconcile(message)
