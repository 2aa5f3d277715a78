"""`cli.orders`: a pause refuses new orders at once and nothing else, until it is resumed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.tasks.budgets import Budget
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.environment import TestEnvironment
from tests.support.fakes import finished_response
from tests.support.operator_stack import Command, create_stack


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        create_stack(api.cloud)
        yield api


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
def test_paused_orders_are_refused_at_once_and_accepted_at_once_after_resuming(
    api: Api, command: Command, path: str
) -> None:
    assert command("orders pause")[0] == 0
    refused = api.request("POST", path, ORDER, idempotency_key="one")
    if path == "/v1/tasks":
        assert_problem(refused, 503, "orders_paused")
    assert refused.status == 503
    assert api.submit_count() == 0

    assert command("orders resume") == (0, "new orders are accepted from now on\n", "")
    assert api.request("POST", path, ORDER, idempotency_key="one").status in (200, 202)
    assert api.submit_count() == 1


def test_refused_order_reserves_nothing_and_its_key_stays_free(api: Api, command: Command) -> None:
    command("orders pause")

    assert_problem(api.create(), 503, "orders_paused")

    assert [item["pk"]["S"] for item in api.cloud.items()] == ["settings"]


def test_pause_leaves_replays_quotes_and_running_tasks_alone(api: Api, command: Command) -> None:
    accepted = api.create()
    task_id = accepted.json["task_id"]
    assert accepted.status == 202
    command("orders pause")

    replayed = api.create()
    assert (replayed.status, replayed.json["task_id"]) == (200, task_id)
    assert api.request("POST", "/v1/quotes", ORDER).status == 200
    env = TestEnvironment(api.cloud)
    running = env.repository.get(task_id)
    answer = finished_response(task_id=running.poyo_id, credits_amount=2)
    env.fake_poyo.respond_with("GET", answer)
    env.reconcile(running)

    finished = api.get(f"/v1/tasks/{task_id}").json
    assert finished["status"] == "finished"
    assert finished["credits"]["charged"] == 2
    assert_problem(api.create(idempotency_key="another"), 503, "orders_paused")


def test_status_says_since_when_why_and_how_to_undo(api: Api, command: Command) -> None:
    assert command("orders status")[1] == "new orders are accepted\n"

    command("orders pause --reason", "a key was stolen")
    status, out, _ = command("orders status")

    assert status == 0
    assert out.startswith("new orders are refused\npaused since 20")
    assert "(a key was stolen)" in out
    assert "undo: imagetasks stack resume --stack imagetasks-test" in out
    command("orders resume")
    assert command("orders status")[1].startswith("new orders are accepted\nresumed since 20")


def test_reason_is_never_shown_to_callers(api: Api, command: Command) -> None:
    command("orders pause --reason canary-reason")

    assert "canary-reason" not in api.create().body


def test_reason_that_is_too_long_pauses_nothing(api: Api, command: Command) -> None:
    status, _, err = command("orders pause --reason", "x" * 201)

    assert (status, err) == (1, "failed: a reason has at most 200 characters\n")
    assert api.create().status == 202


def test_resuming_says_that_the_parameter_still_refuses_orders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with loaded_api(None, None, ORDERS_PAUSED="true") as api:
        create_stack(api.cloud, OrdersPaused="true")
        command = Command(monkeypatch, capsys)

        status, _, err = command("orders resume")

        assert status == 1
        assert "deploy with OrdersPaused=false" in err
        assert "the parameter OrdersPaused is true" in command("orders status")[1]
        assert_problem(api.create(), 503, "orders_paused")


def test_pausing_keeps_the_budgets(api: Api, command: Command) -> None:
    repository = BudgetRepository(TestEnvironment(api.cloud).table)
    repository.put(Budget(scope="stack", max_credits=Decimal(5)))

    command("orders pause")

    rules = repository.rules(["stack"])
    assert (rules.paused, rules.budgets["stack"].max_credits) == (True, Decimal(5))
