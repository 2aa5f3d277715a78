"""What callers may do with tasks: read, wait for and list their own, delete them, open a file URL."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.errors import FileExpired, FileNotFound, TaskNotFound
from imagetasks.tasks import signed_urls, transition_writes
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import files_expire_at, is_task_id

if TYPE_CHECKING:
    from imagetasks.aws.task_repository import TaskPage, TaskRepository
    from imagetasks.aws.wait_slots import WaitSlots
    from imagetasks.clock import Clock
    from imagetasks.tasks.list_position import ListPosition
    from imagetasks.tasks.task import StoredImage, Task
    from imagetasks.workflows.task_updater import TaskUpdater

REREAD_S = 1.0  # between two reads while a caller waits for a task's status to change


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OwnerTasks:
    """Called by the API's routes. Another owner's task, a deleted task and a missing task are the
    same to callers: TaskNotFound. Every method raises DatabaseUnavailable."""

    repository: TaskRepository
    updater: TaskUpdater
    clock: Clock
    wait_slots: WaitSlots
    sleep: Callable[[float], None] = time.sleep

    def get(self, owner: str, task_id: str) -> Task:
        """The task as it is now."""
        task = self._get_any(task_id)
        if not _is_shown_to(owner, task):
            raise TaskNotFound(task_id)
        return task

    def wait_for_change(
        self,
        owner: str,
        task_id: str,
        *,
        wait_s: int,
        has_changed: Callable[[Task], bool] | None = None,
    ) -> Task:
        """The task as soon as it has changed (None: its status), or as it is after `wait_s` seconds.

        A task that has ended or changed already is returned at once, and so is every task while
        there is no free slot, because each wait occupies an execution of the API.
        """
        first = self.get(owner, task_id)
        changed = has_changed or (lambda task: task.status != first.status)
        return self._wait(
            first,
            lambda _: self.get(owner, task_id),
            wait_s=wait_s,
            is_over=lambda task: task.is_final or changed(task),
        )

    def get_several(self, owner: str, task_ids: Collection[str]) -> Mapping[str, Task]:
        """The owner's tasks among up to 100 `task_ids`, by id and in their order."""
        found = self.repository.get_several(task_ids)
        return {
            each: found[each]
            for each in task_ids
            if each in found and _is_shown_to(owner, found[each])
        }

    def wait_for_change_of_any(
        self,
        owner: str,
        task_ids: Collection[str],
        *,
        wait_s: int,
        has_changed: Callable[[Mapping[str, Task]], bool] | None = None,
    ) -> Mapping[str, Task]:
        """The tasks that `get_several` finds as soon as one of them has changed (None: its status) or was
        deleted, or as they are after `wait_s` seconds; all of them at once as in `wait_for_change`.
        Only those without an outcome are read again."""
        first = self.get_several(owner, task_ids)
        changed = has_changed or (lambda tasks: _statuses(tasks) != _statuses(first))
        return self._wait(
            first,
            lambda tasks: self._read_again(owner, tasks),
            wait_s=wait_s,
            is_over=lambda tasks: all(task.is_final for task in tasks.values()) or changed(tasks),
        )

    def _read_again(self, owner: str, tasks: Mapping[str, Task]) -> Mapping[str, Task]:
        """The tasks as they are now; those with an outcome stay as they were read."""
        without_outcome = [each for each, task in tasks.items() if not task.is_final]
        found = self.get_several(owner, without_outcome)
        now = {each: task if task.is_final else found.get(each) for each, task in tasks.items()}
        return {each: task for each, task in now.items() if task is not None}

    def _wait[T](
        self, found: T, read_again: Callable[[T], T], *, wait_s: int, is_over: Callable[[T], bool]
    ) -> T:
        """What `read_again` makes of `found` every second, until it `is_over` or for `wait_s` seconds."""
        left_s = self.clock.time_left_s() - self.clock.limits.aws_call_s  # for the last read
        until = self.clock.after(min(wait_s, left_s))

        def ends(found: T) -> bool:
            """Whether there is nothing to wait for any more."""
            return is_over(found) or self.clock.now_ms() >= until

        slot = None if ends(found) else self.wait_slots.take()
        if slot is None:
            return found
        try:
            while not ends(found):
                self.sleep(min(REREAD_S, (until - self.clock.now_ms()) / 1000))
                found = read_again(found)
        finally:  # the task was deleted, or DynamoDB is unavailable
            self.wait_slots.free(slot)
        return found

    def list(
        self, owner: str, *, status: str | None, limit: int, after: ListPosition | None
    ) -> TaskPage:
        """A page of the owner's tasks, newest first."""
        return self.repository.list(owner, status=status, limit=limit, after=after)

    def file(self, owner: str, task_id: str, n: str) -> StoredImage:
        """The file number `n` of the task. Raises FileNotFound or FileExpired."""
        task = self.get(owner, task_id)
        images = {str(image.number): image for image in task.files}
        if n not in images:
            raise FileNotFound(n)
        return self._kept(task, images[n])

    def shared_file(self, task_id: str, n: str, token: str) -> StoredImage:
        """The file number `n` of a task for anyone who has its signed URL. Raises FileExpired."""
        task = self._get_any(task_id)
        for image in task.files:
            number = image.number
            if n == str(number) and signed_urls.verify_file(task.file_url_key, number, token):
                return self._kept(task, image)
        raise TaskNotFound(task_id)

    def delete(self, owner: str, task_id: str) -> None:
        """Turn the task into a tombstone in the same state, which nobody sees any more, and enqueue
        it so that the worker erases its images."""
        task = self._get_any(task_id)
        if task.owner != owner:
            raise TaskNotFound(task_id)
        if task.deleted_at is not None:
            return
        self.updater.apply(transition_writes.delete(task, self.clock.stamp()))
        self.updater.enqueue(TaskMessage(task_id=task_id, source="delete"))

    def _kept(self, task: Task, image: StoredImage) -> StoredImage:
        expires_at = files_expire_at(task, self.clock.limits.image_retention_days)
        if expires_at is not None and self.clock.now_ms() >= expires_at:
            raise FileExpired(task.task_id)
        return image

    def _get_any(self, task_id: str) -> Task:
        if not is_task_id(task_id):
            raise TaskNotFound(task_id)
        return self.repository.get(task_id)


def _is_shown_to(owner: str, task: Task) -> bool:
    """Whether the task is the owner's and was not deleted."""
    return task.owner == owner and task.deleted_at is None


def _statuses(tasks: Mapping[str, Task]) -> Mapping[str, str]:
    return {each: task.status for each, task in tasks.items()}
