"""Tasks without a PoYo id: submit again, or give up waiting for an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.tasks import transition_writes
from imagetasks.tasks.task import State

if TYPE_CHECKING:
    from imagetasks.clock import Clock
    from imagetasks.poyo.rate_limit import Slot
    from imagetasks.tasks.task import Task, TaskFacts
    from imagetasks.workflows.submit import Submitter
    from imagetasks.workflows.task_updater import TaskUpdater


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SubmissionRetrier:
    """Called by `TaskReconciler`. Every method raises DatabaseUnavailable."""

    submitter: Submitter
    updater: TaskUpdater
    clock: Clock

    def record_callback(self, task: Task) -> Task:
        """A callback came although no submit has succeeded yet: PoYo has created the task, whatever it
        answered, so no further submit may begin. pending → unknown; a submitting task keeps its state
        until the outcome of its POST is written. Returns the task as it is now."""
        while task.state in (State.SUBMITTING, State.PENDING):
            stamp = self.clock.stamp()
            if task.state == State.PENDING:
                detail = "refused by PoYo, but a callback came"
                write = self.updater.unknown(task, stamp, detail)
            elif task.callback_at is None:
                write = transition_writes.reschedule(
                    task, stamp, due_at=task.due_at, callback_at=stamp.now
                )
            else:
                return task
            result = self.updater.apply(write)
            task = result.task
            if result.applied:
                return task
        return task

    def expire_submission(self, task: Task) -> None:
        """submitting → unknown when the submit lease has expired: the sender must be gone by now,
        and whether its POST reached PoYo is unknown."""
        if not self.clock.has_elapsed(task.attempted_at, self.clock.limits.submit_lease_s):
            return
        detail = "the sender stopped before it recorded an outcome"
        self.updater.apply(self.updater.unknown(task, self.clock.stamp(), detail))

    def expire_unknown(self, task: Task) -> None:
        """unknown → failed (unconfirmed) when no callback came within an hour of the attempt."""
        due_at = self._unconfirmed_at(task)
        if self.clock.has_elapsed(task.attempted_at, self.clock.limits.unconfirmed_after_s):
            self._fail(task, "unconfirmed")
        elif task.due_at != due_at:
            self.updater.reschedule(task, due_at=due_at)

    def retry_if_due(self, task: Task) -> None:
        """pending → submitting and one POST when `not_before` has passed and the slot still holds;
        → failed (unavailable) when the circuit breaker is open half an hour after PoYo first refused
        the task, or when the task was deleted and nobody wants it any more.

        Raises SecretInvalid or SecretUnavailable before the transition.
        """
        not_before = task.not_before or 0
        early_s = self.clock.limits.slot_early_s if task.slot_number else 0
        longest_s = self.clock.limits.max_queue_s * 2  # only a wrong clock makes a task wait longer
        if task.deleted_at is not None:
            self._fail(task, "unavailable")
        elif self.clock.after(early_s) < not_before <= self.clock.after(longest_s):
            self.updater.wait_for_slot(task, not_before, {})
        else:
            self._retry(task)

    def _retry(self, task: Task) -> None:
        """Apply `retry` and POST if the task's slot has come, else wait for it."""
        self.submitter.require_credentials()
        slot = self.submitter.acquire_slot(task)
        if slot.not_before is not None:
            self._wait(task, slot, slot.not_before)
            return
        due_at = self.clock.attempt_due_at()
        write = transition_writes.retry(task, self.clock.stamp(), due_at=due_at)
        attempt = self.updater.apply(write)
        if attempt.applied:
            self.submitter.submit_to_poyo(attempt.task, slot)

    def _wait(self, task: Task, slot: Slot, not_before: int) -> None:
        """Wait for the slot; PoYo's circuit breaker counts as a refusal by PoYo."""
        facts: TaskFacts = {"slot_number": slot.number}
        if slot.breaker_open:
            facts["refused_at"] = task.refused_at or self.clock.now_ms()
            if self.submitter.is_refused_for_good(task):
                self._fail(task, "unavailable")
                return
        self.updater.wait_for_slot(task, not_before, facts)

    def _fail(self, task: Task, reason: str) -> None:
        detail = task.detail or ""
        write = transition_writes.fail(task, self.clock.stamp(), reason=reason, detail=detail)
        self.updater.apply(write)

    def _unconfirmed_at(self, task: Task) -> int:
        return task.attempted_at + self.clock.limits.unconfirmed_after_s * 1000
