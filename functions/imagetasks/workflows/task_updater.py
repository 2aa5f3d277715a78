"""The one place that applies a transition, logs it and enqueues the next task message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Unpack

from imagetasks import telemetry
from imagetasks.errors import DatabaseUnavailable, QueueUnavailable
from imagetasks.tasks import transition_writes
from imagetasks.tasks.bookings import booking
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import State
from imagetasks.tasks.transitions import TRANSITIONS
from imagetasks.workflows.credit_metrics import record_booked, record_transition

if TYPE_CHECKING:
    from imagetasks.aws.task_queue import TaskQueue
    from imagetasks.aws.task_repository import TaskRepository, WriteResult
    from imagetasks.clock import Clock, WriteStamp
    from imagetasks.tasks.budgets import Limit
    from imagetasks.tasks.task import Task, TaskFacts
    from imagetasks.tasks.transition_write import TransitionWrite

# A failed enqueue: the sweep finds the task (log a warning), the message was the last record of a
# PoYo id (raise an alarm), or SQS must deliver the current message again (raise).
EnqueuePolicy = Literal["log", "alarm", "raise"]
MakeWrite = Callable[["Task", "WriteStamp"], "TransitionWrite"]
END_METRICS = {"finish": "finished", "fail": "failed_{reason}"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TaskUpdater:
    """Called by every workflow that changes a task; the states before and after are those of the
    transition. Except for `settle` and `enqueue`, methods raise DatabaseUnavailable."""

    repository: TaskRepository
    queue: TaskQueue
    clock: Clock

    def create(self, task: Task, limits: Sequence[Limit] = ()) -> WriteResult:
        """Write a new task and reserve its credits: – → submitting. An existing one is returned and not
        changed. Raises BudgetExhausted or TokenRevoked if one of `limits` has no room."""
        result = self.repository.create(task, limits)
        if result.applied:
            log_transition("submit", result)
            record_booked(booking(result.task))
        return result

    def apply(self, write: TransitionWrite) -> WriteResult:
        """Make one transition. If a concurrent write won, nothing is left to do.

        A task that ends and is still due, for its notification or to erase its images, is enqueued
        at once. Raises TaskNotFound.
        """
        result = self.repository.apply(write)
        log_transition(write.name, result)
        record_transition(write, result)
        due_at = result.task.due_at
        is_due = due_at is not None and due_at <= self.clock.now_ms()
        if result.applied and write.name in END_METRICS and is_due:
            self.enqueue(_retry_message(result.task))
        return result

    def confirm_submission(self, task: Task, *, poyo_id: str, source: str) -> WriteResult:
        """Write PoYo's id: submitting, pending, unknown or failed (recoverable) → running.

        Repeats the write if the task has changed meanwhile but still has no PoYo id: PoYo charges
        for a deleted one all the same. Enqueues every other candidate id: PoYo may have created a
        second task. Raises PoyoIdConflict, TaskNotFound.
        """
        write = transition_writes.confirm_submission(
            task,
            self.clock.stamp(),
            poyo_id=poyo_id,
            due_at=self._first_poll_at(task),
            source=source,
        )
        result = self.repository.confirm_submission(write, poyo_id, named=source == "callback")
        log_transition(write.name, result)
        record_transition(write, result)
        if not result.applied and _may_confirm(result.task, read=task):
            return self.confirm_submission(result.task, poyo_id=poyo_id, source=source)
        if result.applied:
            for other in result.task.candidate_poyo_ids:
                if other != poyo_id:
                    message = TaskMessage(task_id=task.task_id, source="submit", poyo_id=other)
                    self.enqueue(message, on_failure="alarm")
        return result

    def settle(self, task: Task, make: MakeWrite) -> Task:
        """Write what became of a POST and return the task as it is now; never raises for DynamoDB.

        An outcome that could not be written is logged; the sweep finds the task when its submit
        lease has expired. If the attempt is still open because a deletion or a callback won, `make` is
        called again with the task as it is then.
        """
        write = make(task, self.clock.stamp())
        try:
            result = self.apply(write)
        except DatabaseUnavailable:
            telemetry.warning("transition_not_saved", task_id=task.task_id, transition=write.name)
            return task
        current = result.task
        still_open = current.state == State.SUBMITTING and current.attempt == task.attempt
        return self.settle(current, make) if still_open and not result.applied else current

    def settle_refused(self, task: Task, make: MakeWrite) -> Task:
        """`settle` the outcome of a POST of which PoYo says that it created nothing. A callback that
        came meanwhile says the contrary: the outcome is unknown then."""

        def _make(current: Task, stamp: WriteStamp) -> TransitionWrite:
            if current.callback_at or current.candidate_poyo_ids:
                return self.unknown(current, stamp, "refused by PoYo, but a callback came")
            return make(current, stamp)

        return self.settle(task, _make)

    def unknown(
        self, task: Task, stamp: WriteStamp, detail: str, *, poyo_id: str | None = None
    ) -> TransitionWrite:
        """The write submitting or pending → unknown: an hour after the attempt the task fails, unless an
        id (`poyo_id` or another candidate) is confirmed."""
        expires_at = task.attempted_at + self.clock.limits.unconfirmed_after_s * 1000
        return transition_writes.mark_unknown(
            task, stamp, expires_at=expires_at, detail=detail, poyo_id=poyo_id
        )

    def reschedule(
        self, task: Task, *, due_at: int | None, **facts: Unpack[TaskFacts]
    ) -> WriteResult:
        """Reconcile the task at `due_at`. None is never, unless its caller must still be notified."""
        attempts = facts.get("notification_attempts", task.notification_attempts)
        if due_at is None and attempts is not None:
            due_at = task.next_notification_at
        return self.apply(
            transition_writes.reschedule(task, self.clock.stamp(), due_at=due_at, **facts)
        )

    def retry_in(self, task: Task, delay_s: float, **facts: Unpack[TaskFacts]) -> WriteResult:
        """Reschedule the task in `delay_s` seconds. Up to 60 s a delayed message triggers it, with
        the sweep as fallback; longer delays are left to the sweep."""
        result = self.reschedule(task, due_at=self._due_at(delay_s), **facts)
        return self._enqueue_in(result, delay_s)

    def reopen(self, task: Task, delay_s: float, **facts: Unpack[TaskFacts]) -> WriteResult:
        """failed (recoverable) → running, to be reconciled in `delay_s` seconds like `retry_in`."""
        due_at = self._due_at(delay_s)
        write = transition_writes.reopen(task, self.clock.stamp(), due_at=due_at, **facts)
        return self._enqueue_in(self.apply(write), delay_s)

    def wait_for_slot(self, task: Task, not_before: int, facts: TaskFacts) -> None:
        """Reschedule a pending task for its submit at `not_before`, unless it already is."""
        due_at = self.submit_due_at(not_before)
        if task.due_at == due_at and task.not_before == not_before:
            return
        facts = {**facts, "not_before": not_before}
        result = self.reschedule(task, due_at=due_at, **facts)
        if result.applied:
            self.enqueue_submit(result.task)

    def submit_due_at(self, not_before: int) -> int:
        """`due_at` of a task that may be submitted at `not_before`: a delayed message triggers that to the
        second, with the sweep as fallback. If it is later than SQS can delay a message, the sweep
        triggers the task some minutes before, to send the message then."""
        limits = self.clock.limits
        if not_before - self.clock.now_ms() > limits.max_delay_s * 1000:
            return not_before - limits.swept_before_slot_s * 1000
        return not_before + self._fallback_s * 1000

    def enqueue_submit(self, task: Task) -> None:
        """Send the message that triggers the submit of a pending task at its `not_before`. If that is a
        turn in the queue, the message comes up to a second early, so that the worker is punctual."""
        limits = self.clock.limits
        wait_s = ((task.not_before or 0) - self.clock.now_ms()) / 1000
        if wait_s <= limits.max_delay_s:
            early_s = limits.slot_early_s if task.slot_number else 0
            self.enqueue(_retry_message(task), delay_s=wait_s - early_s)

    def enqueue(
        self, message: TaskMessage, *, delay_s: float = 0, on_failure: EnqueuePolicy = "log"
    ) -> None:
        """Send a task message; `on_failure` says what happens when SQS does not take it.

        Raises QueueUnavailable if `on_failure` is `raise`.
        """
        try:
            self.queue.send(message, delay_s=delay_s)
        except QueueUnavailable:
            if on_failure == "raise":
                raise
            if on_failure == "alarm":
                telemetry.alarm("enqueue_failed", task_id=message.task_id, poyo_id=message.poyo_id)
            else:
                telemetry.warning(
                    "enqueue_failed", task_id=message.task_id, poyo_id=message.poyo_id
                )

    def _first_poll_at(self, task: Task) -> int | None:
        """When a confirmed task is polled; None if it is due about then: a move costs two index writes."""
        first_s, needs_s = self.clock.limits.first_poll_s, self.clock.limits.submit_needs_s
        kept = self.clock.lies_ahead(task.due_at, from_s=first_s - needs_s, until_s=first_s)
        return None if kept else self.clock.after(first_s)

    def _due_at(self, delay_s: float) -> int:
        return self.clock.after(delay_s + (self._fallback_s if delay_s <= self._fallback_s else 0))

    def _enqueue_in(self, result: WriteResult, delay_s: float) -> WriteResult:
        if result.applied and delay_s <= self._fallback_s:
            self.enqueue(_retry_message(result.task), delay_s=delay_s)
        return result

    @property
    def _fallback_s(self) -> int:
        return self.clock.limits.sweep_fallback_s


def _retry_message(task: Task) -> TaskMessage:
    """The message for the step that is scheduled now; stale when the sweep's was faster."""
    return TaskMessage(task_id=task.task_id, source="retry", due_since=task.due_since)


def _may_confirm(task: Task, *, read: Task) -> bool:
    """Whether only a change of what was `read` has kept a PoYo id from being confirmed."""
    names = TRANSITIONS["confirm_submission"].unchanged
    changed = any(getattr(task, each) != getattr(read, each) for each in ("deleted_at", *names))
    return changed and task.poyo_id is None


def log_transition(name: str, result: WriteResult) -> None:
    """One line for each transition: its name, whether it was applied, and the task as it is now.

    A task that ended is counted in the metric `Finished`, or `FailedUnconfirmed` and so on by reason.
    """
    task = result.task
    telemetry.info(
        "transition",
        task_id=task.task_id,
        transition=name,
        applied=result.applied,
        state=task.state,
        reason=task.reason,
        attempt=task.attempt,
        poyo_id=task.poyo_id,
        age_ms=task.updated_at - task.created_at,
        image_bytes=sum(image.bytes for image in task.files) or None,
    )
    if result.applied and name in END_METRICS:
        telemetry.count_metric(END_METRICS[name].format(reason=task.reason))
