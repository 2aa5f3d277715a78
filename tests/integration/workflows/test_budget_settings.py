"""Budgets that server keys set: their periods, and what each of them still counts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.tasks.budgets import UNIT_MS, Limit
from imagetasks.tasks.caller import Caller
from imagetasks.workflows.budget_settings import BudgetSettings, BudgetState
from imagetasks.workflows.spending import Spending, SpendingDefaults
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import START, task

DAY_S = 24 * 60 * 60
SCOPE = "owner:owner"
CALLER = Caller(key="owner", owner="owner")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


@pytest.fixture
def settings(env: TestEnvironment) -> BudgetSettings:
    repository = BudgetRepository(env.table)
    return BudgetSettings(
        Spending(repository=repository, defaults=SpendingDefaults(), clock=env.clock)
    )


def put(settings: BudgetSettings, most: int = 100, duration: str | None = "1d") -> BudgetState:
    return settings.set(SCOPE, max_credits=Decimal(most), duration=duration, soft_credits=None)


def order(env: TestEnvironment, settings: BudgetSettings, key: str) -> None:
    """Reserve 2 credits under the limits that count now."""
    limits = settings.spending.admit(CALLER, Decimal(2))
    created = task(key, estimated_credits=Decimal(2), created_at=env.time.ms())
    assert env.repository.create(created, limits).applied


def limit(state: BudgetState) -> Limit:
    assert state.limit is not None
    return state.limit


def reserved(state: BudgetState) -> Decimal:
    return state.spends[limit(state).pk].reserved


@pytest.mark.parametrize(
    ("duration", "unit"), [("1h", "h"), ("5h", "h"), ("1d", "d"), ("30d", "d")]
)
def test_first_period_begins_with_this_hour_or_day(
    settings: BudgetSettings, duration: str, unit: str
) -> None:
    state = put(settings, duration=duration)

    assert state.budget is not None
    assert state.budget.started_at == START // UNIT_MS[unit] * UNIT_MS[unit]
    assert limit(state).resets_at == state.budget.started_at + int(duration[:-1]) * UNIT_MS[unit]


def test_same_duration_keeps_the_period_and_what_it_has_spent(
    env: TestEnvironment, settings: BudgetSettings
) -> None:
    first = put(settings, duration="7d")
    order(env, settings, "a")
    env.time.forward(3 * DAY_S)

    later = put(settings, most=50, duration="7d")
    env.time.forward(4 * DAY_S)

    assert limit(later).resets_at == limit(first).resets_at
    assert (reserved(later), limit(later).max_credits) == (2, 50)  # type: ignore[comparison-overlap]
    assert reserved(settings.get(SCOPE)) == 0  # the next period


def test_another_duration_begins_a_new_period_that_has_spent_nothing(
    env: TestEnvironment, settings: BudgetSettings
) -> None:
    put(settings)
    order(env, settings, "a")

    assert reserved(put(settings, duration="7d")) == 0
    assert reserved(put(settings)) == 2  # of the same day


def test_budget_is_reset_when_its_period_ends_and_a_task_stays_in_its_own(
    env: TestEnvironment, settings: BudgetSettings
) -> None:
    put(settings, most=2)
    order(env, settings, "a")
    env.time.forward(DAY_S)

    order(env, settings, "b")

    assert reserved(settings.get(SCOPE)) == 2


def test_budget_that_never_resets_counts_for_ever_even_if_it_was_removed_in_between(
    env: TestEnvironment, settings: BudgetSettings
) -> None:
    put(settings, duration=None)
    order(env, settings, "a")
    settings.remove(SCOPE)
    env.time.forward(400 * DAY_S)

    again = put(settings, duration=None)

    assert (reserved(again), limit(again).resets_at) == (2, None)  # type: ignore[comparison-overlap]


def test_removed_budget_limits_nothing(env: TestEnvironment, settings: BudgetSettings) -> None:
    put(settings, most=0)
    settings.remove(SCOPE)

    order(env, settings, "a")

    assert settings.get(SCOPE).budget is None
