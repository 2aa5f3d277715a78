"""Submitting: the row first, then one POST, then whatever became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from imagetasks import telemetry
from imagetasks.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    PoyoIdConflict,
    PoyoRejected,
    PoyoUnavailable,
    QueueUnavailable,
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.rate_limit import Slot, current_window
from imagetasks.tasks import signed_urls, transitions
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import (
    PUBLIC_STATUS,
    State,
    Task,
    derive_task_id,
    fingerprint,
    owner_status_key,
    shard_of,
)

if TYPE_CHECKING:
    from imagetasks.aws.secrets import CallbackKeys
    from imagetasks.aws.task_queue import TaskQueue
    from imagetasks.aws.task_repository import TaskRepository, WriteResult
    from imagetasks.aws.upload_bucket import UploadBucket
    from imagetasks.clock import Clock
    from imagetasks.poyo.client import PoyoClient
    from imagetasks.tasks.transitions import TransitionWrite

ACCOUNT_REFUSALS = frozenset({"unavailable", "insufficient_credits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A validated wish: `input` as PoYo takes it, but for uploads, which are named `upload://…`;
    `estimate` in credits, `public_base_url` for callbacks, `notify_url` for the caller's own."""

    owner: str
    idempotency_key: str
    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str]
    estimated_credits: Decimal
    public_base_url: str
    notification_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Everything the one POST needs; the api and the worker are the only ones who have it."""

    repository: TaskRepository
    poyo: PoyoClient
    queue: TaskQueue
    callback_keys: CallbackKeys
    uploads: UploadBucket
    clock: Clock

    def submit(self, order: Order) -> tuple[Task, bool]:
        """The task of `order`, and whether it is a replay of an earlier one.

        Raises KeyReused when the key stands for another body, StoreUnavailable when nothing is
        known to be written (the same call may be made again).
        """
        self.require_credentials()
        task = self._new(order)
        outcome = self.repository.create(task)
        if not outcome.applied:
            if outcome.task.fingerprint != task.fingerprint:
                raise IdempotencyKeyReused(task.task_id)
            return outcome.task, True
        telemetry.log_transition("submit", True, task)
        turn = self.acquire_slot()
        if turn.wait_s is not None:
            return self._defer(task, turn.wait_s, "waiting for its turn"), False
        return self.submit_to_poyo(task, turn), False

    def acquire_slot(self) -> Slot:
        """Whether PoYo has room for one more submit now; a row too busy to be counted in has none."""
        try:
            return self.repository.count_submit(current_window(self.clock)).slot(self.clock)
        except DatabaseUnavailable:
            return Slot(self.clock.backoff_s(1, self.clock.limits.submit_backoff_s))

    def submit_to_poyo(self, task: Task, turn: Slot) -> Task:
        """POST `task`, which only the winner of T0 or T4 may do, and settle what came of it."""
        kid, key = self.callback_keys.current()
        try:
            poyo_id = self.poyo.submit(
                model=task.model,
                order=self._wish(task),
                callback_url=task.public_base_url
                + signed_urls.callback_path(kid, key, task.task_id),
                idempotency_key=task.task_id,
            )
        except PoyoUnavailable as error:
            return self._defer(task, self._patience_s(task, error), error.detail)
        except PoyoRejected as error:
            if error.reason in ACCOUNT_REFUSALS:
                self._trouble(over=False)
            return self._refused(task, error)
        except SubmitOutcomeUnknown as error:
            self._trouble(over=False)
            return self._doubt(task, error.detail)
        if turn.troubled:
            self._trouble(over=True)
        return self._bind(task, poyo_id)

    def _wish(self, task: Task) -> Mapping[str, Any]:
        """The order as PoYo takes it: uploads become links that it can follow for an hour."""
        urls = task.input.get("image_urls")
        linked = {"image_urls": self.uploads.resolve_urls(task.owner, urls)} if urls else {}
        return {**task.input, **linked}

    def require_credentials(self) -> None:
        """Raises SecretInvalid when a key is missing: better known before the row than after."""
        self.poyo.key()
        self.callback_keys.current()

    def _new(self, order: Order) -> Task:
        at = self.clock.stamp()
        task_id = derive_task_id(order.owner, order.idempotency_key)
        wish = {"model": order.model, "input": order.input, "metadata": order.metadata}
        if order.notification_url:
            wish["notification_url"] = order.notification_url
        return Task(
            task_id=task_id,
            owner=order.owner,
            fingerprint=fingerprint(wish),
            model=order.model,
            input=order.input,
            metadata=order.metadata,
            state=State.SUBMITTING,
            attempt=1,
            estimated_credits=order.estimated_credits,
            public_base_url=order.public_base_url,
            created_at=at.now,
            updated_at=at.now,
            attempted_at=at.now,
            write_token=at.write_token,
            due_at=self.clock.after(self.clock.limits.submit_lease_s),
            due_shard=shard_of(task_id),
            file_url_key=f"{self.clock.rng.getrandbits(160):040x}",
            owner_key=order.owner,
            owner_status_key=owner_status_key(PUBLIC_STATUS[State.SUBMITTING], order.owner),
            notification_url=order.notification_url,
            history=({"at": at.now, "event": "accepted"},),
        )

    def _bind(self, task: Task, poyo_id: str) -> Task:
        """T1. If the table is away the id takes the bell, and if that is dumb too, the log."""
        due_at = self.clock.after(self.clock.limits.first_poll_s)
        change = transitions.confirm_submission(
            task, self.clock.stamp(), poyo_id=poyo_id, due_at=due_at, how="answer"
        )
        try:
            outcome = self.repository.confirm_submission(change, poyo_id)
        except PoyoIdConflict:
            telemetry.alarm("poyo_id_conflict", task_id=task.task_id, poyo_id=poyo_id)
            return self._doubt(task, "PoYo gave the id of another task")
        except DatabaseUnavailable:
            telemetry.warning("poyo_id_enqueued", task_id=task.task_id, poyo_id=poyo_id)
            self._ring(TaskMessage(task_id=task.task_id, source="submit", poyo_id=poyo_id))
            return task
        if outcome.task.deleted_at != task.deleted_at:
            return self._bind(outcome.task, poyo_id)  # deleted meanwhile, and paid for all the same
        if not outcome.applied and outcome.task.poyo_id != poyo_id:
            telemetry.alarm("duplicate_poyo_task", task_id=task.task_id, poyo_id=poyo_id)
        return self._moved(change, outcome)

    def _patience_s(self, task: Task, error: PoyoUnavailable) -> float:
        """Full jitter, after what PoYo asked for if it did."""
        bounds_s = self.clock.limits.submit_backoff_s
        return min(bounds_s[1], (error.wait_s or 0) + self.clock.backoff_s(task.attempt, bounds_s))

    def _defer(self, task: Task, wait_s: float, detail: str) -> Task:
        """T2: nothing was created. A bell rings when it is time, the sweep stands behind it."""
        not_before = self.clock.after(wait_s)
        due_at = not_before + self.clock.limits.sweep_fallback_s * 1000
        deferred = self._apply(
            task,
            lambda stands: transitions.defer(
                stands, self.clock.stamp(), not_before=not_before, due_at=due_at, detail=detail
            ),
        )
        self._ring(TaskMessage(task_id=task.task_id, source="retry"), delay_s=wait_s + 1)
        return deferred

    def _doubt(self, task: Task, detail: str) -> Task:
        """T3: only a callback can tell now, or an hour of silence."""
        due_at = task.attempted_at + self.clock.limits.unconfirmed_after_s * 1000
        return self._apply(
            task,
            lambda stands: transitions.mark_unknown(
                stands, self.clock.stamp(), due_at=due_at, detail=detail
            ),
        )

    def _refused(self, task: Task, error: PoyoRejected) -> Task:
        """T6: PoYo said no before anything was created."""
        if error.reason in ACCOUNT_REFUSALS:
            telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason=error.reason)
        facts = {"reason": error.reason, "detail": error.detail}
        return self._apply(
            task,
            lambda stands: transitions.fail(
                stands, self.clock.stamp(), tell=task.attempt > 1, **facts
            ),
        )

    def _trouble(self, *, over: bool) -> None:
        """Tell the breaker; it is an estimate, so a lost word does no harm."""
        with contextlib.suppress(DatabaseUnavailable):
            self.repository.record_submit_outcome(over=over)

    def _apply(self, task: Task, make: Callable[[Task], TransitionWrite]) -> Task:
        """After the POST nothing may raise: an unwritten outcome is found overdue by the sweep.

        The outcome of a task that was deleted meanwhile is made anew from what stands.
        """
        change = make(task)
        try:
            stands = self._moved(change, self.repository.apply(change))
        except DatabaseUnavailable:
            telemetry.warning("transition_not_saved", task_id=task.task_id, transition=change.name)
            return task
        return stands if stands.deleted_at == task.deleted_at else self._apply(stands, make)

    def _moved(self, change: TransitionWrite, outcome: WriteResult) -> Task:
        telemetry.log_transition(change.name, outcome.applied, outcome.task)
        return outcome.task

    def _ring(self, ring: TaskMessage, *, delay_s: float = 0) -> None:
        try:
            self.queue.send(ring, delay_s=delay_s)
        except QueueUnavailable:
            telemetry.alarm("enqueue_failed", task_id=ring.task_id, poyo_id=ring.poyo_id)
