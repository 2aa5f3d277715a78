"""Reading and deleting: an owner's own tasks, and a file for whoever holds its link."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import QueueUnavailable, TaskNotFound
from imagetasks.tasks import signed_urls, transitions
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import is_task_id

if TYPE_CHECKING:
    from imagetasks.api.pagination import Place
    from imagetasks.aws.task_queue import Doorbell
    from imagetasks.aws.task_repository import Page, Store
    from imagetasks.clock import Pace
    from imagetasks.tasks.task import KeptFile, Task

LOOK_EVERY_S = 1.0  # while somebody waits for a task's status to change


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What callers see of the table. A stranger's task, a deleted one and none at all are the same:
    TaskNotFound. Every method raises StoreUnavailable when the table cannot be used."""

    store: Store
    doorbell: Doorbell
    pace: Pace
    sleep: Callable[[float], None]

    def task(self, owner: str, task_id: str) -> Task:
        """The task as it stands."""
        task = self._any(task_id)
        if task.owner != owner or task.deleted_at is not None:
            raise TaskNotFound(task_id)
        return task

    def awaited(self, owner: str, task_id: str, *, wait_s: int) -> Task:
        """The task as soon as its status is another one, or as it stands after `wait_s` seconds."""
        task = first = self.task(owner, task_id)
        until = self.pace.after(wait_s)
        while task.status == first.status and not task.ended and self.pace.clock() < until:
            self.sleep(min(LOOK_EVERY_S, (until - self.pace.clock()) / 1000))
            task = self.task(owner, task_id)
        return task

    def page(self, owner: str, *, status: str | None, limit: int, after: Place | None) -> Page:
        """The owner's tasks, newest first."""
        return self.store.page(owner, status=status, limit=limit, after=after)

    def shared(self, task_id: str, n: str, presented: str) -> KeptFile:
        """The `n`th file of a task, for whoever presents what its link says."""
        task = self._any(task_id)
        for number, kept in enumerate(task.files):
            if n == str(number) and signed_urls.opens_file(task.link_key, number, presented):
                return kept
        raise TaskNotFound(task_id)

    def delete(self, owner: str, task_id: str) -> None:
        """T9: from here on nobody sees it. Its images go at the next look, which is rung for."""
        task = self._any(task_id)
        if task.owner != owner:
            raise TaskNotFound(task_id)
        if task.deleted_at is not None:
            return
        change = transitions.delete(task, self.pace.at())
        outcome = self.store.apply(change)
        telemetry.moved(change.name, outcome.won, outcome.task)
        with contextlib.suppress(QueueUnavailable):  # the sweep finds it within a minute
            self.doorbell.ring(Ring(task_id=task_id, by="delete"))

    def _any(self, task_id: str) -> Task:
        if not is_task_id(task_id):
            raise TaskNotFound(task_id)
        return self.store.read(task_id)
