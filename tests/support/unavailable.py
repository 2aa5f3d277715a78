"""AWS services that are unavailable, in the place of our clients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.errors import DatabaseUnavailable, QueueUnavailable
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.transition_write import TransitionWrite


@dataclass(frozen=True)
class UnavailableRepository(TaskRepository):
    """A repository whose table can create and read tasks, but fails for the methods `fails`."""

    fails: frozenset[str] = frozenset({"confirm_submission", "apply"})

    def confirm_submission(
        self, write: TransitionWrite, poyo_id: str, *, named: bool = False
    ) -> WriteResult:
        if "confirm_submission" in self.fails:
            raise DatabaseUnavailable("unavailable")
        return super().confirm_submission(write, poyo_id, named=named)

    def apply(self, write: TransitionWrite) -> WriteResult:
        if "apply" in self.fails:
            raise DatabaseUnavailable("unavailable")
        return super().apply(write)


class UnavailableQueue:
    """A queue that takes no message."""

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        raise QueueUnavailable("unavailable")

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        raise QueueUnavailable("unavailable")
