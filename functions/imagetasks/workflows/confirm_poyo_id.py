"""Confirming candidate PoYo ids: from PoYo's doubtful answer to a submit, or claimed by callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import PoyoIdConflict, PoyoTaskNotFound, PoyoUnavailable
from imagetasks.tasks import transition_writes
from imagetasks.tasks.task import FINAL_STATUSES, State

if TYPE_CHECKING:
    from imagetasks.aws.task_repository import WriteResult
    from imagetasks.clock import Clock
    from imagetasks.poyo.client import PoyoClient
    from imagetasks.tasks.task import Task
    from imagetasks.workflows.task_updater import TaskUpdater


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PoyoIdConfirmer:
    """Called by `TaskReconciler` for a task that has candidate ids and no PoYo id yet."""

    poyo: PoyoClient
    updater: TaskUpdater
    clock: Clock

    def confirm(self, task: Task) -> Task | None:
        """Confirm the first candidate that is the task's own: submitting, unknown or failed
        (recoverable) → running. Returns the task if it is running, to be polled at once.

        Otherwise the candidates are checked again later. Raises DatabaseUnavailable.
        """
        newest_first = dict.fromkeys((task.answered_poyo_id, *reversed(task.candidate_poyo_ids)))
        all_unknown = True
        for poyo_id in filter(None, newest_first):
            try:
                if self._is_own(task, poyo_id):
                    return self._confirm(task, poyo_id)
                all_unknown = False
            except PoyoTaskNotFound:
                continue
            except PoyoUnavailable:
                all_unknown = False
            except PoyoIdConflict:
                telemetry.alarm("poyo_id_conflict", task_id=task.task_id, poyo_id=poyo_id)
        self._check_later(task, all_unknown=all_unknown)
        return None

    def end_overdue(self, task: Task) -> Task:
        """unknown → failed (unconfirmed) a day after the attempt, before the task takes another candidate:
        no number of new ids keeps it open, and it takes them as a failed one. Returns the task as it is
        now. Raises DatabaseUnavailable."""
        open_s = self.clock.limits.timed_out_after_s
        if task.state != State.UNKNOWN or not self.clock.has_elapsed(task.attempted_at, open_s):
            return task
        return self._expire(task).task

    def _is_own(self, task: Task, poyo_id: str) -> bool:
        """Whether the id may be confirmed now. PoYo's status does not say whose it is.

        PoYo's own answer names the task's id. A callback may name any: PoYo calls back only when its
        task has ended, and then the task that it belongs to gets its callback within seconds. So the
        id must have ended and, some seconds later, still be named for this task alone.
        Raises PoyoIdConflict if it is named for another task as well, or is another's.
        """
        status = self.poyo.status(poyo_id)
        if poyo_id == task.answered_poyo_id:
            return True
        if status.status not in FINAL_STATUSES:
            return False
        now = self.clock.now_ms()
        named_at = self.updater.repository.name_poyo_id(poyo_id, task.task_id, now=now)
        return self.clock.has_elapsed(named_at, self.clock.limits.candidate_hold_s)

    def _confirm(self, task: Task, poyo_id: str) -> Task | None:
        source = "answer" if poyo_id == task.answered_poyo_id else "callback"
        result = self.updater.confirm_submission(task, poyo_id=poyo_id, source=source)
        return result.task if result.task.state == State.RUNNING else None

    def _check_later(self, task: Task, *, all_unknown: bool) -> None:
        """Check the candidates again: PoYo may not know a new id for a moment, and a named one is held
        for some seconds. An open task waits for an hour after its attempt, and for a day while PoYo does
        not deny every candidate, whatever callbacks come; a failed one until PoYo has no file left."""
        limits = self.clock.limits
        patience_s = limits.unconfirmed_after_s if all_unknown else limits.timed_out_after_s
        late = self.clock.has_elapsed(task.attempted_at, patience_s)
        denied = all_unknown and task.not_found_count >= limits.candidate_checks
        if denied or self.clock.has_elapsed(task.attempted_at, limits.file_lost_after_s):
            due_at = None if task.is_final else self.clock.now_ms()
            self.updater.reschedule(task, due_at=due_at, candidate_poyo_ids=None)
        elif late and task.state == State.UNKNOWN:
            self._expire(task)
        elif late and not task.is_final:  # its sender is gone, and it keeps its candidates
            write = self.updater.unknown(task, self.clock.stamp(), "no id could be confirmed")
            self.updater.apply(write)
        else:
            self.updater.retry_in(
                task,
                self.clock.fast_retry_s(task.polls, limits.poll_backoff_s),
                polls=task.polls + 1,
                not_found_count=task.not_found_count + all_unknown,
            )

    def _expire(self, task: Task) -> WriteResult:
        """unknown → failed (unconfirmed). Its candidates are checked on, as after any such failure."""
        delay_s = self.clock.fast_retry_s(0, self.clock.limits.poll_backoff_s)
        write = transition_writes.fail(
            task,
            self.clock.stamp(),
            reason="unconfirmed",
            detail="",
            again_at=self.clock.after(delay_s) if task.candidate_poyo_ids else None,
        )
        return self.updater.apply(write)
