"""Submitting an order: the item first, then one POST, then the outcome of that POST."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from imagetasks import telemetry
from imagetasks.errors import (
    DatabaseUnavailable,
    PoyoIdConflict,
    PoyoRejected,
    PoyoUnavailable,
    SubmitOutcomeUnknown,
    TooManyOrders,
)
from imagetasks.tasks import signed_urls, transition_writes
from imagetasks.tasks.json_pointer import value_at, with_values
from imagetasks.tasks.message import TaskMessage
from imagetasks.workflows.order import new_task

if TYPE_CHECKING:
    from imagetasks.aws.secrets import CallbackKeys
    from imagetasks.aws.submit_account import Account
    from imagetasks.aws.submit_slots import SubmitSlots
    from imagetasks.aws.upload_bucket import UploadBucket
    from imagetasks.clock import Clock
    from imagetasks.poyo.client import PoyoClient
    from imagetasks.poyo.rate_limit import Slot
    from imagetasks.tasks.budgets import Limit
    from imagetasks.tasks.task import Task
    from imagetasks.workflows.order import Order
    from imagetasks.workflows.task_updater import TaskUpdater

ACCOUNT_REASONS = frozenset({"unavailable", "insufficient_credits"})


@dataclass(frozen=True, slots=True)
class Placement:
    """The task of an order, and whether an earlier request with the same key created it."""

    task: Task
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Submitter:
    """Sends paid POSTs; only the api and the worker have one."""

    slots: SubmitSlots
    poyo: PoyoClient
    callback_keys: CallbackKeys
    uploads: UploadBucket
    updater: TaskUpdater
    clock: Clock

    def submit(
        self, order: Order, limits: Sequence[Limit] = (), account: Account | None = None
    ) -> Placement:
        """Create the task of `order`, reserve its credits under `limits` and submit it: – → submitting →
        running, pending, unknown or failed. If it has to wait for its slot: – → pending. If the key has a
        task already, that is returned as it is; `OrderPlacement.place`, which has read `account`, compares
        the orders.

        Raises SecretInvalid, SecretUnavailable, TooManyOrders, BudgetExhausted or TokenRevoked before the
        task exists, and DatabaseUnavailable when nothing is known to be written (the same call may be
        repeated).
        """
        self.require_credentials()
        slot = self._slot_of_new_order(account)
        due_at = self.clock.attempt_due_at()
        if slot.not_before is not None:
            due_at = self.updater.submit_due_at(slot.not_before)
        task = new_task(order, slot, limits, due_at=due_at, clock=self.clock)
        created = self.updater.create(task, limits)
        if not created.applied:
            return Placement(created.task, replayed=True)
        if slot.not_before is not None:
            self.updater.enqueue_submit(task)
            return Placement(task, replayed=False)
        return Placement(self.submit_to_poyo(task, slot), replayed=False)

    def acquire_slot(self, task: Task) -> Slot:
        """The slot that a pending task waited for, or another one if that came too late; if it cannot
        be counted, the submit waits. No state changes. Called by `SubmissionRetrier`."""
        try:
            return self.slots.reserve(task.slot_number, task.not_before or 0, early=True)
        except DatabaseUnavailable:
            return self.slots.uncounted()

    def submit_to_poyo(self, task: Task, slot: Slot) -> Task:
        """POST a submitting task once and write the outcome: → running, pending, unknown or failed.

        Only the process whose write created the task or applied `retry` may call it: `submit` and
        `SubmissionRetrier`. After the POST nothing raises for DynamoDB or SQS.
        """
        self.require_credentials()  # before the time is asked: reading them again may take long
        if later_s := self.slots.await_start(slot):
            return self._defer(task, later_s, "its start has passed", refused=False)
        if self.clock.time_left_s() < self.clock.limits.submit_needs_s:
            return self._defer(task, 1, "too little time was left for the request", refused=False)
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
            return self._on_refusal(task, error)
        except PoyoRejected as error:
            return self._reject(task, error)
        except SubmitOutcomeUnknown as error:
            unknown = self._mark_unknown(task, error.detail, poyo_id=error.poyo_id)
            self._record_breaker_outcome(succeeded=False)
            return unknown
        confirmed = self._confirm(task, poyo_id)
        if slot.after_failures:
            self._record_breaker_outcome(succeeded=True)
        return confirmed

    def require_credentials(self) -> None:
        """Raise SecretInvalid or SecretUnavailable if a key is missing, before anything is written.
        Called by `submit` and `SubmissionRetrier`."""
        self.poyo.key()
        self.callback_keys.current()

    def _resolved_input(self, task: Task) -> Mapping[str, Any]:
        """The input as PoYo accepts it: uploads and our images as presigned URLs, valid for an hour."""
        order = {"input": task.input}
        urls = {each: value_at(order, each) for each in task.address_pointers}
        if not urls:
            return task.input
        resolved = self.uploads.resolve_urls(task.owner, urls.values(), task.public_base_url)
        changed = with_values(order, dict(zip(urls, resolved, strict=True)))
        return cast(Mapping[str, Any], changed["input"])

    def _slot_of_new_order(self, account: Account | None) -> Slot:
        """A new slot. Raises TooManyOrders when it would lie more than half an hour ahead."""
        try:
            return self.slots.reserve(max_wait_s=self.clock.limits.max_queue_s, account=account)
        except TooManyOrders:
            telemetry.alarm("too_many_orders")
            raise
        except DatabaseUnavailable:
            return self.slots.uncounted()

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

    def _on_refusal(self, task: Task, error: PoyoUnavailable) -> Task:
        """PoYo created nothing. A wait that PoYo named holds for all submits, and so does an outage."""
        if self.is_refused_for_good(task):
            settled = self._fail_refused(task, "unavailable", error.detail)
        else:
            delay_s = self._retry_delay_s(task, error)
            settled = self._defer(task, delay_s, error.detail, refused=True)
        if error.wait_s:
            # Without the pause, others get a 429 too.
            with contextlib.suppress(DatabaseUnavailable):
                self.slots.pause(error.wait_s)
        if error.unreached:
            self._record_breaker_outcome(succeeded=False)
        return settled

    def is_refused_for_good(self, task: Task) -> bool:
        """Whether PoYo first refused the task half an hour ago. Called on each further refusal, here
        and by `SubmissionRetrier`: waiting for a slot alone ends no task."""
        patience_s = self.clock.limits.unavailable_after_s
        return task.refused_at is not None and self.clock.has_elapsed(task.refused_at, patience_s)

    def _retry_delay_s(self, task: Task, error: PoyoUnavailable) -> float:
        """The delay that PoYo named, if it did, plus backoff with full jitter."""
        bounds_s = self.clock.limits.submit_backoff_s
        backoff_s = self.clock.backoff_s(task.attempt, bounds_s)
        return min(bounds_s[1], (error.wait_s or 0) + backoff_s)

    def _defer(self, task: Task, delay_s: float, detail: str, *, refused: bool) -> Task:
        """Schedule a retry with a delayed message; the sweep retries if that message is lost."""
        not_before = self.clock.after(delay_s)
        due_at = self.updater.submit_due_at(not_before)
        deferred = self.updater.settle_refused(
            task,
            lambda current, stamp: transition_writes.defer(
                current, stamp, not_before=not_before, due_at=due_at, detail=detail, refused=refused
            ),
        )
        if deferred.not_before == not_before:
            self.updater.enqueue_submit(deferred)
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
        failed = self._fail_refused(task, error.reason, error.detail)
        if error.reason in ACCOUNT_REASONS:
            telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason=error.reason)
            self._record_breaker_outcome(succeeded=False)
        return failed

    def _fail_refused(self, task: Task, reason: str, detail: str) -> Task:
        """submitting → failed; the caller is notified unless the response to the order says it."""
        return self.updater.settle_refused(
            task,
            lambda current, stamp: transition_writes.fail(
                current, stamp, reason=reason, detail=detail, notify=task.attempt > 1
            ),
        )

    def _record_breaker_outcome(self, *, succeeded: bool) -> None:
        """Update the circuit breaker's failure count, after the outcome itself is written. It is an
        estimate, so a lost write is harmless."""
        with contextlib.suppress(DatabaseUnavailable):
            self.slots.record_outcome(succeeded=succeeded)
