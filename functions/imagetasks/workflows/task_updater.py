"""One step of a task written down, and the bell for the next look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks import telemetry
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks import failure_reasons, transitions
from imagetasks.tasks.message import Ring

if TYPE_CHECKING:
    from imagetasks.aws.task_queue import Doorbell
    from imagetasks.aws.task_repository import Outcome, Store
    from imagetasks.clock import Pace
    from imagetasks.tasks.task import Task
    from imagetasks.tasks.transitions import Change

ENDS = frozenset({"finish", "fail"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Every method raises StoreUnavailable when the table cannot be used."""

    store: Store
    doorbell: Doorbell
    pace: Pace

    def take(self, change: Change) -> Outcome:
        """Make one transition. Where somebody else was faster there is nothing left to do."""
        outcome = self.store.apply(change)
        telemetry.moved(change.name, outcome.won, outcome.task)
        if outcome.won and change.name in ENDS and outcome.task.due_at is not None:
            self._ring_in(outcome.task, 0)  # somebody is to be told of it
        return outcome

    def move(self, task: Task, *, due_at: int | None, **facts: Any) -> Outcome:
        """T7: the next look is at `due_at`; None is never, unless its caller is still to be told."""
        if due_at is None and facts.get("notices", task.notices) is not None:
            due_at = task.notice_at
        return self.take(transitions.move(task, self.pace.at(), due_at=due_at, **facts))

    def later(self, task: Task, wait_s: float, **facts: Any) -> Outcome:
        """The next look in `wait_s` seconds, if nobody was faster: a bell for the short waits, the
        sweep behind it."""
        limits = self.pace.limits
        quick = wait_s <= limits.backup_s
        due_at = self.pace.after(wait_s + (limits.backup_s if quick else 0))
        if failure_reasons.softly_failed(task) and "copies" in facts:
            outcome = self.take(transitions.revive(task, self.pace.at(), due_at=due_at, **facts))
        else:
            outcome = self.move(task, due_at=due_at, **facts)
        if outcome.won and quick:
            self._ring_in(task, wait_s)
        return outcome

    def _ring_in(self, task: Task, wait_s: float) -> None:
        try:
            self.doorbell.ring(Ring(task_id=task.task_id, by="retry"), delay_s=wait_s)
        except QueueUnavailable:
            telemetry.warn("bell_dumb", task_id=task.task_id)
