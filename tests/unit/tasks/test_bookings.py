"""What a task reserves and was charged, and the writes that keep the items of its credits true."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from imagetasks.tasks.bookings import (
    KEPT_S,
    MONEY,
    UNRESOLVED_KEY,
    Booking,
    booking,
    changes,
    is_unresolved,
    reservation,
)
from imagetasks.tasks.budgets import Limit
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, Task
from imagetasks.tasks.task_item import to_item
from tests.support.booked_credits import credits_of
from tests.support.fakes import task

PKS = ("spend#1d#0#stack", "usage#2026-09-21#gpt-image-2#owner", "token#t")
AMOUNTS = (None, Decimal(0), Decimal("0.01"), Decimal(2), Decimal("7.3"))
ESTIMATE = Decimal(2)
OPEN = tuple(state for state in State if state not in (State.FINISHED, State.FAILED))
ALL = [
    *({"state": str(state), "charged_credits": each} for state, each in product(OPEN, AMOUNTS)),
    *({"state": "finished", "charged_credits": each} for each in AMOUNTS),
    *(
        {"state": "failed", "reason": reason, "charged_credits": each}
        for reason, each in product((*REASONS, "of_a_newer_version"), AMOUNTS)
    ),
]


def made(**values: Any) -> Task:
    own: dict[str, Any] = {"estimated_credits": ESTIMATE, "spend_pks": PKS}
    return task(**own | values)


@pytest.mark.parametrize("state", [*OPEN, "of_a_newer_version"])
@pytest.mark.parametrize("named", AMOUNTS)
def test_open_task_reserves_its_estimate(state: str, named: Decimal | None) -> None:
    assert booking(made(state=state, charged_credits=named)) == Booking(reserved=ESTIMATE)


@pytest.mark.parametrize("named", AMOUNTS)
def test_finished_task_is_charged_what_poyo_named_else_its_estimate(named: Decimal | None) -> None:
    expected = ESTIMATE if named is None else named

    assert booking(made(state="finished", charged_credits=named)) == Booking(charged=expected)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("named", [each for each in AMOUNTS if each is not None])
def test_failure_is_charged_what_poyo_named(reason: str, named: Decimal) -> None:
    failed = made(state="failed", reason=reason, charged_credits=named)

    assert booking(failed) == Booking(charged=named)


FREE = ("rejected", "moderated", "insufficient_credits", "unavailable", "upstream")


@pytest.mark.parametrize("reason", [*REASONS, "of_a_newer_version"])
def test_failure_without_an_amount_releases_charges_or_keeps_the_estimate(reason: str) -> None:
    paid = ("bad_result", "result_expired")
    expected = Booking() if reason in FREE else Booking(reserved=ESTIMATE)
    if reason in paid:
        expected = Booking(charged=ESTIMATE)

    assert booking(made(state="failed", reason=reason)) == expected


def test_only_an_ended_task_with_reserved_credits_is_unresolved() -> None:
    unresolved = [values for values in ALL if is_unresolved(made(**values))]

    assert unresolved == [
        {"state": "failed", "reason": reason, "charged_credits": None}
        for reason in ("unconfirmed", "timed_out", "of_a_newer_version")
    ]


def test_reservation_books_the_estimate_in_every_limit_and_in_the_usage() -> None:
    limits = (
        Limit(scope="stack", pk="spend#1d#0#stack", max_credits=Decimal(9)),
        Limit(scope="token", pk="token#t", max_credits=Decimal(3), max_tasks=2),
    )

    first, second, usage = reservation(made(), limits)

    sums = {"tasks": 1, "estimated": 2, "reserved": 2, "committed": 2}
    assert (first.pk, dict(first.added)) == ("spend#1d#0#stack", sums)
    assert (second.pk, dict(second.added)) == ("token#t", sums | {"removed_at": KEPT_S})
    assert dict(usage.added) == sums
    assert [first.condition, second.condition] == [each.condition(ESTIMATE) for each in limits]
    assert usage.condition.holds({})


def test_task_without_an_estimate_does_not_keep_the_item_of_its_token() -> None:
    limit = Limit(scope="token", pk="token#t", max_credits=Decimal(3))

    reserved, _ = reservation(made(estimated_credits=Decimal(0)), [limit])

    assert "removed_at" not in reserved.added


@pytest.mark.parametrize("before", ALL, ids=str)
def test_changes_are_the_difference_for_every_pair_of_states(before: dict[str, Any]) -> None:
    old = made(**before)
    for after in ALL:
        new = made(**after)
        items: dict[str, dict[str, Any]] = {pk: _booked(old) for pk in PKS}
        listed: dict[str, Any] = {"pk": "x", "owner_key": UNRESOLVED_KEY, "created_at": 1}
        items[f"unresolved#{old.task_id}"] = listed if is_unresolved(old) else {"pk": "x"}

        for write in changes(old, new):
            assert write.condition.holds({})  # nothing else decides than the task
            items[write.pk] = write.applied(items[write.pk])

        for pk in PKS:
            expected = _booked(new)
            if not pk.startswith("token#"):
                expected["removed_at"] = items[pk]["removed_at"] = 0
            assert items[pk] == expected, (before, after)
        mark = items[f"unresolved#{old.task_id}"]
        assert (mark.get("owner_key") == UNRESOLVED_KEY) is is_unresolved(new)


def _booked(task_: Task) -> dict[str, Any]:
    """The sums of an item with this one task."""
    known = task_.state != "failed" or task_.reason in REASONS
    own = credits_of(to_item(task_)) if known else None
    reserved = own.reserved if own else _of_unknown_reason(task_)[0]
    charged = own.charged if own else _of_unknown_reason(task_)[1]
    return {
        "reserved": reserved,
        "charged": charged,
        "committed": reserved + charged,
        "removed_at": KEPT_S if reserved else 0,
    }


def _of_unknown_reason(task_: Task) -> tuple[Decimal, Decimal]:
    named = task_.charged_credits
    return (ESTIMATE, Decimal(0)) if named is None else (Decimal(0), named)


def test_nothing_but_money_changes_the_booking() -> None:
    before = made()
    other: dict[str, Any] = {
        "progress": Decimal(3),
        "poyo_id": "X",
        "deleted_at": 5,
        "detail": "d",
        "polls": 3,
    }

    assert set(MONEY) == {"state", "reason", "charged_credits"}
    assert changes(before, replace(before, **other)) == ()
