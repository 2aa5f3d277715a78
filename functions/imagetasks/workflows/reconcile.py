"""Reconciling: compare a task with PoYo's status and take the one next step.

An accepted task ends only here. A task message carries no result, so duplicate, forged or late
messages cost one status request. Trouble at PoYo becomes a later `due_at` and is never raised.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import PoyoIdConflict, PoyoTaskNotFound, PoyoUnavailable, TaskNotFound
from imagetasks.tasks.failure_reasons import is_recoverable
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import State, Task, notification_is_due
from imagetasks.workflows.admit_callback import CallbackAdmission
from imagetasks.workflows.confirm_poyo_id import PoyoIdConfirmer
from imagetasks.workflows.copy_images import ImageCopier
from imagetasks.workflows.erase_images import erase_images
from imagetasks.workflows.poll_status import StatusPoller
from imagetasks.workflows.retry_submission import SubmissionRetrier

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import ImageBucket
    from imagetasks.aws.task_queue import NotificationQueue
    from imagetasks.aws.task_repository import TaskRepository
    from imagetasks.clock import Clock
    from imagetasks.outbound.download import ImageDownloader
    from imagetasks.poyo.client import PoyoClient
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
        notifications: NotificationQueue,
        updater: TaskUpdater,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._poyo = poyo
        self._images = images
        self._notifications = notifications
        self._updater = updater
        self._clock = clock
        self._retrier = SubmissionRetrier(submitter=submitter, updater=updater, clock=clock)
        self._admission = CallbackAdmission(updater=updater, clock=clock)
        self._confirmer = PoyoIdConfirmer(poyo=poyo, updater=updater, clock=clock)
        copier = ImageCopier(images=images, downloader=downloader, updater=updater, clock=clock)
        self._poller = StatusPoller(poyo=poyo, copier=copier, updater=updater, clock=clock)

    def reconcile(self, message: TaskMessage) -> None:
        """Take the next step of the message's task, or write down when to try again.

        Raises DatabaseUnavailable, SecretUnavailable, StorageUnavailable, or QueueUnavailable
        where a candidate PoYo id or a notification would wait: SQS delivers the message again.
        """
        try:
            task = self._repository.get(message.task_id)
        except TaskNotFound:
            telemetry.warning("task_not_found", source=message.source)
            return
        if message.source == "callback" or message.poyo_id:
            if task.state in (State.SUBMITTING, State.PENDING):
                task = self._retrier.record_callback(task)
            task = self._confirmer.end_overdue(task)
            admitted = self._admission.admit(task, message)
            if admitted is None:
                return
            task = admitted
            self._record_second_id(task, message)
        step = next_step(task, message, now_ms=self._clock.now_ms())
        take: Mapping[Step, Callable[[], object]] = {
            Step.ERASE_IMAGES: lambda: erase_images(
                task, images=self._images, updater=self._updater, clock=self._clock
            ),
            # The notify function sends it, because a slow receiver must not occupy the worker.
            Step.NOTIFY_CALLER: lambda: self._notifications.send(task),
            Step.CONFIRM_POYO_ID: lambda: self._confirm_and_poll(task),
            Step.EXPIRE_SUBMISSION: lambda: self._retrier.expire_submission(task),
            Step.RETRY_SUBMISSION: lambda: self._retrier.retry_if_due(task),
            Step.EXPIRE_UNKNOWN: lambda: self._retrier.expire_unknown(task),
            Step.POLL: lambda: self._poller.poll(task, message),
            Step.NOTHING: lambda: None,
        }
        take[step]()

    def _record_second_id(self, task: Task, message: TaskMessage) -> None:
        """Raise an alarm if the message names an id that the task can no longer take and that PoYo does
        not deny: PoYo created a task for it twice, or after it had refused it. The id is recorded as the
        refused task's first, so that no other task gets it because a callback claims so."""
        taken = task.poyo_id is not None or (task.is_final and not is_recoverable(task))
        if message.poyo_id is None or message.poyo_id == task.poyo_id or not taken:
            return
        if task.poyo_id is None and message.source == "callback":
            with contextlib.suppress(PoyoIdConflict):
                now = self._clock.now_ms()
                self._repository.name_poyo_id(message.poyo_id, task.task_id, now=now)
        try:
            with contextlib.suppress(PoyoUnavailable):
                self._poyo.status(message.poyo_id)
        except PoyoTaskNotFound:
            return
        telemetry.alarm("duplicate_poyo_task", task_id=task.task_id, poyo_id=message.poyo_id)

    def _confirm_and_poll(self, task: Task) -> None:
        """Confirm a candidate PoYo id, then poll at once: the image is probably there."""
        confirmed = self._confirmer.confirm(task)
        if confirmed is not None:
            self._poller.poll(confirmed, TaskMessage(task_id=task.task_id, source="callback"))
