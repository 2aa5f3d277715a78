"""Sweeping: find what is due, claim it, ring its bell. The index is the to-do list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import SHARDS

if TYPE_CHECKING:
    from imagetasks.aws.task_queue import Doorbell
    from imagetasks.aws.task_repository import Due, Store
    from imagetasks.clock import Pace


@dataclass(frozen=True, slots=True)
class Swept:
    """What one run did: tasks claimed and rung, and how late (ms) the latest of them was."""

    rung: int
    oldest_ms: int


def sweep(
    *, store: Store, doorbell: Doorbell, pace: Pace, time_left_s: Callable[[], float]
) -> Swept:
    """Ring for every task that is due, the oldest of each shard first, while time is left.

    Claim, then ring: a run that dies between the two is made good when the claim runs out. Two
    sweeps at once ring once, since only one of them can move a `due_at`.
    """
    now = pace.clock()
    rung, oldest_ms = 0, 0
    for due in _due(store, now, pace.limits.shard_rows):
        if rung >= pace.limits.claims_per_run or time_left_s() <= 0:
            break
        if store.claim(due, until=pace.after(pace.limits.claim_s)):
            doorbell.ring(Ring(task_id=due.task_id, by="sweep"))
            rung += 1
            oldest_ms = max(oldest_ms, now - due.due_at)
    return Swept(rung, oldest_ms)


def _due(store: Store, now: int, limit: int) -> list[Due]:
    """What is due in all shards, oldest first."""
    found = [due for shard in range(SHARDS) for due in store.due(str(shard), now=now, limit=limit)]
    return sorted(found, key=lambda due: due.due_at)
