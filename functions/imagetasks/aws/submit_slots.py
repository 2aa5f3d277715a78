"""The slots of all submits of the account, and its circuit breaker, in one item of the table.

A submit that may start at once replaces the item if it is as it was read; of concurrent ones each
round one succeeds. A submit that has to wait only adds one to `issued`, without contention. When its
turn has come, it adds its start to `sent`, which is the only attribute that this write compares.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imagetasks.aws.submit_account import ACCOUNT_PK, Account, from_item
from imagetasks.errors import DatabaseUnavailable, TooManyOrders
from imagetasks.poyo.circuit_breaker import CircuitBreaker
from imagetasks.poyo.rate_limit import Slot
from imagetasks.tasks.conditional_write import Condition, ConditionFailed, UpdateItem, unchanged

if TYPE_CHECKING:
    from imagetasks.aws.table import Table
    from imagetasks.clock import Clock
    from imagetasks.poyo.rate_limit import SubmitQueue

WRITE_TRIES = 100  # more than submits that can start in the same instant


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubmitSlots:
    """Every method raises DatabaseUnavailable when DynamoDB does not answer."""

    table: Table
    clock: Clock
    sleep: Callable[[float], None] = time.sleep

    def reserve(
        self,
        number: int | None = None,
        not_before: int = 0,
        *,
        early: bool = False,
        max_wait_s: int | None = None,
        account: Account | None = None,
    ) -> Slot:
        """The slot of one submit: `number`, which was to start at `not_before`, unless that is too
        long ago, else a new number. If it comes `early`, a start in a moment is recorded, too. The item is
        read unless it is given as `account`; every write requires it to be still as it was read.

        Raises TooManyOrders if a new one would start more than `max_wait_s` seconds from now.
        """
        early_ms = self.clock.limits.slot_early_s * 1000 if early else 0
        account = account or from_item(self.table.get(ACCOUNT_PK))
        for _ in range(WRITE_TRIES):
            now = self.clock.now_ms()
            account = replace(account, queue=account.queue.bounded(now, self.clock.limits))
            turn = self._turn(account.queue, number, not_before, now + early_ms) if number else None
            try:
                if number and turn is not None:
                    return self._use(account, number, max(now, turn), now + early_ms)
                number, not_before = account.queue.issued + 1, now
                if account.queue.start_of(number, self.clock.limits) <= now:
                    return self._start_new(account, now)
                account = self._queue_up(account, now, max_wait_s)
                number = account.queue.issued
            except ConditionFailed as failed:
                account, number = from_item(failed.item), number if turn is not None else None
        raise DatabaseUnavailable("the slots changed too often")

    def uncounted(self) -> Slot:
        """The slot of a submit that waits because DynamoDB could not count it."""
        delay_s = self.clock.backoff_s(1, self.clock.limits.submit_backoff_s)
        return Slot(number=None, not_before=self.clock.after(delay_s))

    def await_start(self, slot: Slot) -> float:
        """Sleep until the start of a slot, a second at most, and return 0. If the start has passed, since
        a write took long, another one is recorded, because others count on it; returns how many
        seconds later to try again if PoYo's window has no room in a moment. Called before each submit.
        """
        limits, start = self.clock.limits, slot.start
        if self.clock.now_ms() - start > limits.late_start_s * 1000:
            # Without DynamoDB the price is a 429, which creates nothing.
            with contextlib.suppress(DatabaseUnavailable):
                start = self._restart(slot)
        wait_s = max(0, start - self.clock.now_ms()) / 1000
        if wait_s > limits.slot_early_s:
            return wait_s
        self.sleep(wait_s)
        return 0

    def record_outcome(self, *, succeeded: bool) -> None:
        """Close the circuit breaker, or count one more consecutive failure."""
        self._change(self._after_success if succeeded else self._after_failure)

    def pause(self, wait_s: float) -> None:
        """Nobody submits for `wait_s` seconds, because PoYo said so."""
        limits = self.clock.limits

        def paused(account: Account, now: int) -> Account:
            until = now + round(min(wait_s, limits.max_pause_s) * 1000)
            if until <= account.queue.paused_until:
                return account
            return replace(account, queue=account.queue.paused(until, now, limits))

        self._change(paused)

    def _turn(self, queue: SubmitQueue, number: int, not_before: int, by: int) -> int | None:
        """When the turn of `number` comes; None if it is too late for that, or a number that has passed
        must wait beyond `by`, and a new number is needed."""
        limits = self.clock.limits
        if number > queue.passed:
            not_before = queue.start_of(number, limits)
        elif by < max(queue.paused_until, not_before):
            return None
        late_ms = self.clock.now_ms() - not_before
        return not_before if late_ms <= limits.slot_tolerance_s * 1000 else None

    def _use(self, account: Account, number: int, turn: int, by: int) -> Slot:
        """The slot of a number. If it may start until `by`, that is recorded; if then the circuit breaker
        is open, it is the probe, and the next probe may follow when its answer must have come."""
        start = max(turn, account.queue.paused_until, account.queue.room_at(self.clock.limits))
        slot = self._slot(account, number, start)
        if start > by:
            return replace(slot, not_before=start)
        if slot.breaker_open:
            queue = account.queue.recorded(start, self.clock.limits)
            self._put(account, self._probing(queue, number, start), account.breaker)
        else:
            self._record(account, start)
        return slot

    def _start_new(self, account: Account, now: int) -> Slot:
        """The slot of a new number, for which nobody waits. It starts now, or if PoYo's window has no room
        because submits were late, as soon as it has."""
        limits = self.clock.limits
        start = max(now, account.queue.room_at(limits))
        queue = account.queue.started(start, limits)
        slot = self._slot(account, queue.issued, start)
        if start > now:
            slot = replace(slot, not_before=start)
        else:
            queue = queue.recorded(start, limits)
            if slot.breaker_open:
                queue = self._probing(queue, queue.issued, start)
        self._put(account, queue, account.breaker)
        return slot

    def _queue_up(self, account: Account, now: int, max_wait_s: int | None) -> Account:
        """The item after one more submit waits for its turn."""
        limits = self.clock.limits
        wait_s = (account.queue.start_of(account.queue.issued + 1, limits) - now) / 1000
        if max_wait_s is not None and wait_s > max_wait_s:
            raise TooManyOrders(wait_s - max_wait_s)
        as_read = Condition((unchanged("revision", account.revision),))
        update = UpdateItem(pk=ACCOUNT_PK, condition=as_read, values={}, added={"issued": 1})
        return from_item(self.table.update(update))

    def _probing(self, queue: SubmitQueue, number: int, now: int) -> SubmitQueue:
        limits = self.clock.limits
        return queue.paused(now + limits.probe_lease_s * 1000, now, limits, sent=number)

    def _restart(self, slot: Slot) -> int:
        """The start of a submit that is late, which is recorded instead of the one that it missed unless
        it is more than a moment ahead."""
        limits = self.clock.limits
        account = from_item(self.table.get(ACCOUNT_PK))
        for _ in range(WRITE_TRIES):
            now = self.clock.now_ms()
            queue = account.queue.bounded(now, limits).without(slot.start)
            account, start = replace(account, queue=queue), max(now, queue.room_at(limits))
            if start > now + limits.slot_early_s * 1000:
                return start
            try:
                self._record(account, start)
            except ConditionFailed as failed:
                account = from_item(failed.item)
            else:
                return start
        raise DatabaseUnavailable("the slots changed too often")

    def _slot(self, account: Account, number: int, start: int) -> Slot:
        return Slot(
            number=number,
            start=start,
            after_failures=account.breaker.failures > 0,
            breaker_open=account.breaker.is_open(self.clock.now_ms(), self.clock.limits),
        )

    def _after_success(self, account: Account, now: int) -> Account:
        if not account.breaker.failures:
            return account
        was_open = account.breaker.is_open(now, self.clock.limits)
        queue = account.queue.resumed(now) if was_open else account.queue
        return replace(account, queue=queue, breaker=CircuitBreaker())

    def _after_failure(self, account: Account, now: int) -> Account:
        limits = self.clock.limits
        queue, breaker = account.queue, account.breaker.after_failure(now, limits)
        if breaker.is_open(now, limits):
            queue = queue.paused(breaker.probe_at(limits), now, limits)
        return replace(account, queue=queue, breaker=breaker)

    def _change(self, change: Callable[[Account, int], Account]) -> None:
        """Apply `change` to the item; nothing is written if it changes nothing."""
        item: Mapping[str, Any] = self.table.get(ACCOUNT_PK)
        for _ in range(WRITE_TRIES):
            account, now = from_item(item), self.clock.now_ms()
            queue = account.queue.bounded(now, self.clock.limits)
            changed = change(replace(account, queue=queue), now)
            if changed == account:
                return
            try:
                self._put(account, changed.queue, changed.breaker)
            except ConditionFailed as failed:
                item = failed.item
            else:
                return
        raise DatabaseUnavailable("the slots changed too often")

    def _record(self, account: Account, start: int) -> None:
        """Add a start to those that were recorded. Raises ConditionFailed if others were added."""
        self.table.update(account.recorded(start, self.clock.limits))

    def _put(self, account: Account, queue: SubmitQueue, breaker: CircuitBreaker) -> None:
        """Write the item if it is as it was read. Raises ConditionFailed."""
        self.table.put(account.replaced(queue, breaker))
