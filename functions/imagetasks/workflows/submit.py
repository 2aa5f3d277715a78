"""Submitting an order: the item first, then one POST, then the outcome of that POST."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
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
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.rate_limit import Slot, current_window
from imagetasks.tasks import signed_urls, transition_writes
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import (
    PUBLIC_STATUS,
    State,
    Task,
    derive_task_id,
    owner_status_key,
    shard_of,
)

if TYPE_CHECKING:
    from imagetasks.aws.secrets import CallbackKeys
    from imagetasks.aws.task_repository import TaskRepository
    from imagetasks.aws.upload_bucket import UploadBucket
    from imagetasks.clock import Clock
    from imagetasks.poyo.client import PoyoClient
    from imagetasks.workflows.task_updater import TaskUpdater

ACCOUNT_REASONS = frozenset({"unavailable", "insufficient_credits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A validated order. `input` is as PoYo accepts it, except that uploads are still `upload://…`;
    `fingerprint` tells a replay from another order under the same key, `public_base_url` is the
    origin of PoYo's callback, `notification_url` the caller's own."""

    owner: str
    idempotency_key: str
    fingerprint: str
    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str]
    estimated_credits: Decimal
    public_base_url: str
    notification_url: str | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """The task of an order, and whether an earlier request with the same key created it."""

    task: Task
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Submitter:
    """Sends paid POSTs; only the api and the worker have one."""

    repository: TaskRepository
    poyo: PoyoClient
    callback_keys: CallbackKeys
    uploads: UploadBucket
    updater: TaskUpdater
    clock: Clock

    def submit(self, order: Order) -> Placement:
        """Create the task of `order` and submit it: – → submitting → running, pending, unknown or
        failed. Called by `OrderPlacement.place`.

        Raises IdempotencyKeyReused when the key stands for another body, SecretInvalid or
        SecretUnavailable before anything is written, and DatabaseUnavailable when nothing is known
        to be written (the same call may be repeated).
        """
        self.require_credentials()
        task = self._new_task(order)
        created = self.updater.create(task)
        if not created.applied:
            if created.task.fingerprint != task.fingerprint:
                raise IdempotencyKeyReused(task.task_id)
            return Placement(created.task, replayed=True)
        slot = self.acquire_slot()
        if slot.wait_s is not None:
            return Placement(self._defer(task, slot.wait_s, "waiting for its turn"), replayed=False)
        return Placement(self.submit_to_poyo(task, slot), replayed=False)

    def acquire_slot(self) -> Slot:
        """A slot in PoYo's rate limit, which may have to be waited for; if the counter cannot be
        written, the submit waits too. No state changes. Called by `submit` and
        `SubmissionRetrier`."""
        try:
            return self.repository.count_submit(current_window(self.clock)).slot(self.clock)
        except DatabaseUnavailable:
            return Slot(self.clock.backoff_s(1, self.clock.limits.submit_backoff_s))

    def submit_to_poyo(self, task: Task, slot: Slot) -> Task:
        """POST a submitting task once and write the outcome: → running, pending, unknown or failed.

        Only the process whose write created the task or applied `retry` may call it: `submit` and
        `SubmissionRetrier`. After the POST nothing raises for DynamoDB or SQS.
        """
        if self.clock.time_left_s() < self.clock.limits.submit_needs_s:
            return self._defer(task, 0, "too little time was left for the request")
        kid, key = self.callback_keys.current()
        try:
            poyo_id = self.poyo.submit(
                model=task.model,
                order=self._resolved_input(task),
                callback_url=task.public_base_url
                + signed_urls.callback_path(kid, key, task.task_id),
                idempotency_key=task.task_id,
            )
        except PoyoUnavailable as error:
            return self._defer(task, self._retry_delay_s(task, error), error.detail)
        except PoyoRejected as error:
            return self._reject(task, error)
        except SubmitOutcomeUnknown as error:
            unknown = self._mark_unknown(task, error.detail, poyo_id=error.poyo_id)
            self._record_breaker_outcome(succeeded=False)
            return unknown
        if slot.after_failures:
            self._record_breaker_outcome(succeeded=True)
        return self._confirm(task, poyo_id)

    def require_credentials(self) -> None:
        """Raise SecretInvalid or SecretUnavailable if a key is missing, before anything is written.
        Called by `submit` and `SubmissionRetrier`."""
        self.poyo.key()
        self.callback_keys.current()

    def _resolved_input(self, task: Task) -> Mapping[str, Any]:
        """The input as PoYo accepts it: uploads and our images as presigned URLs, valid for an hour."""
        urls = task.input.get("image_urls")
        resolved = urls and self.uploads.resolve_urls(task.owner, urls, task.public_base_url)
        return {**task.input, "image_urls": resolved} if urls else task.input

    def _new_task(self, order: Order) -> Task:
        stamp = self.clock.stamp()
        task_id = derive_task_id(order.owner, order.idempotency_key)
        due_at = self.clock.after(self.clock.limits.submit_lease_s)
        return Task(
            task_id=task_id,
            owner=order.owner,
            fingerprint=order.fingerprint,
            model=order.model,
            input=order.input,
            metadata=order.metadata,
            state=State.SUBMITTING,
            attempt=1,
            estimated_credits=order.estimated_credits,
            public_base_url=order.public_base_url,
            created_at=stamp.now,
            updated_at=stamp.now,
            attempted_at=stamp.now,
            write_token=stamp.write_token,
            due_at=due_at,
            due_since=due_at,
            due_shard=shard_of(task_id),
            file_url_key=f"{self.clock.rng.getrandbits(160):040x}",
            owner_key=order.owner,
            owner_status_key=owner_status_key(PUBLIC_STATUS[State.SUBMITTING], order.owner),
            notification_url=order.notification_url,
            history=({"at": stamp.now, "event": "accepted"},),
        )

    def _confirm(self, task: Task, poyo_id: str) -> Task:
        """Store PoYo's task id. If DynamoDB is unavailable, or may take all of the remaining time, send
        the id in a task message; if SQS is unavailable too, log it as an error for the operator."""
        telemetry.info("poyo_id_received", task_id=task.task_id, poyo_id=poyo_id)
        message = TaskMessage(task_id=task.task_id, source="submit", poyo_id=poyo_id)
        hurried = self.clock.time_left_s() < 2 * self.clock.limits.aws_call_s
        if hurried:
            self.updater.enqueue(message, on_failure="alarm")
        try:
            result = self.updater.confirm_submission(task, poyo_id=poyo_id, source="answer")
        except PoyoIdConflict:
            telemetry.alarm("poyo_id_conflict", task_id=task.task_id, poyo_id=poyo_id)
            return self._mark_unknown(task, "PoYo gave the id of another task")
        except DatabaseUnavailable:
            telemetry.warning("poyo_id_enqueued", task_id=task.task_id, poyo_id=poyo_id)
            if not hurried:
                self.updater.enqueue(message, on_failure="alarm")
            return task
        if not result.applied and result.task.poyo_id != poyo_id:
            telemetry.alarm("duplicate_poyo_task", task_id=task.task_id, poyo_id=poyo_id)
        return result.task

    def _retry_delay_s(self, task: Task, error: PoyoUnavailable) -> float:
        """The delay that PoYo named, if it did, plus backoff with full jitter."""
        bounds_s = self.clock.limits.submit_backoff_s
        backoff_s = self.clock.backoff_s(task.attempt, bounds_s)
        return min(bounds_s[1], (error.wait_s or 0) + backoff_s)

    def _defer(self, task: Task, delay_s: float, detail: str) -> Task:
        """PoYo created nothing. Schedule a retry with a delayed message; the sweep retries if that
        message is lost."""
        not_before = self.clock.after(delay_s)
        due_at = not_before + self.clock.limits.sweep_fallback_s * 1000
        deferred = self.updater.settle_refused(
            task,
            lambda current, stamp: transition_writes.defer(
                current, stamp, not_before=not_before, due_at=due_at, detail=detail
            ),
        )
        self.updater.enqueue(TaskMessage(task_id=task.task_id, source="retry"), delay_s=delay_s + 1)
        return deferred

    def _mark_unknown(self, task: Task, detail: str, *, poyo_id: str | None = None) -> Task:
        """Only an id that PoYo knows can clear the outcome now: `poyo_id`, which PoYo's answer named, or
        a callback's. The message with it goes first: the write may fail or take too long."""
        if poyo_id:
            message = TaskMessage(task_id=task.task_id, source="submit", poyo_id=poyo_id)
            self.updater.enqueue(message, on_failure="alarm")
        return self.updater.settle(
            task,
            lambda current, stamp: self.updater.unknown(current, stamp, detail, poyo_id=poyo_id),
        )

    def _reject(self, task: Task, error: PoyoRejected) -> Task:
        """PoYo refused before it created anything: submitting → failed."""
        if error.reason in ACCOUNT_REASONS:
            self._record_breaker_outcome(succeeded=False)
            telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason=error.reason)
        return self.updater.settle_refused(
            task,
            lambda current, stamp: transition_writes.fail(
                current,
                stamp,
                reason=error.reason,
                detail=error.detail,
                notify=task.attempt > 1,
            ),
        )

    def _record_breaker_outcome(self, *, succeeded: bool) -> None:
        """Update the circuit breaker's failure count. It is an estimate, so a lost write is harmless."""
        with contextlib.suppress(DatabaseUnavailable):
            self.repository.record_submit_outcome(succeeded=succeeded)
