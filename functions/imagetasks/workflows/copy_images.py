"""Copying a finished task's images from PoYo's file host into our bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import DownloadFailed, DownloadForbidden, NotAnImage
from imagetasks.tasks import transition_writes
from imagetasks.tasks.failure_reasons import is_recoverable
from imagetasks.tasks.task import State

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import ImageBucket
    from imagetasks.clock import Clock
    from imagetasks.outbound.download import ImageDownloader
    from imagetasks.poyo.responses import TaskStatus
    from imagetasks.tasks.task import StoredImage, Task, TaskFacts
    from imagetasks.workflows.task_updater import TaskUpdater


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ImageCopier:
    """Called by `TaskReconciler` when PoYo's status is finished."""

    images: ImageBucket
    downloader: ImageDownloader
    updater: TaskUpdater
    clock: Clock

    def copy_all(self, task: Task, status: TaskStatus) -> Sequence[StoredImage]:
        """Copy every image of the task; none if the task was deleted. The task's state stays.

        A file that fails does not keep the others from being copied. A page of the file host instead of an
        image may be gone soon. So one of several files that is no image is left out only after the first
        quick retries if all that were ordered are there without it, else, like a lost one, only when a
        single one would be given up. Raises DownloadFailed or one of its kinds, and StorageUnavailable.
        """
        if task.deleted_at is not None:
            return ()
        if status.other_files:
            self._note_left_out(task, "other_file", status.other_files)
        images: list[StoredImage] = []
        failures: list[DownloadFailed] = []
        for n, url in enumerate(status.file_urls):
            try:
                images.append(self._copy(task, n, url))
            except DownloadFailed as error:
                failures.append(error)
        if not images or failures:
            failure = min(failures, key=_is_hopeless, default=NotAnImage("no_files"))
            if not images or not self._may_leave_out(task, failure, stored=len(images)):
                raise failure
            self._note_left_out(task, failure.code, len(failures))
        return tuple(images)

    def on_failure(self, task: Task, status: TaskStatus, error: DownloadFailed) -> None:
        """Retry the copy later, or end the task when a retry cannot help: running → failed.

        A failed task that is recoverable is reopened for the retry: failed → running. Raises
        DatabaseUnavailable.
        """
        telemetry.warning(
            "image_copy_failed",
            task_id=task.task_id,
            code=error.code,
            copy_attempts=task.copy_attempts,
        )
        if isinstance(error, DownloadForbidden):
            telemetry.alarm("download_host_not_allowed", task_id=task.task_id, code=error.code)
        reason = self._give_up_reason(task, error)
        if reason and task.state == State.RUNNING:
            write = transition_writes.fail(
                task,
                self.clock.stamp(),
                reason=reason,
                detail=str(error),
                charged_credits=status.credits,
            )
            self.updater.apply(write)
        elif reason:
            self.updater.reschedule(task, due_at=None, **_named_credits(status))
        else:
            self._retry_later(task, status, error)

    def _may_leave_out(self, task: Task, failure: DownloadFailed, *, stored: int) -> bool:
        """Whether a file that failed is left out of a result with `stored` images."""
        if isinstance(failure, NotAnImage) and stored >= task.effective_input.get("n", 1):
            return task.copy_attempts >= len(self.clock.limits.fast_retry_s)
        return self._give_up_reason(task, failure) is not None

    def _note_left_out(self, task: Task, code: str, count: int) -> None:
        telemetry.warning("files_left_out", task_id=task.task_id, code=code, count=count)

    def _copy(self, task: Task, n: int, url: str) -> StoredImage:
        """The `n`th image in our bucket; one that is already there is not downloaded again."""
        stored = self.images.find(task.task_id, n)
        if stored:
            return stored
        within_s = self.clock.time_left_s() - self.clock.limits.store_needs_s
        with self.downloader.fetch(url, within_s=within_s) as download:
            return self.images.put(task.task_id, n, download)

    def _retry_later(self, task: Task, status: TaskStatus, error: DownloadFailed) -> None:
        seen_at = task.result_seen_at or self.clock.now_ms()
        telemetry.record_uncopied(self.clock.now_ms() - seen_at)
        facts: TaskFacts = {
            "copy_attempts": task.copy_attempts + 1,
            "detail": str(error),
            "result_seen_at": seen_at,
        }
        facts |= _named_credits(status)
        delay_s = self.clock.fast_retry_s(task.copy_attempts, self.clock.limits.poll_backoff_s)
        if is_recoverable(task):
            self.updater.reopen(task, delay_s, **facts)
        else:
            facts["failure_seen_at"] = None
            result = self.updater.retry_in(task, delay_s, **facts)
            current = result.task
            # A callback began a poll of its own meanwhile. The patience with the host counts all the
            # same, unless that poll has ended the task.
            runs = current.state == State.RUNNING and current.result_seen_at is None
            if runs and not result.applied:
                self.updater.reschedule(current, due_at=current.due_at, **facts)

    def _give_up_reason(self, task: Task, error: DownloadFailed) -> str | None:
        """The reason to fail with because no retry can help, or None while one may: PoYo charged for
        the task, so it is retried for as long as PoYo may still have the file."""
        limits = self.clock.limits
        no_image = isinstance(error, NotAnImage)
        known_lost = error.gone or no_image
        patience_s = limits.file_gone_after_s if known_lost else limits.file_lost_after_s
        seen_at = task.result_seen_at
        if seen_at is None or not self.clock.has_elapsed(seen_at, patience_s):
            return None
        return "bad_result" if no_image else "result_expired"


def _is_hopeless(failure: DownloadFailed) -> tuple[bool, bool, bool]:
    """Of several failures the least hopeless decides; a host that the operator must allow comes first."""
    forbidden = isinstance(failure, DownloadForbidden)
    return isinstance(failure, NotAnImage), failure.gone, not forbidden


def _named_credits(status: TaskStatus) -> TaskFacts:
    return {} if status.credits is None else {"charged_credits": status.credits}
