"""The four functions as their platform runs them: on some instance, against the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from imagetasks.api.pagination import ListPosition
from imagetasks.aws.task_repository import Page
from imagetasks.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    QueueUnavailable,
    SecretInvalid,
    SecretUnavailable,
    TaskNotFound,
)
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.receive_callback import CallbackRequest, receive_callback
from imagetasks.workflows.submit import Order
from imagetasks.workflows.sweep import sweep
from tests.simulation.process import Broken, End, Process
from tests.simulation.queue import Message
from tests.simulation.sandbox import Instance, Wires
from tests.simulation.scheduler import World

Errors = tuple[type[Exception], ...]
Ended = Callable[[Process, End], None]
# What each function may raise while its wires fail: the platform, PoYo or the client tries again.
SECRETS: Errors = (SecretInvalid, SecretUnavailable)
API: Errors = (IdempotencyKeyReused, DatabaseUnavailable, *SECRETS)
READING: Errors = (TaskNotFound, DatabaseUnavailable)
OURS: Errors = (IdempotencyKeyReused, TaskNotFound)  # answers, whatever the weather
WEBHOOK: Errors = (QueueUnavailable, *SECRETS)
WORKER: Errors = (DatabaseUnavailable, QueueUnavailable, *SECRETS, ClientError)  # the bucket's own
SWEEP: Errors = (DatabaseUnavailable, QueueUnavailable)
TIMEOUTS_S = {"api": 25, "webhook": 10, "worker": 60, "sweep": 50}  # as in template.yaml


class Functions:
    """Starts a function on a free instance, as Lambda does, and says how it ended."""

    def __init__(self, world: World, wires: Wires) -> None:
        self._world = world
        self._wires = wires
        self._idle: dict[str, list[Instance]] = {kind: [] for kind in TIMEOUTS_S}
        self._made = 0

    def api(self, order: Order, ended: Ended) -> None:
        """A request to place an order."""
        work: Callable[[Instance], Any] = lambda each: _Placed(*each.submitter.submit(order))  # noqa: E731
        subject = f"{order.owner}/{order.idempotency_key}"
        self._start("api", "submit", subject, work, API, ended)

    def read(self, owner: str, task_id: str, wait_s: int, ended: Ended) -> None:
        """A request for a task, to be answered when its status changes or the wait is over."""
        work: Callable[[Instance], Any] = lambda each: each.reader.wait_for_change(  # noqa: E731
            owner, task_id, wait_s=wait_s
        )
        self._start("api", "read", task_id[:6], work, READING, ended)

    def page(
        self, owner: str, status: str | None, limit: int, after: ListPosition | None, ended: Ended
    ) -> None:
        """A request for a page of the owner's list."""
        work: Callable[[Instance], Any] = lambda each: each.reader.list(  # noqa: E731
            owner, status=status, limit=limit, after=after
        )
        self._start("api", "list", f"{owner} {status or ''}", work, READING, ended)

    def delete(self, owner: str, task_id: str, ended: Ended) -> None:
        """A request to delete a task."""

        def work(each: Instance) -> bool:
            each.reader.delete(owner, task_id)
            return True

        self._start("api", "delete", task_id[:6], work, READING, ended)

    def webhook(self, callback: CallbackRequest, ended: Ended) -> None:
        """A request to the callback route."""

        def work(each: Instance) -> bool:
            return receive_callback(callback, keys=each.callback_keys, queue=each.queue)

        self._start("webhook", "hear", callback.task_id[:6], work, WEBHOOK, ended)

    def worker(self, message: Message, done: Callable[[bool], None]) -> None:
        """A message from the queue, which is deleted when nothing went wrong."""
        ring = TaskMessage.from_json(message.body)
        subject = f"{ring.task_id[:6]} rung by {ring.source} {ring.poyo_id or ''}"
        work: Callable[[Instance], None] = lambda each: each.reconciler.reconcile(ring)  # noqa: E731
        over: Ended = lambda _, end: done(not end.killed and not end.error)  # noqa: E731
        self._start("worker", "look", subject, work, WORKER, over)

    def sweep(self) -> None:
        """The schedule."""
        begin = self._world.now

        def work(each: Instance) -> str:
            swept = sweep(
                repository=each.repository,
                queue=each.queue,
                clock=each.clock,
                time_left_s=lambda: 40 - (self._world.now - begin) / 1000,
            )
            return f"rang {swept.enqueued}"

        self._start("sweep", "sweep", "", work, SWEEP, lambda _, end: None)

    def _start(
        self,
        kind: str,
        verb: str,
        subject: str,
        work: Callable[[Instance], Any],
        allowed: Errors,
        ended: Ended,
    ) -> None:
        instance, settled = self._instance(kind), self._world.settled
        self._world.tell(instance.name, f"{verb} begins", subject)

        def over(process: Process, end: End) -> None:
            self._world.tell(instance.name, f"{verb} ends", _said(end))
            expected = allowed if not settled else OURS if kind == "api" else ()
            if end.error and not isinstance(end.error, expected):
                raise Broken(f"{verb} raised {end.error!r}") from end.error
            if not end.killed:
                self._idle[kind].append(instance)
            ended(process, end)

        timeout_s = TIMEOUTS_S[kind]
        self._world.spawn(
            instance.name, verb, lambda: work(instance), timeout_s=timeout_s, ended=over
        )

    def _instance(self, kind: str) -> Instance:
        idle = self._idle[kind]
        if idle and self._world.chance.random() < 0.8:
            instance = idle.pop(self._world.chance.randrange(len(idle)))
            instance.wake()
            return instance
        self._made += 1
        return Instance(f"{kind}#{self._made}", self._world, self._wires)


@dataclass(frozen=True, slots=True)
class _Placed:
    """What the client is told."""

    task: Task
    replayed: bool

    @property
    def deleted_before(self) -> bool:
        """Whether the key stands for a task that was deleted."""
        return self.replayed and self.task.deleted_at is not None

    def __str__(self) -> str:
        return f"{self.task.state}{', replayed' if self.replayed else ''}"


def _said(end: End) -> str:
    if end.killed:
        return "killed"
    return type(end.error).__name__ if end.error else _briefly(end.value)


def _briefly(value: Any) -> str:
    """An answer in the story: of tasks only how they stand."""
    if isinstance(value, Task):
        return value.state
    if isinstance(value, Page):
        return f"{len(value.tasks)} tasks{', more behind' if value.last else ''}"
    return str(value)
