"""Slots for requests that wait: they bound how many executions of the API wait at the same time."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.conditional_write import Condition, ConditionFailed, PutItem, unchanged

if TYPE_CHECKING:
    from imagetasks.aws.table import Table
    from imagetasks.clock import Clock

LEASE_S = 30  # the API's timeout and a margin: a request that took a slot has ended by then, whatever happened
TRIES = 3


@dataclass(frozen=True, slots=True)
class WaitSlot:
    """A slot that is ours until `held_until` (milliseconds), or until we free it."""

    pk: str
    held_until: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class WaitSlots:
    """`count` items, one for each request that may wait. Waiting is a favour: without a free slot, or
    without DynamoDB, there is none, and no method raises."""

    table: Table
    clock: Clock
    count: int

    @classmethod
    def from_env(cls, table: Table, clock: Clock) -> WaitSlots:
        """As many slots as WAITING_CONCURRENCY says."""
        return cls(table=table, clock=clock, count=int(os.environ["WAITING_CONCURRENCY"]))

    def take(self) -> WaitSlot | None:
        """A free slot, or None if the few that are tried are taken, or if taking one may not leave the
        time to read the task once more."""
        needed_s = 3 * self.clock.limits.aws_call_s
        tries = self.clock.rng.sample(range(self.count), min(TRIES, self.count))
        with contextlib.suppress(DatabaseUnavailable):
            for number in tries:
                if self.clock.time_left_s() < needed_s:
                    return None
                if slot := self._take(f"wait_slot#{number}"):
                    return slot
        return None

    def free(self, slot: WaitSlot) -> None:
        """Free the slot, unless its lease has ended and another request took it, or too little time is
        left for the call: then the lease frees it."""
        if self.clock.time_left_s() < self.clock.limits.aws_call_s:
            return
        with contextlib.suppress(ConditionFailed, DatabaseUnavailable):
            self._put(slot.pk, held_until=0, before=slot.held_until)

    def _take(self, pk: str) -> WaitSlot | None:
        now, before = self.clock.now_ms(), self.table.get(pk).get("held_until")
        # Later than two leases from now is the work of a clock that was ahead: it holds nothing.
        if before is not None and now < before < now + 2 * LEASE_S * 1000:
            return None
        slot = WaitSlot(pk, self.clock.after(LEASE_S))
        # Of two requests that saw the slot free, only one may wait.
        with contextlib.suppress(ConditionFailed):
            self._put(pk, held_until=slot.held_until, before=before)
            return slot
        return None

    def _put(self, pk: str, *, held_until: int, before: Any) -> None:
        condition = Condition((unchanged("held_until", before),))
        self.table.put(PutItem(item={"pk": pk, "held_until": held_until}, condition=condition))
