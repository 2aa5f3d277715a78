"""Budgets: their periods, and the conditions that DynamoDB decides by."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, product
from typing import Any

import pytest

from imagetasks.errors import BudgetExhausted, TokenRevoked
from imagetasks.tasks.budgets import (
    MAX_DURATION_MS,
    UNIT_MS,
    Budget,
    Limit,
    duration_ms,
    period_start,
    refusal,
    scopes,
    spend_from_item,
    tightest,
    token_limit,
)
from imagetasks.tasks.caller import SCOPES, Caller, Token
from imagetasks.tasks.usage import day_of
from tests.support.fakes import START, task

HOUR, DAY = UNIT_MS["h"], UNIT_MS["d"]
LIMIT = Limit(scope="stack", pk="spend#1d#0#stack", max_credits=Decimal(10))
TOKEN = Limit(scope="token", pk="token#t", max_credits=Decimal(10), max_tasks=3)


@pytest.mark.parametrize(
    ("duration", "length"),
    [("1h", HOUR), ("36h", 36 * HOUR), ("1d", DAY), ("30d", 30 * DAY), ("366d", 366 * DAY)],
)
def test_duration_is_a_number_of_hours_or_days(duration: str, length: int) -> None:
    assert duration_ms(duration) == length <= MAX_DURATION_MS


@pytest.mark.parametrize(
    "duration",
    [
        *("", "d", "1", "0d", "-1d", "1.5d", "01d", "1m", "1D", "1d ", " 1d", "1d\n", "1w", "1d1h"),
        *("367d", "8785h", "9999d", "10000h", "\u0661d"),
    ],
)
def test_other_durations_are_refused(duration: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(duration)}$"):
        duration_ms(duration)


@pytest.mark.parametrize("duration", ["1h", "7h", "1d", "30d"])
def test_periods_follow_each_other_without_a_gap(duration: str) -> None:
    budget = Budget(scope="s", max_credits=Decimal(1), duration=duration, started_at=START)
    length = duration_ms(duration)

    for n in range(-2, 5):
        begin = START + n * length
        periods = [
            budget.limit(at) for at in (begin - 1, begin, begin + length - 1, begin + length)
        ]
        resets = [each.resets_at for each in periods]
        assert resets == [begin, begin + length, begin + length, begin + 2 * length]
        assert periods[1] == periods[2]
        assert [one.pk == other.pk for one, other in pairwise(periods)] == [False, True, False]
        assert periods[1].pk == f"spend#{duration}#{begin}#s"


def test_budget_without_a_duration_has_one_period_for_ever() -> None:
    budget = Budget(scope="s", max_credits=Decimal(1), duration=None, started_at=START)

    limits = {budget.limit(at) for at in (0, START, START + 1000 * DAY)}

    assert limits == {Limit(scope="s", pk="spend#ever#0#s", max_credits=Decimal(1))}


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ.pop("TZ")
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_days_begin_at_midnight_in_utc_in_every_zone_and_season() -> None:
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        begin = round(day.timestamp() * 1000)
        for hour in range(24):
            at = begin + hour * HOUR
            assert period_start("1d", at) == begin
            assert period_start("5h", at) == at
            assert day_of(at) == f"{day:%Y-%m-%d}"
            daily = Budget(scope="s", max_credits=Decimal(1)).limit(at)
            assert daily.resets_at == begin + DAY
        assert day_of(begin - 1) == f"{day - timedelta(days=1):%Y-%m-%d}"


def item(committed: Decimal | int, **further: Any) -> dict[str, Any]:
    return {"pk": "p", "committed": Decimal(committed), "tasks": Decimal(1)} | further


@pytest.mark.parametrize("credits_", [Decimal("0.01"), Decimal(2), Decimal("9.99"), Decimal(10)])
def test_budget_has_room_up_to_the_last_hundredth(credits_: Decimal) -> None:
    condition = LIMIT.condition(credits_)

    assert condition.holds({})  # the first order of its period
    assert condition.holds(item(10 - credits_))
    assert not condition.holds(item(10 - credits_ + Decimal("0.01")))
    assert not condition.holds(item(11))


def test_order_that_is_larger_than_the_whole_budget_has_no_room_in_an_empty_period() -> None:
    condition = LIMIT.condition(Decimal("10.01"))

    assert not condition.holds({})
    assert not condition.holds(item(0))


def test_condition_decides_as_the_check_before_it() -> None:
    amounts = tuple(map(Decimal, ("0", "0.01", "3", "9.99", "10", "10.01", "12")))
    for limit, spent, credits_, tasks in product((LIMIT, TOKEN), amounts, amounts, range(5)):
        stored = {"pk": limit.pk, "committed": spent, "charged": spent, "tasks": Decimal(tasks)}
        allowed = limit.allows(spend_from_item(stored), credits_)

        assert limit.condition(credits_).holds(stored) is allowed, (limit, spent, credits_, tasks)


@pytest.mark.parametrize(
    ("stored", "holds"),
    [
        ({"pk": "token#t", "committed": Decimal(8), "tasks": Decimal(2)}, True),
        ({"pk": "token#t", "committed": Decimal(8), "tasks": Decimal(3)}, False),
        ({"pk": "token#t", "committed": Decimal("8.01"), "tasks": Decimal(0)}, False),
        ({"pk": "token#t", "committed": Decimal(0), "tasks": Decimal(0), "revoked_at": 1}, False),
        ({}, False),  # DynamoDB has removed it
    ],
)
def test_token_has_room_while_it_exists_and_is_not_revoked(
    stored: dict[str, Any], holds: bool
) -> None:
    assert TOKEN.condition(Decimal(2)).holds(stored) is holds


def test_token_without_a_number_of_tasks_is_bounded_by_its_credits_alone() -> None:
    stored = {"pk": "token#t", "committed": Decimal(0), "tasks": Decimal(1000)}

    assert replace(TOKEN, max_tasks=None).condition(Decimal(10)).holds(stored)


def test_two_limits_on_one_item_are_the_lower_one_with_the_lower_soft_limit() -> None:
    high = replace(LIMIT, max_credits=Decimal(20), soft_credits=Decimal(4))
    low = replace(LIMIT, max_credits=Decimal(5), soft_credits=Decimal("4.5"))
    other = replace(LIMIT, pk="spend#1d#0#key:k")

    expected = (replace(low, soft_credits=Decimal(4)), other)
    assert tightest([high, low, other]) == tightest([low, high, other]) == expected


def test_order_counts_in_the_stack_its_server_key_and_its_owner() -> None:
    assert scopes(Caller(key="k", owner="k/ann")) == {
        "stack": "stack",
        "key": "key:k",
        "owner": "owner:k/ann",
    }


def test_limit_of_a_token_is_its_item() -> None:
    token = Token(
        token_id="t",
        key="k",
        key_id="i",
        owner="k",
        scopes=SCOPES,
        max_credits=Decimal(10),
        ends_at=1,
        max_tasks=3,
    )

    assert token_limit(Caller(key="k", owner="k", token=token)) == (TOKEN,)
    assert token_limit(Caller(key="k", owner="k")) == ()


@pytest.mark.parametrize("stored", [{}, item(0, revoked_at=1)])
def test_refusal_by_a_token_that_is_gone_says_so(stored: dict[str, Any]) -> None:
    assert isinstance(refusal(TOKEN, stored, task()), TokenRevoked)


def test_refusal_names_the_budget_what_is_left_and_when_it_is_reset() -> None:
    limit = replace(LIMIT, resets_at=START + DAY)
    stored = item(8, reserved=Decimal(5), charged=Decimal(3))

    refused = refusal(limit, stored, task(created_at=START))

    assert isinstance(refused, BudgetExhausted)
    assert (refused.scope, refused.left, refused.resets_at) == ("stack", Decimal(2), START + DAY)


def test_nothing_is_left_of_a_budget_that_was_lowered_below_what_is_spent() -> None:
    assert LIMIT.left(spend_from_item({"reserved": Decimal(30)})) == 0
