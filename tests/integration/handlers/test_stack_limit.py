"""The stack's own limit in metrics and alarms: what is left of it, and that it refuses orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.poyo.rate_limit import Slot
from imagetasks.tasks.budgets import Budget
from tests.support.api import Api, assert_problem, loaded_api
from tests.support.environment import TestEnvironment
from tests.support.lambdas import captured_logs


@contextmanager
def limited_api(**environment: str) -> Iterator[Api]:
    with loaded_api(None, None, **environment) as api:
        yield api


def emitted(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """The values of each metric since the last reading."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {
        metric["Name"]: line[metric["Name"]]
        for line in lines
        for metric in line.get("_aws", {}).get("CloudWatchMetrics", [{}])[0].get("Metrics", [])
    }


def alarms(log: str, message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.splitlines()]
    return [line for line in lines if line["message"] == message]


def budgets(api: Api) -> BudgetRepository:
    return BudgetRepository(TestEnvironment(api.cloud).table)


def test_each_accepted_order_records_what_it_leaves_of_the_stacks_limit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with limited_api(STACK_DAILY_CREDITS="5") as api:
        left = []
        for key in ("one", "two", "three"):
            response = api.create(idempotency_key=key)
            left.append((response.status, emitted(capsys).get("StackCreditsLeft")))

    assert left == [(202, [3]), (202, [1]), (402, None)]


def test_without_a_limit_nothing_is_recorded_as_left(capsys: pytest.CaptureFixture[str]) -> None:
    with limited_api() as api:
        assert api.create().status == 202

    assert "StackCreditsLeft" not in emitted(capsys)


def test_order_that_the_stacks_limit_refuses_raises_an_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with limited_api(STACK_DAILY_CREDITS="1") as api, captured_logs() as log:
        assert_problem(api.create(), 402, "budget_exhausted")

    [alarm] = alarms(log.getvalue(), "stack_budget_exhausted")
    assert (alarm["level"], alarm["server_key"]) == ("ERROR", "owner")
    assert "StackBudgetExhausted" in emitted(capsys)


def test_order_that_a_budget_of_the_stack_refuses_raises_the_same_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with limited_api() as api:
        budgets(api).put(Budget(scope="stack", max_credits=Decimal(1)))
        assert_problem(api.create(), 402, "budget_exhausted")

    assert "StackBudgetExhausted" in emitted(capsys)


def test_order_that_the_stacks_limit_refuses_in_its_transaction_raises_the_same_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Other orders take what is left between the read of the limit and the transaction."""
    with limited_api(STACK_DAILY_CREDITS="2") as api:
        reserve = SubmitSlots.reserve
        with pytest.MonkeyPatch.context() as patch:

            def overtaken(slots: SubmitSlots, *arguments: Any, **named: Any) -> Slot:
                patch.undo()
                assert api.create(idempotency_key="faster").status == 202
                return reserve(slots, *arguments, **named)

            patch.setattr(SubmitSlots, "reserve", overtaken)
            assert_problem(api.create(idempotency_key="slower"), 402, "budget_exhausted")

    assert "StackBudgetExhausted" in emitted(capsys)


def test_order_that_another_limit_refuses_raises_no_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with limited_api(STACK_DAILY_CREDITS="100", OWNER_DAILY_CREDITS="1") as api:
        assert_problem(api.create(), 402, "budget_exhausted")

    assert "StackBudgetExhausted" not in emitted(capsys)


@pytest.mark.parametrize(
    ("scope", "server_key"),
    [("stack", None), ("key:owner", "owner"), ("owner:owner/canary-user", "owner")],
)
def test_soft_limit_is_reported_once_with_the_key_and_without_the_user(
    scope: str, server_key: str | None
) -> None:
    with limited_api() as api, captured_logs() as log:
        budget = Budget(scope=scope, max_credits=Decimal(100), soft_credits=Decimal(3))
        budgets(api).put(budget)
        for key in ("one", "two", "three"):
            api.create(idempotency_key=key, x_owner="canary-user")

    [alarm] = alarms(log.getvalue(), "soft_budget_reached")
    assert (alarm["scope"], alarm.get("server_key")) == (scope.partition(":")[0], server_key)
    assert "canary-user" not in log.getvalue()
