"""Bounding what callbacks cause: each keeps its evidence, and few of them cause a poll."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.tasks.failure_reasons import is_recoverable
from imagetasks.tasks.task import State

if TYPE_CHECKING:
    from imagetasks.aws.task_repository import WriteResult
    from imagetasks.clock import Clock
    from imagetasks.tasks.message import TaskMessage
    from imagetasks.tasks.task import Task, TaskFacts
    from imagetasks.workflows.task_updater import TaskUpdater

MAX_CANDIDATE_IDS = 4  # of one task: the first two and the last two
WRITE_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CallbackAdmission:
    """Called by `TaskReconciler` for each message of a callback or with a PoYo id."""

    updater: TaskUpdater
    clock: Clock

    def admit(self, task: Task, message: TaskMessage) -> Task | None:
        """Store the message's id as a candidate and return the task if a poll may follow now.

        None: another callback caused a poll less than `callback_gap_s` ago. The next poll comes soon
        enough after this one, or is scheduled here; so is the check of a second id. Raises
        DatabaseUnavailable, and QueueUnavailable where the message's id would be lost.
        """
        for _ in range(WRITE_TRIES):
            if not _causes_poll(task, message):
                return task
            facts, wait_ms = self._new_candidate(task, message), self._wait_ms(task)
            if wait_ms <= 0 or message.source == "submit":
                result = self._begin(task, facts)
                if result.applied:
                    return result.task
            elif _is_second_id(task, message):
                checked = self._defer_check(task, message, wait_ms)
                if checked is None or checked.applied:
                    return None
                result = checked
            elif _has_ended(task) or (self._is_due_soon(task, wait_ms) and not facts):
                return None
            else:
                result = self._defer(task, wait_ms, facts)
                if result.applied:
                    return None
            task = result.task
        # Other writes won each time. The message may be the only record of a paid task's id.
        self.updater.enqueue(message, delay_s=1, on_failure="raise")
        return None

    def _begin(self, task: Task, facts: TaskFacts) -> WriteResult:
        """Record that a poll begins now. If its worker dies, the sweep repeats it."""
        return self.updater.reschedule(
            task,
            due_at=task.due_at if _has_ended(task) else self._repeated_at(task),
            **{"callback_poll_at": self.clock.now_ms()} | facts,
        )

    def _repeated_at(self, task: Task) -> int | None:
        """When the sweep repeats a poll that begins now: when the task is due already, unless that is
        before the poll must have ended or later than a first poll. Moving it costs two index writes."""
        limits = self.clock.limits
        longest_s = max(limits.first_poll_s, limits.sweep_fallback_s)
        kept = self.clock.lies_ahead(task.due_at, from_s=limits.store_needs_s, until_s=longest_s)
        return task.due_at if kept else self.clock.after(limits.sweep_fallback_s)

    def _defer(self, task: Task, wait_ms: int, facts: TaskFacts) -> WriteResult:
        """Poll in `wait_ms`, unless a poll will come about then in any case."""
        if self._is_due_soon(task, wait_ms):
            return self.updater.reschedule(task, due_at=task.due_at, **facts)
        now = self.clock.now_ms()
        scheduled: TaskFacts = {"callback_poll_at": now + wait_ms, "callback_at": now, "polls": 0}
        return self.updater.retry_in(task, wait_ms / 1000, **scheduled | facts)

    def _defer_check(self, task: Task, message: TaskMessage, wait_ms: int) -> WriteResult | None:
        """Check a second id in `wait_ms`, as the one poll that callbacks may cause then. None: that is
        taken, and the id is only logged."""
        now = self.clock.now_ms()
        if now < (task.callback_poll_at or 0) <= now + wait_ms:
            telemetry.warning(
                "second_poyo_id_not_checked", task_id=task.task_id, poyo_id=message.poyo_id
            )
            return None
        result = self.updater.reschedule(task, due_at=task.due_at, callback_poll_at=now + wait_ms)
        if result.applied:  # as a message of a submit, it does not wait for another gap
            later = replace(message, source="submit")
            self.updater.enqueue(later, delay_s=wait_ms / 1000, on_failure="alarm")
        return result

    def _wait_ms(self, task: Task) -> int:
        """Time until a callback may cause a poll; the last such poll may itself lie ahead."""
        gap_ms, now = self.clock.limits.callback_gap_s * 1000, self.clock.now_ms()
        last = min(task.callback_poll_at or 0, now + gap_ms)  # the writer's clock may be ahead
        return last + gap_ms - now

    def _is_due_soon(self, task: Task, wait_ms: int) -> bool:
        """Whether the task is reconciled no later than a poll that is scheduled now."""
        latest = self.clock.now_ms() + wait_ms + self.clock.limits.sweep_fallback_s * 1000
        return task.due_at is not None and task.due_at <= latest

    def _new_candidate(self, task: Task, message: TaskMessage) -> TaskFacts:
        """What the message's id changes of a task that has none: the first ids and the newest are kept.
        An id of PoYo's answer comes first. A new one gets the full number of checks, unless the hour
        after the attempt is over."""
        poyo_id, answered = message.poyo_id, message.source == "submit"
        if poyo_id is None or task.poyo_id is not None or _has_ended(task):
            return {}
        known = task.candidate_poyo_ids
        ids = (poyo_id, *known) if answered else (*known, poyo_id)
        kept = _bounded(tuple(dict.fromkeys(ids)))
        if kept == known and (not answered or task.answered_poyo_id == poyo_id):
            return {}
        facts: TaskFacts = {"candidate_poyo_ids": kept}
        if answered:
            facts["answered_poyo_id"] = poyo_id
        late = self.clock.has_elapsed(task.attempted_at, self.clock.limits.unconfirmed_after_s)
        if task.is_final or not late:
            facts |= {"polls": 0, "not_found_count": 0}
        return facts


def _bounded(ids: tuple[str, ...]) -> tuple[str, ...]:
    return (*ids[:2], *ids[-2:]) if len(ids) > MAX_CANDIDATE_IDS else ids


def _has_ended(task: Task) -> bool:
    """Whether nothing that PoYo says can change the task."""
    return task.is_final and (task.deleted_at is not None or not is_recoverable(task))


def _is_second_id(task: Task, message: TaskMessage) -> bool:
    """Whether the message names an id that the task can no longer take."""
    named = message.poyo_id not in (None, task.poyo_id)
    return named and (task.poyo_id is not None or _has_ended(task))


def _causes_poll(task: Task, message: TaskMessage) -> bool:
    """Whether the message leads to a GET: of the task's id, of its candidates or of a second id."""
    second = message.poyo_id not in (None, task.poyo_id)
    if _has_ended(task):
        return second
    if task.poyo_id is not None:
        return second or task.state in (State.RUNNING, State.FAILED)
    return second or bool(task.candidate_poyo_ids)
