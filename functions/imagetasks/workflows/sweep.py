"""Sweeping: find what is due, claim it, ring its bell. The index is the to-do list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import SHARDS

if TYPE_CHECKING:
    from imagetasks.aws.task_queue import TaskQueue
    from imagetasks.aws.task_repository import DueTask, TaskRepository
    from imagetasks.clock import Clock


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one run did: tasks claimed and rung, and how late (ms) the latest of them was."""

    enqueued: int
    max_lag_ms: int


def sweep(
    *, repository: TaskRepository, queue: TaskQueue, clock: Clock, time_left_s: Callable[[], float]
) -> SweepResult:
    """Ring for every task that is due, the oldest of each shard first, while time is left.

    Claim, then ring: a run that dies between the two is made good when the claim runs out. Two
    sweeps at once ring once, since only one of them can move a `due_at`.
    """
    now = clock.now_ms()
    rung, oldest_ms = 0, 0
    for due in _due(repository, now, clock.limits.shard_rows):
        if rung >= clock.limits.claims_per_run or time_left_s() <= 0:
            break
        if repository.claim(due, until=clock.after(clock.limits.claim_s)):
            queue.send(TaskMessage(task_id=due.task_id, source="sweep"))
            rung += 1
            oldest_ms = max(oldest_ms, now - due.due_at)
    return SweepResult(rung, oldest_ms)


def _due(repository: TaskRepository, now: int, limit: int) -> Sequence[DueTask]:
    """What is due in all shards, oldest first."""
    found = [
        due
        for shard in range(SHARDS)
        for due in repository.find_due(str(shard), now=now, limit=limit)
    ]
    return sorted(found, key=lambda due: due.due_at)
