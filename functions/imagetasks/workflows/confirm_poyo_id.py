"""Confirming candidate PoYo ids, which callbacks claimed for a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import PoyoIdConflict, PoyoTaskNotFound, PoyoUnavailable
from imagetasks.tasks.task import State

if TYPE_CHECKING:
    from imagetasks.clock import Clock
    from imagetasks.poyo.client import PoyoClient
    from imagetasks.tasks.message import TaskMessage
    from imagetasks.tasks.task import Task
    from imagetasks.workflows.task_updater import TaskUpdater

MAX_CANDIDATE_IDS = 4  # of one task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PoyoIdConfirmer:
    """Called by `TaskReconciler` for a task that has no PoYo id yet."""

    poyo: PoyoClient
    updater: TaskUpdater
    clock: Clock

    def confirm(self, task: Task, message: TaskMessage) -> Task | None:
        """Confirm the first candidate that PoYo knows, newest first: submitting, pending, unknown or
        failed (recoverable) → running. Returns the task if it is running, to be polled at once.

        Otherwise the candidates are kept until PoYo answers. Raises DatabaseUnavailable, and
        QueueUnavailable where the message's id would be lost.
        """
        new_ids = [message.poyo_id] if message.poyo_id else []
        unique = tuple(dict.fromkeys((*task.candidate_poyo_ids, *new_ids)))
        candidates = unique[-MAX_CANDIDATE_IDS:]
        all_unknown = True
        for poyo_id in reversed(candidates):
            try:
                self.poyo.status(poyo_id)
                return self._confirm(task, poyo_id)
            except PoyoTaskNotFound:
                continue
            except PoyoUnavailable:
                all_unknown = False
            except PoyoIdConflict:
                telemetry.alarm("poyo_id_conflict", task_id=task.task_id, poyo_id=poyo_id)
        self._keep_candidates(task, message, candidates, all_unknown=all_unknown)
        return None

    def _confirm(self, task: Task, poyo_id: str) -> Task | None:
        result = self.updater.confirm_submission(task, poyo_id=poyo_id, source="callback")
        return result.task if result.task.state == State.RUNNING else None

    def _keep_candidates(
        self, task: Task, message: TaskMessage, candidates: tuple[str, ...], *, all_unknown: bool
    ) -> None:
        """Keep the ids and check again later: PoYo may not know a new id for a moment.

        A new id gets the full number of checks, however many earlier ids have used up.
        """
        limits = self.clock.limits
        is_new = message.poyo_id is not None and message.poyo_id not in task.candidate_poyo_ids
        polls, not_found = (0, 0) if is_new else (task.polls, task.not_found_count)
        if all_unknown and not_found >= limits.candidate_checks:
            due_at = None if task.is_final else self.clock.now_ms()
            self.updater.reschedule(task, due_at=due_at, candidate_poyo_ids=None)
            return
        delay_s = self.clock.fast_retry_s(polls, limits.poll_backoff_s)
        current = self.updater.retry_in(
            task,
            delay_s,
            candidate_poyo_ids=candidates,
            polls=polls + 1,
            not_found_count=not_found + all_unknown,
        ).task
        kept = message.poyo_id in (current.poyo_id, *current.candidate_poyo_ids)
        if message.poyo_id and not kept:
            # A concurrent write kept the candidate id out of the item. Re-enqueue the message with
            # the id: it may be the only record of a paid task. If SQS fails, SQS delivers the
            # current message again.
            self.updater.enqueue(message, delay_s=delay_s, on_failure="raise")
