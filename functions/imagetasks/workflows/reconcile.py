"""Reconciling: compare a task with PoYo's status and take the one next step.

An accepted task ends only here. A task message carries no result, so duplicate, forged or late
messages cost one status request. Trouble at PoYo becomes a later `due_at` and is never raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Unpack

from imagetasks import telemetry
from imagetasks.errors import DownloadFailed, PoyoTaskNotFound, PoyoUnavailable, TaskNotFound
from imagetasks.tasks import transition_writes
from imagetasks.tasks.failure_reasons import is_recoverable
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import State, Task
from imagetasks.workflows.confirm_poyo_id import PoyoIdConfirmer
from imagetasks.workflows.copy_images import ImageCopier
from imagetasks.workflows.erase_images import erase_images
from imagetasks.workflows.retry_submission import SubmissionRetrier

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import ImageBucket
    from imagetasks.aws.task_repository import TaskRepository
    from imagetasks.clock import Clock
    from imagetasks.outbound.download import ImageDownloader
    from imagetasks.poyo.client import PoyoClient
    from imagetasks.poyo.responses import TaskStatus
    from imagetasks.tasks.task import TaskFacts
    from imagetasks.workflows.notify_caller import CallerNotifier
    from imagetasks.workflows.submit import Submitter
    from imagetasks.workflows.task_updater import TaskUpdater


class Step(StrEnum):
    """What a task needs next."""

    ERASE_IMAGES = "erase_images"
    NOTIFY_CALLER = "notify_caller"
    CONFIRM_POYO_ID = "confirm_poyo_id"
    EXPIRE_SUBMISSION = "expire_submission"
    RETRY_SUBMISSION = "retry_submission"
    EXPIRE_UNKNOWN = "expire_unknown"
    POLL = "poll"
    NOTHING = "nothing"


STEP_WITHOUT_POYO_ID: Mapping[str, Step] = {
    State.SUBMITTING: Step.EXPIRE_SUBMISSION,
    State.PENDING: Step.RETRY_SUBMISSION,
    State.UNKNOWN: Step.EXPIRE_UNKNOWN,
}


def next_step(task: Task, message: TaskMessage, *, now_ms: int) -> Step:
    """The one step for `task` after `message`, without any I/O; the first case that applies wins.
    Called by `TaskReconciler.reconcile`.

    A callback never notifies: it says that PoYo has news, which a poll must see first.
    """
    if message.due_since not in (None, task.due_since):
        return Step.NOTHING  # another message has taken the step that this one was sent for
    if task.is_final and task.deleted_at is not None:
        return Step.ERASE_IMAGES
    from_poyo = message.source == "callback" or message.poyo_id is not None
    if not from_poyo and notification_is_due(task, now_ms=now_ms):
        return Step.NOTIFY_CALLER
    if task.is_final and not is_recoverable(task):
        return Step.NOTHING
    if task.poyo_id is not None:
        return Step.POLL if task.state in (State.RUNNING, State.FAILED) else Step.NOTHING
    if message.poyo_id or task.candidate_poyo_ids:
        return Step.CONFIRM_POYO_ID
    return STEP_WITHOUT_POYO_ID.get(task.state, Step.NOTHING)


def notification_is_due(task: Task, *, now_ms: int) -> bool:
    """Whether the caller must be notified of the task's end by now. Called by `next_step`."""
    pending = task.notification_attempts is not None and task.is_final
    return pending and now_ms >= (task.next_notification_at or 0)


