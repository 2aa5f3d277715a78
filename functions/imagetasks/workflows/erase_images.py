"""Erasing the images of a deleted task."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import ImageBucket
    from imagetasks.clock import Clock
    from imagetasks.tasks.task import Task
    from imagetasks.workflows.task_updater import TaskUpdater


def erase_images(task: Task, *, images: ImageBucket, updater: TaskUpdater, clock: Clock) -> None:
    """Erase the images of a deleted task, and once more when a worker that was copying one while the
    task was deleted must have ended. The state stays; called by `TaskReconciler`.

    Raises DatabaseUnavailable or StorageUnavailable: SQS delivers the message again.
    """
    images.delete_all(task.task_id)
    deleted_at, again_s = task.deleted_at or 0, clock.limits.erase_again_s
    if clock.has_elapsed(deleted_at, again_s):
        updater.reschedule(task, due_at=None, files=())
    else:
        updater.reschedule(task, due_at=deleted_at + again_s * 1000)
