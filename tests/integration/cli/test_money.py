"""The doctor's checks of money: what bounds the spending, what is used up, and what stays reserved."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from cli import money
from cli.findings import Finding
from cli.stack import Stack
from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.clock import wall_clock_ms
from imagetasks.tasks.budgets import Budget, Limit
from imagetasks.tasks.conditional_write import Condition, UpdateItem
from tests.support import booked_tasks
from tests.support.environment import TestEnvironment, new_environment
from tests.support.operator_stack import NAME, create_stack


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


@pytest.fixture
def budgets(env: TestEnvironment) -> BudgetRepository:
    return BudgetRepository(env.table)


def check(env: TestEnvironment, **parameters: str) -> list[Finding]:
    create_stack(env.cloud, **parameters)
    return list(money.check_money(Stack(NAME, None)))


def spend(env: TestEnvironment, limit: Limit, credits_: int) -> None:
    added = {"reserved": Decimal(credits_), "committed": Decimal(credits_)}
    update = UpdateItem(pk=limit.pk, condition=Condition(), values={}, added=added)
    env.table.update(update)


def warnings(findings: list[Finding]) -> list[str]:
    assert not [each for each in findings if each.todo and each.failed]
    return [str(each) for each in findings if each.todo]


def test_stack_without_any_limit_is_warned_of_a_stolen_key(env: TestEnvironment) -> None:
    [warning] = warnings(check(env))

    assert "no limit for the whole stack: a stolen key can spend PoYo's account empty" in warning
    assert "deploy with StackDailyCredits" in warning


def test_daily_limit_of_the_stack_is_enough(env: TestEnvironment) -> None:
    found = check(env, StackDailyCredits="5000")

    assert warnings(found) == []
    assert "StackDailyCredits allows 5000 credits a day" in "\n".join(map(str, found))


def test_budget_of_the_stack_is_enough(env: TestEnvironment, budgets: BudgetRepository) -> None:
    budgets.put(Budget(scope="stack", max_credits=Decimal(7), duration="30d"))

    found = check(env)

    assert warnings(found) == []
    assert "the stack's budget allows 7 credits in each 30d" in "\n".join(map(str, found))


def test_page_for_everybody_is_a_warning_until_a_budget_bounds_it(
    env: TestEnvironment,
) -> None:
    [warning] = [each for each in warnings(check(env, Playground="true")) if "Playground" in each]
    assert "no budget bounds what is ordered there" in warning
    assert "OwnerDailyCredits" in warning


@pytest.mark.parametrize("limit", ["StackDailyCredits", "OwnerDailyCredits"])
def test_page_whose_spending_is_bounded_is_no_warning(env: TestEnvironment, limit: str) -> None:
    found = check(env, Playground="true", **{limit: "500"})

    assert not [each for each in warnings(found) if "Playground" in each]


def test_zero_bounds_nothing_however_it_is_written(env: TestEnvironment) -> None:
    found = check(env, Playground="true", StackDailyCredits="0.0", OwnerDailyCredits="0.0")

    assert [each for each in warnings(found) if "Playground" in each]


def test_budget_of_a_key_does_not_bound_the_stack(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    budgets.put(Budget(scope="key:owner", max_credits=Decimal(7)))

    assert "no limit for the whole stack" in warnings(check(env))[0]


def test_paused_orders_are_a_warning_that_says_how_to_resume(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    budgets.pause(paused=True, now=0, reason="a stolen key")

    [warning] = warnings(check(env, StackDailyCredits="5"))

    assert "new orders are paused since 1970-01-01 00:00:00+00:00 (a stolen key)" in warning
    assert f"imagetasks stack resume --stack {NAME}" in warning


def test_parameter_that_pauses_orders_is_a_warning(env: TestEnvironment) -> None:
    [warning] = warnings(check(env, StackDailyCredits="5", OrdersPaused="true"))

    assert "OrdersPaused refuses new orders" in warning


@pytest.mark.parametrize("scope", ["stack", "key:owner", "owner:other"])
def test_budget_that_is_used_up_is_named(
    env: TestEnvironment, budgets: BudgetRepository, scope: str
) -> None:
    budget = Budget(scope=scope, max_credits=Decimal(7))
    budgets.put(budget)
    spend(env, budget.limit(wall_clock_ms()), 6)
    assert warnings(check(env, StackDailyCredits="500")) == []
    env.cloud.client("cloudformation").delete_stack(StackName=NAME)
    spend(env, budget.limit(wall_clock_ms()), 1)

    [warning] = warnings(check(env, StackDailyCredits="500"))

    assert f"used up: {scope} (until 20" in warning


def test_daily_limit_that_is_used_up_is_named(env: TestEnvironment) -> None:
    spend(env, Budget(scope="stack", max_credits=Decimal(5)).limit(wall_clock_ms()), 5)

    [warning] = warnings(check(env, StackDailyCredits="5"))

    assert "used up: stack (until 20" in warning


def test_unresolved_tasks_that_nobody_polls_any_more_are_a_warning(env: TestEnvironment) -> None:
    booked_tasks.unconfirmed(env, "one")
    polled = booked_tasks.timed_out(env, "two")
    env.updater.reschedule(polled, due_at=env.time.now)

    [warning] = warnings(check(env, StackDailyCredits="5"))

    assert "2 credits stay reserved for 1 tasks with an unknown charge" in warning
    assert f"imagetasks stack reconcile --stack {NAME} lists them" in warning


def test_unresolved_tasks_that_are_still_polled_are_no_warning(env: TestEnvironment) -> None:
    polled = booked_tasks.timed_out(env)
    env.updater.reschedule(polled, due_at=env.time.now)

    found = check(env, StackDailyCredits="5")

    assert warnings(found) == []
    assert "unresolved tasks: 1" in "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("description", "healthy"),
    [
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "removed_at"}, True),
        ({"TimeToLiveStatus": "ENABLING", "AttributeName": "removed_at"}, True),
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "due_at"}, False),
        ({"TimeToLiveStatus": "DISABLED"}, False),
        ({}, False),
    ],
)
def test_tokens_items_are_removed_only_by_their_own_attribute(
    description: dict[str, str], healthy: bool
) -> None:
    assert (not money.removal(description).todo) is healthy