class TaskReconciler:
    """Takes a task's next step. Called by the worker for each task message."""

    def __init__(
        self,
        *,
        repository: TaskRepository,
        poyo: PoyoClient,
        images: ImageBucket,
        downloader: ImageDownloader,
        submitter: Submitter,
        notifier: CallerNotifier,
        updater: TaskUpdater,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._poyo = poyo
        self._images = images
        self._notifier = notifier
        self._updater = updater
        self._clock = clock
        self._retrier = SubmissionRetrier(submitter=submitter, updater=updater, clock=clock)
        self._confirmer = PoyoIdConfirmer(poyo=poyo, updater=updater, clock=clock)
        self._copier = ImageCopier(
            images=images, downloader=downloader, updater=updater, clock=clock
        )

    def reconcile(self, message: TaskMessage) -> None:
        """Take the next step of the message's task, or write down when to try again.

        Raises DatabaseUnavailable, SecretUnavailable, the bucket's own error, or QueueUnavailable
        where a candidate PoYo id would be lost: SQS delivers the message again.
        """
        try:
            task = self._repository.get(message.task_id)
        except TaskNotFound:
            telemetry.warning("task_not_found", source=message.source)
            return
        step = next_step(task, message, now_ms=self._clock.now_ms())
        take: Mapping[Step, Callable[[], object]] = {
            Step.ERASE_IMAGES: lambda: erase_images(
                task, images=self._images, updater=self._updater, clock=self._clock
            ),
            Step.NOTIFY_CALLER: lambda: self._notifier.attempt(task),
            Step.CONFIRM_POYO_ID: lambda: self._confirm_and_poll(task, message),
            Step.EXPIRE_SUBMISSION: lambda: self._retrier.expire_submission(task),
            Step.RETRY_SUBMISSION: lambda: self._retrier.retry_if_due(task),
            Step.EXPIRE_UNKNOWN: lambda: self._retrier.expire_unknown(task),
            Step.POLL: lambda: self._poll(task, message),
            Step.NOTHING: lambda: None,
        }
        take[step]()

    def _confirm_and_poll(self, task: Task, message: TaskMessage) -> None:
        """Confirm a candidate PoYo id, then poll at once: the image is probably there."""
        confirmed = self._confirmer.confirm(task, message)
        if confirmed is not None:
            self._poll(confirmed, TaskMessage(task_id=task.task_id, source="callback"))

    def _poll(self, task: Task, message: TaskMessage) -> None:
        """One GET status and what follows from it: running or failed (recoverable) → finished,
        failed, running, or the same state with a later `due_at`."""
        try:
            status = self._poyo.status(str(task.poyo_id))
        except PoyoTaskNotFound:
            return self._on_running(task, message, None)
        except PoyoUnavailable as error:
            if error.ours:
                telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason="status")
            return self._poll_again(task, message, fast=False)
        if status.status == "finished":
            return self._on_finished(task, status)
        if status.status == "failed":
            return self._on_failed(task, status)
        return self._on_running(task, message, status)

    def _on_finished(self, task: Task, status: TaskStatus) -> None:
        """→ finished once every image is in our bucket; until then the copy is retried."""
        try:
            files = self._copier.copy_all(task, status)
        except DownloadFailed as error:
            return self._copier.on_failure(task, error)
        charged = task.estimated_credits if status.credits is None else status.credits
        write = transition_writes.finish(
            task, self._clock.stamp(), files=files, charged_credits=charged
        )
        self._updater.apply(write)
        return None

    def _on_failed(self, task: Task, status: TaskStatus) -> None:
        """running → failed. PoYo does not charge for failed tasks."""
        if task.state == State.RUNNING:
            reason = "moderated" if status.moderated else "upstream"
            write = transition_writes.fail(
                task, self._clock.stamp(), reason=reason, detail=status.error
            )
            self._updater.apply(write)
        elif task.due_at is not None:
            self._updater.reschedule(task, due_at=None)

    def _on_running(self, task: Task, message: TaskMessage, status: TaskStatus | None) -> None:
        """PoYo is still working, does not know the id, or its status lags behind its callback."""
        patience_s = self._clock.limits.timed_out_after_s
        expected = self._result_expected(task, message)
        started_at = task.confirmed_at or task.attempted_at
        if task.is_final and not expected:
            if task.due_at is not None:
                self._updater.reschedule(task, due_at=None)
        elif not expected and self._clock.has_elapsed(started_at, patience_s):
            write = transition_writes.fail(task, self._clock.stamp(), reason="timed_out", detail="")
            self._updater.apply(write)
        else:
            facts: TaskFacts = {}
            if status and status.progress:
                facts["progress"] = status.progress
            fast = message.source in ("callback", "retry")
            self._poll_again(task, message, fast=fast, **facts)

    def _result_expected(self, task: Task, message: TaskMessage) -> bool:
        """Whether PoYo announced a result: in a recent callback, or in its status within a day."""
        limits = self._clock.limits
        announcements = (
            (task.callback_at, limits.callback_trust_s),
            (task.result_seen_at, limits.timed_out_after_s),
        )
        return message.source == "callback" or any(
            at is not None and not self._clock.has_elapsed(at, valid_s)
            for at, valid_s in announcements
        )

    def _poll_again(
        self, task: Task, message: TaskMessage, *, fast: bool, **facts: Unpack[TaskFacts]
    ) -> None:
        """Poll again later. A callback restarts the delays, because it says that there is news."""
        limits = self._clock.limits
        if message.source == "callback":
            facts["callback_at"] = self._clock.now_ms()
            task = replace(task, polls=0)
        if task.is_final and self._clock.has_elapsed(task.created_at, limits.reopen_within_s):
            self._updater.reschedule(task, due_at=None)
            return
        facts["polls"] = task.polls + 1
        is_fast = fast and task.polls < len(limits.fast_retry_s)
        delay = self._clock.fast_retry_s if is_fast else self._clock.backoff_s
        self._updater.retry_in(task, delay(task.polls, limits.poll_backoff_s), **facts)
