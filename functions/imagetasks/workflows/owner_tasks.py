"""Reading and deleting: an owner's own tasks, and a file for whoever holds its link."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import QueueUnavailable, TaskNotFound
from imagetasks.tasks import signed_urls, transitions
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import is_task_id

if TYPE_CHECKING:
    from imagetasks.api.pagination import ListPosition
    from imagetasks.aws.task_queue import TaskQueue
    from imagetasks.aws.task_repository import Page, TaskRepository
    from imagetasks.clock import Clock
    from imagetasks.tasks.task import StoredImage, Task

POLL_TASK_S = 1.0  # while somebody waits for a task's status to change


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerTasks:
    """What callers see of the table. A stranger's task, a deleted one and none at all are the same:
    TaskNotFound. Every method raises StoreUnavailable when the table cannot be used."""

    repository: TaskRepository
    queue: TaskQueue
    clock: Clock
    sleep: Callable[[float], None]

    def get(self, owner: str, task_id: str) -> Task:
        """The task as it stands."""
        task = self._any(task_id)
        if task.owner != owner or task.deleted_at is not None:
            raise TaskNotFound(task_id)
        return task

    def wait_for_change(self, owner: str, task_id: str, *, wait_s: int) -> Task:
        """The task as soon as its status is another one, or as it stands after `wait_s` seconds."""
        task = first = self.get(owner, task_id)
        until = self.clock.after(wait_s)
        while task.status == first.status and not task.ended and self.clock.now_ms() < until:
            self.sleep(min(POLL_TASK_S, (until - self.clock.now_ms()) / 1000))
            task = self.get(owner, task_id)
        return task

    def list(
        self, owner: str, *, status: str | None, limit: int, after: ListPosition | None
    ) -> Page:
        """The owner's tasks, newest first."""
        return self.repository.list(owner, status=status, limit=limit, after=after)

    def shared_file(self, task_id: str, n: str, presented: str) -> StoredImage:
        """The `n`th file of a task, for whoever presents what its link says."""
        task = self._any(task_id)
        for number, kept in enumerate(task.files):
            if n == str(number) and signed_urls.verify_file(task.file_url_key, number, presented):
                return kept
        raise TaskNotFound(task_id)

    def delete(self, owner: str, task_id: str) -> None:
        """T9: from here on nobody sees it. Its images go at the next look, which is rung for."""
        task = self._any(task_id)
        if task.owner != owner:
            raise TaskNotFound(task_id)
        if task.deleted_at is not None:
            return
        change = transitions.delete(task, self.clock.stamp())
        outcome = self.repository.apply(change)
        telemetry.log_transition(change.name, outcome.applied, outcome.task)
        with contextlib.suppress(QueueUnavailable):  # the sweep finds it within a minute
            self.queue.send(TaskMessage(task_id=task_id, source="delete"))

    def _any(self, task_id: str) -> Task:
        if not is_task_id(task_id):
            raise TaskNotFound(task_id)
        return self.repository.get(task_id)
