"""A transition that was made from an old version of a task books the true difference, or is refused.

For every pair of a version that was read and one that is stored, as far as credits are concerned.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from imagetasks.clock import WriteStamp
from imagetasks.tasks import transition_writes
from imagetasks.tasks.bookings import Booking, booking, is_unresolved
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, Task
from imagetasks.tasks.task_item import from_item, to_item
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.tasks.transitions import TRANSITIONS
from tests.simulation.table_state import as_stored
from tests.support.fakes import START, task
from tests.support.transition_cases import STORED_IMAGE, WRITES

STAMP = WriteStamp(START, "mine")
AMOUNTS = (None, Decimal(0), Decimal("3.7"))
STATES = [
    *((str(state), None) for state in State if state != State.FAILED),
    *((str(State.FAILED), reason) for reason in REASONS),
]
VERSIONS = [
    task(
        state=state,
        reason=reason,
        charged_credits=amount,
        estimated_credits=Decimal(2),
        not_before=START if state == State.PENDING else None,
        spend_pks=("spend#1d#0#stack",),
    )
    for (state, reason), amount in product(STATES, AMOUNTS)
]
ITEMS = [(version, as_stored(to_item(version))) for version in VERSIONS]
Make = Callable[[Task], TransitionWrite]


def named(make: Callable[..., TransitionWrite], **values: Any) -> dict[str, Make]:
    """The transition with each amount, and without one where that is possible."""
    return {
        f"{make.__name__} {amount}": lambda task_, amount=amount: make(  # type: ignore[misc]
            task_, STAMP, charged_credits=amount, **values
        )
        for amount in AMOUNTS
        if amount is not None
    }


MAKES: dict[str, Make] = {
    **{name: lambda task_, make=make: make(task_, STAMP) for name, (make, _) in WRITES.items()},  # type: ignore[misc]
    **named(transition_writes.finish, files=[STORED_IMAGE]),
    **named(transition_writes.settle),
    **named(transition_writes.reschedule, due_at=START),
    **named(transition_writes.reopen, due_at=START),
    **{
        f"{name} {reason}": make
        for reason in REASONS
        for name, make in named(transition_writes.fail, reason=reason, detail="").items()
    },
}


def test_every_transition_is_among_them() -> None:
    assert {make(VERSIONS[0]).name for make in MAKES.values()} == set(TRANSITIONS)


@pytest.mark.parametrize("name", MAKES)
def test_transition_books_the_true_difference_whatever_version_it_was_made_from(name: str) -> None:
    applied = 0
    writes = [(version, MAKES[name](version)) for version in VERSIONS]
    for (read, write), (stored, item) in product(writes, ITEMS):
        if not write.update.condition.holds(item):
            continue
        applied += read == stored
        after = from_item(as_stored(write.update.applied(item)))

        before, now = booking(stored), booking(after)
        assert _booked(write) == Booking(
            now.reserved - before.reserved, now.charged - before.charged
        ), (read, stored)
        marks = [each for each in write.bookings if each.pk.startswith("unresolved#")]
        assert bool(marks) is (is_unresolved(stored) != is_unresolved(after)), (read, stored)

    assert applied > 0


def _booked(write: TransitionWrite) -> Booking:
    """What the transition adds to the item of its only limit."""
    added: dict[str, Any] = {}
    for each in write.bookings:
        if each.pk.startswith("spend#"):
            added |= each.added
    none = Decimal(0)
    total = added.get("committed", none)
    assert total == added.get("reserved", none) + added.get("charged", none)
    return Booking(reserved=added.get("reserved", none), charged=added.get("charged", none))
