"""One step of a task written down, and the bell for the next look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks import telemetry
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks import failure_reasons, transitions
from imagetasks.tasks.message import TaskMessage

if TYPE_CHECKING:
    from imagetasks.aws.task_queue import TaskQueue
    from imagetasks.aws.task_repository import TaskRepository, WriteResult
    from imagetasks.clock import Clock
    from imagetasks.tasks.task import Task
    from imagetasks.tasks.transitions import TransitionWrite

ENDS = frozenset({"finish", "fail"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUpdater:
    """Every method raises StoreUnavailable when the table cannot be used."""

    repository: TaskRepository
    queue: TaskQueue
    clock: Clock

    def apply(self, change: TransitionWrite) -> WriteResult:
        """Make one transition. Where somebody else was faster there is nothing left to do."""
        outcome = self.repository.apply(change)
        telemetry.log_transition(change.name, outcome.applied, outcome.task)
        if outcome.applied and change.name in ENDS and outcome.task.due_at is not None:
            self._enqueue_in(outcome.task, 0)  # somebody is to be told of it
        return outcome

    def reschedule(self, task: Task, *, due_at: int | None, **facts: Any) -> WriteResult:
        """T7: the next look is at `due_at`; None is never, unless its caller is still to be told."""
        if (
            due_at is None
            and facts.get("notification_attempts", task.notification_attempts) is not None
        ):
            due_at = task.next_notification_at
        return self.apply(transitions.reschedule(task, self.clock.stamp(), due_at=due_at, **facts))

    def retry_in(self, task: Task, wait_s: float, **facts: Any) -> WriteResult:
        """The next look in `wait_s` seconds, if nobody was faster: a bell for the short waits, the
        sweep behind it."""
        limits = self.clock.limits
        quick = wait_s <= limits.sweep_fallback_s
        due_at = self.clock.after(wait_s + (limits.sweep_fallback_s if quick else 0))
        if failure_reasons.is_recoverable(task) and "copy_attempts" in facts:
            outcome = self.apply(
                transitions.reopen(task, self.clock.stamp(), due_at=due_at, **facts)
            )
        else:
            outcome = self.reschedule(task, due_at=due_at, **facts)
        if outcome.applied and quick:
            self._enqueue_in(task, wait_s)
        return outcome

    def _enqueue_in(self, task: Task, wait_s: float) -> None:
        try:
            self.queue.send(TaskMessage(task_id=task.task_id, source="retry"), delay_s=wait_s)
        except QueueUnavailable:
            telemetry.warning("enqueue_failed", task_id=task.task_id)
