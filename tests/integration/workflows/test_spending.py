"""The limits that orders are reserved under, in the emulated DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.errors import BudgetExhausted, OrdersPaused
from imagetasks.tasks.budgets import Budget, Limit
from imagetasks.tasks.caller import SCOPES, Caller, Token
from imagetasks.workflows.spending import Spending, SpendingDefaults
from tests.simulation.log_capture import captured_logs
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import START, submit_response
from tests.support.lambdas import recorded_aws_calls

DAY_MS = 24 * 3600 * 1000
TODAY = START // DAY_MS * DAY_MS
ANN = Caller(key="owner", owner="owner/ann")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("POST", *map(submit_response, map(str, range(50))))
        yield environment


@pytest.fixture
def budgets(env: TestEnvironment) -> BudgetRepository:
    return BudgetRepository(env.table)


def spending(env: TestEnvironment, **defaults: Any) -> Spending:
    return Spending(
        repository=BudgetRepository(env.table),
        defaults=SpendingDefaults(**defaults),
        clock=env.clock,
    )


def place(env: TestEnvironment, limits: tuple[Limit, ...], key: str, credits_: int = 2) -> None:
    made = order(key, owner="owner/ann", estimated_credits=Decimal(credits_))
    env.submitter.submit(made, limits)


def by_scope(limits: tuple[Limit, ...]) -> dict[str, list[tuple[str, Decimal]]]:
    found: dict[str, list[tuple[str, Decimal]]] = {}
    for each in limits:
        found.setdefault(each.scope, []).append((each.pk, each.max_credits))
    return found


def test_nothing_bounds_an_order_without_any_budget(env: TestEnvironment) -> None:
    assert spending(env).admit(ANN, Decimal(10_000)) == ()


def test_deployments_limits_count_for_the_stack_and_for_each_owner(env: TestEnvironment) -> None:
    limits = spending(env, stack_daily=Decimal(9), owner_daily=Decimal(5)).admit(ANN, Decimal(2))

    assert by_scope(limits) == {
        "stack": [(f"spend#1d#{TODAY}#stack", Decimal(9))],
        "owner": [(f"spend#1d#{TODAY}#owner:owner/ann", Decimal(5))],
    }


def test_budget_of_an_owner_replaces_the_deployments_whether_lower_or_higher(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    for max_credits in (Decimal(3), Decimal(50)):
        budgets.put(Budget(scope="owner:owner/ann", max_credits=max_credits))

        [limit] = spending(env, owner_daily=Decimal(5)).admit(ANN, Decimal(2))

        assert (limit.scope, limit.max_credits) == ("owner", max_credits)


def test_no_key_lifts_the_deployments_limit_of_the_stack(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    budgets.put(Budget(scope="stack", max_credits=Decimal(100), duration="1d"))
    capped = spending(env, stack_daily=Decimal(9))
    assert [each.max_credits for each in capped.admit(ANN, Decimal(2))] == [Decimal(9)]
    budgets.put(Budget(scope="stack", max_credits=Decimal(100), duration="2d"))

    limits = capped.admit(ANN, Decimal(2))

    assert sorted(each.max_credits for each in limits) == [Decimal(9), Decimal(100)]
    with pytest.raises(BudgetExhausted):
        capped.admit(ANN, Decimal("9.01"))


def test_every_scope_and_the_token_count_in_one_order(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    for scope in ("stack", "key:owner", "owner:owner/ann", "key:other", "owner:owner"):
        budgets.put(Budget(scope=scope, max_credits=Decimal(7)))
    token = Token(
        token_id="t",
        key="owner",
        key_id="i",
        owner="owner/ann",
        scopes=SCOPES,
        max_credits=Decimal(3),
        ends_at=START,
    )

    limits = spending(env).admit(Caller(key="owner", owner="owner/ann", token=token), Decimal(2))

    assert [each.scope for each in limits] == ["stack", "key", "owner", "token"]
    assert {each.pk.rpartition("#")[2] for each in limits} == {
        "stack",
        "key:owner",
        "owner:owner/ann",
        "t",
    }


def test_refusal_names_the_limit_that_is_reset_last(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    budgets.put(Budget(scope="stack", max_credits=Decimal(1), duration="1h", started_at=TODAY))
    budgets.put(Budget(scope="key:owner", max_credits=Decimal(1), duration="2d", started_at=TODAY))
    budgets.put(Budget(scope="owner:owner/ann", max_credits=Decimal(5), duration=None))

    with pytest.raises(BudgetExhausted) as refused:
        spending(env).admit(ANN, Decimal(2))
    assert (refused.value.scope, refused.value.resets_at) == ("key", TODAY + 2 * DAY_MS)

    with pytest.raises(BudgetExhausted) as refused:
        spending(env).admit(ANN, Decimal(6))
    assert (refused.value.scope, refused.value.resets_at) == ("owner", None)


def test_limit_that_fills_up_between_the_check_and_the_order_refuses_it_with_what_is_left(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    budgets.put(Budget(scope="key:owner", max_credits=Decimal(5)))
    admitted = spending(env).admit(ANN, Decimal(2))
    place(env, admitted, "first", 4)

    with pytest.raises(BudgetExhausted) as refused:
        place(env, admitted, "second")

    assert (refused.value.scope, refused.value.left) == ("key", Decimal(1))
    assert env.fake_poyo.request_count("POST") == 1
    tasks = [each for each in env.cloud.items() if each["pk"]["S"].startswith("task#")]
    assert len(tasks) == 1


def test_orders_are_paused_by_the_operator_or_by_the_deployment(
    env: TestEnvironment, budgets: BudgetRepository
) -> None:
    with pytest.raises(OrdersPaused):
        spending(env, paused=True).admit(ANN, Decimal(2))
    budgets.pause(paused=True, now=START)
    with pytest.raises(OrdersPaused):
        spending(env).admit(ANN, Decimal(2))

    budgets.pause(paused=False, now=START)

    assert spending(env).admit(ANN, Decimal(2)) == ()
    with pytest.raises(OrdersPaused):  # nobody resumes what the deployment has paused
        spending(env, paused=True).admit(ANN, Decimal(2))


@pytest.fixture
def alarms() -> Iterator[list[str]]:
    """The scopes of the soft limits that have raised an alarm."""
    found: list[str] = []

    def read(line: str) -> None:
        if "soft_budget_reached" in line:
            found.append(json.loads(line)["scope"])

    with captured_logs(read):
        yield found


def test_soft_limit_raises_one_alarm_in_a_period(
    env: TestEnvironment, budgets: BudgetRepository, alarms: list[str]
) -> None:
    budgets.put(Budget(scope="key:owner", max_credits=Decimal(50), soft_credits=Decimal(4)))
    allowance = spending(env)
    raised = []
    for n in range(4):
        limits = allowance.admit(ANN, Decimal(2))
        place(env, limits, f"key-{n}")
        allowance.report(limits)
        raised.append(len(alarms))
    env.time.forward(24 * 3600)
    limits = allowance.admit(ANN, Decimal(4))
    place(env, limits, "tomorrow", 4)
    allowance.report(limits)

    assert raised == [0, 1, 1, 1]
    assert alarms == ["key", "key"]


def test_orders_beyond_a_soft_limit_write_nothing_for_it_once_its_alarm_was_raised(
    env: TestEnvironment, budgets: BudgetRepository, alarms: list[str]
) -> None:
    budgets.put(Budget(scope="key:owner", max_credits=Decimal(50), soft_credits=Decimal(4)))
    allowance = spending(env)
    limits = allowance.admit(ANN, Decimal(4))
    place(env, limits, "first", 4)
    allowance.report(limits)
    calls = recorded_aws_calls(env.table.client)

    allowance.report(limits)

    assert alarms == ["key"]
    assert calls == ["DynamoDB.BatchGetItem"]


def test_soft_limit_that_is_raised_raises_its_alarm_again_even_if_the_budget_never_resets(
    env: TestEnvironment, budgets: BudgetRepository, alarms: list[str]
) -> None:
    allowance = spending(env)
    raised = []
    for n, soft in enumerate((2, 2, 6, 6, 4)):
        budgets.put(
            Budget(
                scope="key:owner",
                max_credits=Decimal(50),
                duration=None,
                soft_credits=Decimal(soft),
            )
        )
        limits = allowance.admit(ANN, Decimal(2))
        place(env, limits, f"key-{n}")
        allowance.report(limits)
        raised.append(len(alarms))

    assert raised == [1, 1, 2, 2, 2]


def test_concurrent_orders_that_jump_over_the_soft_limit_raise_one_alarm(
    env: TestEnvironment, budgets: BudgetRepository, alarms: list[str]
) -> None:
    budgets.put(Budget(scope="key:owner", max_credits=Decimal(50), soft_credits=Decimal(4)))
    allowance = spending(env)
    limits = allowance.admit(ANN, Decimal(2))
    for n in range(5):
        place(env, limits, f"key-{n}")

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: allowance.report(limits), range(5)))

    assert alarms == ["key"]


@pytest.mark.parametrize(
    ("stack", "owner", "paused", "expected"),
    [
        ("0", "0", "false", SpendingDefaults()),
        (
            "12.5",
            "3",
            "true",
            SpendingDefaults(stack_daily=Decimal("12.5"), owner_daily=Decimal(3), paused=True),
        ),
    ],
)
def test_defaults_are_the_deployments_parameters(
    monkeypatch: pytest.MonkeyPatch,
    stack: str,
    owner: str,
    paused: str,
    expected: SpendingDefaults,
) -> None:
    monkeypatch.setenv("STACK_DAILY_CREDITS", stack)
    monkeypatch.setenv("OWNER_DAILY_CREDITS", owner)
    monkeypatch.setenv("ORDERS_PAUSED", paused)

    assert SpendingDefaults.from_env() == expected
