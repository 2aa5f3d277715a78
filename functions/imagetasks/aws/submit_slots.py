"""The slots of all submits of the account, and its circuit breaker, in one item of the table.

A submit that may start at once replaces the item if it is as it was read; of concurrent ones each
round one succeeds. A submit that has to wait only adds one to `issued`, without contention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imagetasks.errors import DatabaseUnavailable, TooManyOrders
from imagetasks.poyo.circuit_breaker import CircuitBreaker
from imagetasks.poyo.rate_limit import Slot, SubmitQueue
from imagetasks.tasks.conditional_write import (
    Condition,
    ConditionFailed,
    PutItem,
    UpdateItem,
    unchanged,
)

if TYPE_CHECKING:
    from imagetasks.aws.table import Table
    from imagetasks.clock import Clock

ACCOUNT_PK = "account"
WRITE_TRIES = 100  # more than submits that can start in the same instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The item. `revision` changes with every write that moves a start (None: there is no item)."""

    queue: SubmitQueue
    breaker: CircuitBreaker
    revision: int | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubmitSlots:
    """Every method raises DatabaseUnavailable when DynamoDB does not answer."""

    table: Table
    clock: Clock

    def reserve(
        self, number: int | None = None, not_before: int = 0, *, max_wait_s: int | None = None
    ) -> Slot:
        """The slot of one submit: `number`, which was to start at `not_before`, unless that is too
        long ago, else a new number.

        Raises TooManyOrders if a new one would start more than `max_wait_s` seconds from now.
        """
        account = _from_item(self.table.get(ACCOUNT_PK))
        for _ in range(WRITE_TRIES):
            now = self.clock.now_ms()
            account = replace(account, queue=account.queue.bounded(now, self.clock.limits))
            start = self._start(account.queue, number, not_before, now) if number else None
            try:
                if number and start is not None:
                    return self._use(account, number, start, now)
                number, not_before = account.queue.issued + 1, now
                if account.queue.start_of(number, self.clock.limits) <= now:
                    return self._start_new(account, now)
                account = self._queue_up(account, now, max_wait_s)
                number = account.queue.issued
            except ConditionFailed as failed:
                account, number = _from_item(failed.item), number if start is not None else None
        raise DatabaseUnavailable("the slots changed too often")

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

    def _start(self, queue: SubmitQueue, number: int, not_before: int, now: int) -> int | None:
        """When `number` may start; None if it is too late for that, and a new number is needed."""
        limits = self.clock.limits
        if number > queue.passed:
            not_before = queue.start_of(number, limits)
        elif now < max(queue.paused_until, not_before):
            return None
        return not_before if now - not_before <= limits.slot_tolerance_s * 1000 else None

    def _use(self, account: Account, number: int, start: int, now: int) -> Slot:
        """The slot of a number; if the circuit breaker is open and the number may start, it is the
        probe, and the next probe may follow when its answer must have come."""
        slot = self._slot(account, number, start, now)
        if slot.not_before is None and slot.breaker_open:
            self._put(account, self._probing(account.queue, number, now), account.breaker)
        return slot

    def _start_new(self, account: Account, now: int) -> Slot:
        """The slot of a new number that starts now."""
        limits = self.clock.limits
        queue = account.queue.started(now, limits)
        slot = self._slot(account, queue.issued, now, now)
        if slot.breaker_open:
            queue = self._probing(queue, queue.issued, now)
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
        return _from_item(self.table.update(update))

    def _probing(self, queue: SubmitQueue, number: int, now: int) -> SubmitQueue:
        limits = self.clock.limits
        return queue.paused(now + limits.probe_lease_s * 1000, now, limits, sent=number)

    def _slot(self, account: Account, number: int, start: int, now: int) -> Slot:
        return Slot(
            number=number,
            not_before=start if start > now else None,
            after_failures=account.breaker.failures > 0,
            breaker_open=account.breaker.is_open(now, self.clock.limits),
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
            account, now = _from_item(item), self.clock.now_ms()
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

    def _put(self, account: Account, queue: SubmitQueue, breaker: CircuitBreaker) -> None:
        """Write the item if it is as it was read. Raises ConditionFailed."""
        issued = None if account.revision is None else account.queue.issued
        item = {
            "pk": ACCOUNT_PK,
            "revision": (account.revision or 0) + 1,
            "starts": list(queue.starts),
            "passed": queue.passed,
            "issued": queue.issued,
            "paused_until": queue.paused_until,
            "failures": breaker.failures,
            "failed_at": breaker.failed_at,
        }
        as_read = (unchanged("revision", account.revision), unchanged("issued", issued))
        self.table.put(PutItem(item=item, condition=Condition(as_read)))


def _from_item(item: Mapping[str, Any]) -> Account:
    numbers = {name: int(item.get(name, 0)) for name in ("passed", "issued", "paused_until")}
    starts = tuple(map(int, item.get("starts", ())))
    revision = item.get("revision")
    return Account(
        queue=SubmitQueue(starts=starts, **numbers),
        breaker=CircuitBreaker(
            failures=int(item.get("failures", 0)), failed_at=int(item.get("failed_at", 0))
        ),
        revision=None if revision is None else int(revision),
    )
