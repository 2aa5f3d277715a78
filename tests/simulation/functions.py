"""Invokes the five Lambda functions as the platform does: in a sandbox, with a timeout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imagetasks.aws.task_repository import TaskPage
from imagetasks.errors import (
    BudgetExhausted,
    DatabaseUnavailable,
    IdempotencyKeyReused,
    OrdersPaused,
    QueueUnavailable,
    SecretInvalid,
    SecretUnavailable,
    StorageUnavailable,
    TaskDeleted,
    TaskNotFound,
    TokenRevoked,
)
from imagetasks.tasks.caller import Caller
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.order import Order
from imagetasks.workflows.receive_callback import CallbackRequest, receive_callback
from imagetasks.workflows.sweep import sweep
from tests.simulation.process import InvariantViolated, OnEnd, Process, ProcessResult, require
from tests.simulation.queue import Message
from tests.simulation.sandbox import ExternalServices, Sandbox
from tests.simulation.scheduler import Simulator

Errors = tuple[type[Exception], ...]
# What each function may raise while external services fail: Lambda, PoYo or the client retries.
SECRETS: Errors = (SecretInvalid, SecretUnavailable)
REFUSED: Errors = (BudgetExhausted, OrdersPaused, TokenRevoked)  # for want of credits
API: Errors = (IdempotencyKeyReused, TaskDeleted, DatabaseUnavailable, *REFUSED, *SECRETS)
OWNER_REQUEST: Errors = (TaskNotFound, DatabaseUnavailable)
# Responses that need no fault.
CLIENT_ERRORS: Errors = (IdempotencyKeyReused, TaskNotFound, TaskDeleted, *REFUSED)
WEBHOOK: Errors = (QueueUnavailable, *SECRETS)
WORKER: Errors = (DatabaseUnavailable, QueueUnavailable, StorageUnavailable, *SECRETS)
NOTIFY: Errors = (DatabaseUnavailable, *SECRETS)
SWEEP: Errors = (DatabaseUnavailable, QueueUnavailable)
TIMEOUTS_S = {
    "api": 29,
    "webhook": 25,
    "worker": 60,
    "notify": 60,
    "sweep": 50,
}  # as in template.yaml


class Functions:
    """Invokes a function in an idle or a new sandbox, as Lambda does, and reports how it ended."""

    def __init__(self, simulator: Simulator, services: ExternalServices) -> None:
        self._simulator = simulator
        self._services = services
        self._idle: dict[str, list[Sandbox]] = {kind: [] for kind in TIMEOUTS_S}
        self._created = 0

    def submit(self, order: Order, token_id: str | None, on_end: OnEnd) -> None:
        """A request to place an order, as its route answers it; with a browser token or a server key."""

        def work(sandbox: Sandbox) -> _Placement:
            process = self._simulator.process
            process.begun_at, process.clock_skew_ms = self._simulator.now, sandbox.skew_ms
            process.token_id = token_id
            caller = _caller(sandbox, order.owner, token_id)
            basis = sandbox.placement.read(caller, order.idempotency_key)
            if basis.earlier:
                placement = sandbox.placement.replay(basis.earlier, order.fingerprint)
            else:
                placement = sandbox.placement.place(order, caller, basis)
            return _Placement(placement.task, placement.replayed)

        subject = f"{order.owner}/{order.idempotency_key}"
        self._start("api", "submit", subject, work, API, on_end)

    def get(self, owner: str, task_id: str, wait_s: int, on_end: OnEnd) -> None:
        """A request for a task: the response comes when its status changes or `wait_s` is over."""

        def work(sandbox: Sandbox) -> Task:
            return sandbox.reader.wait_for_change(owner, task_id, wait_s=wait_s)

        self._start("api", "get", task_id[:6], work, OWNER_REQUEST, on_end)

    def list_page(
        self,
        owner: str,
        status: str | None,
        limit: int,
        after: ListPosition | None,
        on_end: OnEnd,
    ) -> None:
        """A request for a page of the owner's list."""

        def work(sandbox: Sandbox) -> TaskPage:
            return sandbox.reader.list(owner, status=status, limit=limit, after=after)

        self._start("api", "list", f"{owner} {status or ''}", work, OWNER_REQUEST, on_end)

    def delete(self, owner: str, task_id: str, on_end: OnEnd) -> None:
        """A request to delete a task."""

        def work(sandbox: Sandbox) -> bool:
            sandbox.reader.delete(owner, task_id)
            return True

        self._start("api", "delete", task_id[:6], work, OWNER_REQUEST, on_end)

    def operate(self, subject: str, work: Callable[[Sandbox], Any]) -> None:
        """A request of an operator, or of a server key that changes its budgets."""
        self._start("api", "operate", subject, work, OWNER_REQUEST, lambda _, result: None)

    def webhook(self, callback: CallbackRequest, on_end: OnEnd) -> None:
        """A request to the callback URL."""

        def work(sandbox: Sandbox) -> bool:
            return receive_callback(callback, keys=sandbox.callback_keys, queue=sandbox.queue)

        self._start("webhook", "receive_callback", callback.task_id[:6], work, WEBHOOK, on_end)

    def worker(self, message: Message, done: Callable[[bool], None]) -> None:
        """A message from the queue; `done(True)` deletes it, otherwise SQS delivers it again."""
        task_message = TaskMessage.from_json(message.body)
        subject = (
            f"{task_message.task_id[:6]} from {task_message.source} {task_message.poyo_id or ''}"
        )

        def work(sandbox: Sandbox) -> None:
            sandbox.reconciler.reconcile(task_message)

        def on_end(_: Process, result: ProcessResult) -> None:
            done(not result.killed and not result.error)

        self._start("worker", "reconcile", subject, work, WORKER, on_end)

    def notify(self, message: Message, done: Callable[[bool], None]) -> None:
        """A message from the notification queue; `done` as for the worker."""
        task_message = TaskMessage.from_json(message.body)

        def work(sandbox: Sandbox) -> None:
            sandbox.notifier.notify(task_message.task_id)

        def on_end(_: Process, result: ProcessResult) -> None:
            done(not result.killed and not result.error)

        self._start("notify", "notify", task_message.task_id[:6], work, NOTIFY, on_end)

    def sweep(self) -> None:
        """An event of the schedule. Nine of ten sweeps that would find nothing are left out."""
        begin, idle_too = self._simulator.now, self._simulator.rng.random() < 0.1

        def work(sandbox: Sandbox) -> str:
            if not idle_too and not self._services.table.shows_due(sandbox.clock.now_ms()):
                return "nothing is due"
            swept = sweep(
                repository=sandbox.repository,
                queue=sandbox.queue,
                clock=sandbox.clock,
                time_left_s=lambda: 35 - (self._simulator.now - begin) / 1000,
            )
            return f"enqueued {swept.enqueued}"

        self._start("sweep", "sweep", "", work, SWEEP, lambda _, result: None)

    def _start(
        self,
        kind: str,
        operation: str,
        subject: str,
        work: Callable[[Sandbox], Any],
        allowed: Errors,
        on_end: OnEnd,
    ) -> None:
        sandbox, caches_expired = self._sandbox(kind), self._simulator.caches_expired
        if self._simulator.tracing:
            self._simulator.record(sandbox.name, f"{operation} begins", subject)

        def finish(process: Process, result: ProcessResult) -> None:
            if self._simulator.tracing:
                self._simulator.record(sandbox.name, f"{operation} ends", _result_text(result))
            expected = allowed if not caches_expired else CLIENT_ERRORS if kind == "api" else ()
            if result.error and not isinstance(result.error, expected):
                raise InvariantViolated(f"{operation} raised {result.error!r}") from result.error
            failures = process.failures - {"table.update retry"}  # that write was the claim
            if not (result.killed or result.error or failures):
                require(not process.claimed, "a submit that has begun is sent", process.claimed)
            if not result.killed:
                self._idle[kind].append(sandbox)
            on_end(process, result)

        timeout_s = TIMEOUTS_S[kind]
        self._simulator.spawn(
            sandbox.name, operation, lambda: work(sandbox), timeout_s=timeout_s, on_end=finish
        )

    def _sandbox(self, kind: str) -> Sandbox:
        idle = self._idle[kind]
        if idle and self._simulator.rng.random() < 0.8:
            sandbox = idle.pop(self._simulator.rng.randrange(len(idle)))
            sandbox.resume()
            return sandbox
        self._created += 1
        return Sandbox(f"{kind}#{self._created}", self._simulator, self._services)


def token_id_of(owner: str) -> str:
    """The id of the owner's one browser token."""
    return owner.encode().hex().zfill(32)


def _caller(sandbox: Sandbox, owner: str, token_id: str | None) -> Caller:
    """Who orders. Raises TokenRevoked for a browser token that does not count any more."""
    if token_id is None:
        return Caller(key=owner, owner=owner)
    token = sandbox.tokens.get(token_id)
    if token is None or token.revoked_at is not None:
        raise TokenRevoked("revoked")
    return Caller(key=owner, owner=owner, token=token)


@dataclass(frozen=True, slots=True)
class _Placement:
    """The response to an order."""

    task: Task
    replayed: bool

    def __str__(self) -> str:
        return f"{self.task.state}{', replayed' if self.replayed else ''}"


def _result_text(result: ProcessResult) -> str:
    if result.killed:
        return "killed"
    return type(result.error).__name__ if result.error else _summary(result.value)


def _summary(value: Any) -> str:
    """A response as the trace shows it: of a task only its state."""
    if isinstance(value, Task):
        return value.state
    if isinstance(value, TaskPage):
        return f"{len(value.tasks)} tasks{', more pages' if value.last else ''}"
    return str(value)
