"""Sweeping: find due tasks, claim them and enqueue a task message for each. The due index is the
to-do list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING

from imagetasks.tasks.message import MAX_BATCH, TaskMessage
from imagetasks.tasks.task import SHARDS

if TYPE_CHECKING:
    from imagetasks.aws.task_queue import TaskQueue
    from imagetasks.aws.task_repository import DueTask, TaskRepository
    from imagetasks.clock import Clock


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one run did: tasks claimed and enqueued, and how long (ms) one of them has been due at most."""

    enqueued: int
    max_lag_ms: int


def sweep(
    *, repository: TaskRepository, queue: TaskQueue, clock: Clock, time_left_s: Callable[[], float]
) -> SweepResult:
    """Enqueue a task message for every due task, longest overdue first, while time is left. The
    tasks' states stay; called by the sweep handler every minute.

    Tasks are claimed before their messages are sent, ten with one request: if the run dies or an AWS
    service fails between the two, the claims expire and a later run sends them. Of two concurrent sweeps
    only one can move a `due_at`, so each task gets one message. The lag counts from `due_since`, which
    claims leave: it grows while no worker takes the messages. Raises DatabaseUnavailable or
    QueueUnavailable; the next minute continues.
    """
    now = clock.now_ms()
    enqueued, max_lag_ms = 0, 0
    for batch in batched(_claimed(repository, now, clock, time_left_s), MAX_BATCH, strict=False):
        queue.send_all(map(_message, batch))
        enqueued += len(batch)
        max_lag_ms = max(max_lag_ms, *(now - due.due_since for due in batch))
    return SweepResult(enqueued, max_lag_ms)


def _message(due: DueTask) -> TaskMessage:
    """The message of one claim. However many claims enqueue the same step, it is taken once."""
    return TaskMessage(task_id=due.task_id, source="sweep", due_since=due.due_since)


def _claimed(
    repository: TaskRepository, now: int, clock: Clock, time_left_s: Callable[[], float]
) -> Iterator[DueTask]:
    """Due tasks that were claimed just now, longest overdue first, up to the cap and while time is left."""
    claims = 0
    for due in _due_tasks(repository, now, clock.limits.shard_rows, time_left_s):
        if claims >= clock.limits.claims_per_run or time_left_s() <= 0:
            return
        if repository.claim(due, until=clock.after(clock.limits.claim_s)):
            claims += 1
            yield due


def _due_tasks(
    repository: TaskRepository, now: int, limit: int, time_left_s: Callable[[], float]
) -> list[DueTask]:
    """The due tasks of the shards that can be read in time, longest overdue first."""
    found: list[DueTask] = []
    for shard in range(SHARDS):
        if time_left_s() > 0:
            found += repository.find_due(str(shard), now=now, limit=limit)
    return sorted(found, key=lambda due: due.due_at)
