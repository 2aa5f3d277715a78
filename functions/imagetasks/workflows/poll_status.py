"""Polling: one GET of PoYo's status and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Unpack

from imagetasks import telemetry
from imagetasks.errors import DownloadFailed, PoyoTaskNotFound, PoyoUnavailable
from imagetasks.tasks import transition_writes
from imagetasks.tasks.bookings import is_unresolved
from imagetasks.tasks.task import Task

if TYPE_CHECKING:
    from imagetasks.clock import Clock
    from imagetasks.poyo.client import PoyoClient
    from imagetasks.poyo.responses import TaskStatus
    from imagetasks.tasks.message import TaskMessage
    from imagetasks.tasks.task import TaskFacts
    from imagetasks.workflows.copy_images import ImageCopier
    from imagetasks.workflows.task_updater import TaskUpdater


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class StatusPoller:
    """Called by `TaskReconciler` for a task with PoYo's id that is running or failed."""

    poyo: PoyoClient
    copier: ImageCopier
    updater: TaskUpdater
    clock: Clock

    def poll(self, task: Task, message: TaskMessage) -> None:
        """One GET status and what follows from it: running or failed (recoverable) → finished,
        failed, running, or the same state with a later `due_at`."""
        try:
            prompt = str(task.input.get("prompt", ""))
            status = self.poyo.status(str(task.poyo_id), prompt=prompt)
        except PoyoTaskNotFound:
            return self._on_running(task, message, None)
        except PoyoUnavailable as error:
            return self._on_no_status(task, message, error)
        if status.status == "finished":
            return self._on_finished(task, status)
        if status.status == "failed":
            return self._on_failed(task, status)
        return self._on_running(task, message, status)

    def _on_finished(self, task: Task, status: TaskStatus) -> None:
        """→ finished once every image is in our bucket; until then the copy is retried."""
        try:
            files = self.copier.copy_all(task, status)
        except DownloadFailed as error:
            return self.copier.on_failure(task, status, error)
        # A failure that cost nothing says nothing of what its result costs after all.
        known = (task.charged_credits or None) if task.is_final else task.charged_credits
        named = (status.credits, known, task.estimated_credits)
        charged = next(each for each in named if each is not None)
        write = transition_writes.finish(
            task, self.clock.stamp(), files=files, charged_credits=charged
        )
        self.updater.apply(write)
        return None

    def _on_failed(self, task: Task, status: TaskStatus) -> None:
        """running → failed when a second poll, seconds after the first, says the same. Nor does a failed
        task stay so for the word of one poll: a callback may have just announced its image."""
        confirm_s = self.clock.limits.failure_confirm_s
        if task.failure_seen_at is None:
            self.updater.retry_in(task, confirm_s, failure_seen_at=self.clock.now_ms())
        elif not self.clock.has_elapsed(task.failure_seen_at, confirm_s):
            return  # the message of the second poll comes
        elif task.is_final:
            self._keep_failed(task, status)
        else:
            reason = "moderated" if status.moderated else "upstream"
            self._fail(task, reason, detail=status.error, charged_credits=status.credits)

    def _keep_failed(self, task: Task, status: TaskStatus) -> None:
        """The task stays failed, and costs what PoYo names now. If PoYo names nothing, a charge that nobody
        knew is none, as for every failure."""
        # The first poll is forgotten, so that the next callback gets two polls as well.
        facts: TaskFacts = {"failure_seen_at": None}
        if status.credits is not None:
            facts["charged_credits"] = status.credits
        elif is_unresolved(task):
            facts["charged_credits"] = Decimal(0)
        self.updater.reschedule(task, due_at=None, **facts)

    def _on_running(self, task: Task, message: TaskMessage, status: TaskStatus | None) -> None:
        """PoYo is still working, does not know the id, or its status lags behind its callback."""
        if task.is_final and not self._result_expected(task, message):
            if task.due_at is not None:
                self.updater.reschedule(task, due_at=None)
        elif self._has_timed_out(task, message):
            # Of a task that PoYo still works on, 0 is what it has charged so far, not what it keeps.
            charged = (status.credits or None) if status else None
            self._fail(task, "timed_out", charged_credits=charged)
        else:
            facts: TaskFacts = {"failure_seen_at": None}
            if status and status.progress:
                facts["progress"] = status.progress
            fast = message.source in ("callback", "retry")
            self._poll_again(task, message, fast=fast, **facts)

    def _on_no_status(self, task: Task, message: TaskMessage, error: PoyoUnavailable) -> None:
        """PoYo does not say how the task is. A task that times out for that is still polled: when PoYo
        answers again, its image may be there."""
        facts: TaskFacts = {}
        again_s = self.clock.limits.poll_alarm_s
        if (error.ours or error.mismatched) and self.clock.has_elapsed(
            task.poll_alarm_at or 0, again_s
        ):
            if error.ours:
                telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason="status")
            else:
                telemetry.alarm("poyo_answer_mismatch", task_id=task.task_id, poyo_id=task.poyo_id)
            facts["poll_alarm_at"] = self.clock.now_ms()
        if self._has_timed_out(task, message):
            delay_s = self.clock.backoff_s(0, self.clock.limits.poll_backoff_s)
            self._fail(task, "timed_out", again_at=self.clock.after(delay_s))
        else:
            self._poll_again(task, message, fast=False, **facts)

    def _fail(
        self,
        task: Task,
        reason: str,
        *,
        detail: str = "",
        charged_credits: Decimal | None = None,
        again_at: int | None = None,
    ) -> None:
        write = transition_writes.fail(
            task,
            self.clock.stamp(),
            reason=reason,
            detail=detail,
            charged_credits=charged_credits,
            again_at=again_at,
        )
        self.updater.apply(write)

    def _has_timed_out(self, task: Task, message: TaskMessage) -> bool:
        """Whether a running task ends now: a day after PoYo's id was confirmed, or another day later if
        a callback announces a result, but not within a day of PoYo's status `finished`."""
        if task.is_final or self._result_was_seen(task):
            return False
        limits, started_at = self.clock.limits, task.confirmed_at or task.attempted_at
        expected = self._result_expected(task, message)
        patience_s = limits.callback_extends_s if expected else limits.timed_out_after_s
        return self.clock.has_elapsed(started_at, patience_s)

    def _result_was_seen(self, task: Task) -> bool:
        """Whether PoYo's status was `finished` for the first time within a day. An instant that lies
        further ahead comes from a wrong clock."""
        seen_at, trusted_s = task.result_seen_at, self.clock.limits.timed_out_after_s
        return seen_at is not None and abs(self.clock.now_ms() - seen_at) < trusted_s * 1000

    def _result_expected(self, task: Task, message: TaskMessage) -> bool:
        """Whether PoYo announced a result: in a recent callback, or in its status within a day."""
        if message.source == "callback" or self._result_was_seen(task):
            return True
        called_at, trusted_s = task.callback_at, self.clock.limits.callback_trust_s
        return called_at is not None and not self.clock.has_elapsed(called_at, trusted_s)

    def _poll_again(
        self, task: Task, message: TaskMessage, *, fast: bool, **facts: Unpack[TaskFacts]
    ) -> None:
        """Poll again later. A callback restarts the delays, because it says that there is news."""
        limits = self.clock.limits
        if message.source == "callback":
            facts["callback_at"] = self.clock.now_ms()
            task = replace(task, polls=0)
        if task.is_final and self.clock.has_elapsed(task.created_at, limits.reopen_within_s):
            self.updater.reschedule(task, due_at=None)
            return
        facts["polls"] = task.polls + 1
        is_fast = fast and task.polls < len(limits.fast_retry_s)
        delay = self.clock.fast_retry_s if is_fast else self.clock.backoff_s
        self.updater.retry_in(task, delay(task.polls, limits.poll_backoff_s), **facts)
