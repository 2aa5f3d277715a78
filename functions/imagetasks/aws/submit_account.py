"""The item of the table that says what the account has submitted: its queue and its circuit breaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks.poyo.circuit_breaker import CircuitBreaker
from imagetasks.poyo.rate_limit import SubmitQueue
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    PutItem,
    UpdateItem,
    unchanged,
)

if TYPE_CHECKING:
    from imagetasks.limits import Limits

ACCOUNT_PK = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The item. `revision` changes with every write that moves a turn (None: there is no item);
    `sent_as_read` are the recorded starts as they are stored."""

    queue: SubmitQueue
    breaker: CircuitBreaker
    revision: int | None
    sent_as_read: Sequence[int] | None

    def recorded(self, start: int, limits: Limits) -> UpdateItem:
        """The write that adds a start to those that were recorded, if no other was added meanwhile."""
        sent = [*self.queue.recorded(start, limits).sent]
        return UpdateItem(
            pk=ACCOUNT_PK, condition=Condition((self._sent(),)), values={"sent": sent}
        )

    def replaced(self, queue: SubmitQueue, breaker: CircuitBreaker) -> PutItem:
        """The write of the whole item, if it is as it was read."""
        issued = None if self.revision is None else self.queue.issued
        item = {
            "pk": ACCOUNT_PK,
            "revision": (self.revision or 0) + 1,
            "starts": list(queue.starts),
            "sent": list(queue.sent),
            "passed": queue.passed,
            "issued": queue.issued,
            "paused_until": queue.paused_until,
            "failures": breaker.failures,
            "failed_at": breaker.failed_at,
        }
        as_read = (unchanged("revision", self.revision), unchanged("issued", issued), self._sent())
        return PutItem(item=item, condition=Condition(as_read))

    def _sent(self) -> AttributeTest:
        return unchanged("sent", self.sent_as_read)


def from_item(item: Mapping[str, Any]) -> Account:
    """The account as it was read; `{}` before the first order."""
    numbers = {name: int(item.get(name, 0)) for name in ("passed", "issued", "paused_until")}
    starts, sent = (tuple(map(int, item.get(name, ()))) for name in ("starts", "sent"))
    revision = item.get("revision")
    return Account(
        queue=SubmitQueue(starts=starts, sent=sent, **numbers),
        breaker=CircuitBreaker(
            failures=int(item.get("failures", 0)), failed_at=int(item.get("failed_at", 0))
        ),
        revision=None if revision is None else int(revision),
        sent_as_read=item.get("sent"),
    )
