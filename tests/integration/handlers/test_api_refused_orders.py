"""Orders without room in a budget, or while orders are paused: refused before anything is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.browser_tokens import mint, send
from tests.support.budgets import set_budget
from tests.support.environment import TestEnvironment
from tests.support.lambdas import HandlerResponse

SUBMIT = "/api/generate/submit"
DAY_S = 86_400
HIGH = {"model": "gpt-image-2", "input": {"prompt": "A boat", "quality": "high"}}  # 33.76 credits


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def pause(api: Api, *, paused: bool = True) -> None:
    BudgetRepository(TestEnvironment(api.cloud).table).pause(paused=paused, now=1)


def submit(api: Api, body: object = ORDER, **headers: Any) -> HandlerResponse:
    """The response of PoYo's own route."""
    return api.request("POST", SUBMIT, body, **headers)


def task_items(api: Api) -> list[str]:
    return [item["pk"]["S"] for item in api.cloud.items() if item["pk"]["S"].startswith("task#")]


# Paused


def test_order_while_paused_is_refused_and_the_same_key_is_accepted_later(api: Api) -> None:
    pause(api)
    refused = api.create()
    body = assert_problem(refused, 503, "orders_paused")
    assert body["detail"].startswith("The operator has paused new orders.")
    assert (body["retry"], task_items(api), api.submit_count()) == ("same_key", [], 0)

    pause(api, paused=False)
    assert api.create().status == 202


def test_deployment_pauses_orders_with_its_parameter() -> None:
    with loaded_api(ORDERS_PAUSED="true") as api:
        assert_problem(api.create(), 503, "orders_paused")
        pause(api, paused=False)  # the parameter holds beside the switch
        assert_problem(api.create(), 503, "orders_paused")


def test_tasks_are_read_listed_and_deleted_while_orders_are_paused(api: Api) -> None:
    path = f"/v1/tasks/{api.create().json['task_id']}"
    pause(api)

    assert (api.get(path).status, api.get("/v1/tasks").status) == (200, 200)
    assert api.request("DELETE", path).status == 204


def test_poyo_client_is_told_in_plain_words_that_orders_are_paused(api: Api) -> None:
    pause(api)

    for response in (submit(api, idempotency_key="key"), submit(api)):
        assert (response.status, response.json["code"]) == (503, 503)
        assert "The operator has paused new orders. Nothing" in response.json["error"]["message"]
        assert "retry-after" not in response.headers
    assert (task_items(api), api.submit_count()) == ([], 0)


# Without room


@pytest.mark.parametrize("scope", ["stack", "key", "owner"])
def test_order_without_room_is_refused_with_what_is_left_and_until_when(
    api: Api, scope: str
) -> None:
    resets_at = set_budget(api, scope, 3.5).json["budget_reset_at"]
    accepted = api.create(idempotency_key="first")

    refused = api.create(idempotency_key="second")

    body = assert_problem(refused, 402, "budget_exhausted")
    assert accepted.status == 202
    assert (body["scope"], body["left"], body["resets_at"]) == (scope, 1.5, resets_at)
    assert f"has 1.5 credits left, until {resets_at}." in body["detail"]
    assert (len(task_items(api)), api.submit_count()) == (1, 1)


def test_budget_of_one_user_refuses_nobody_else(api: Api) -> None:
    set_budget(api, "owner:ada", 2)

    statuses = [
        api.create(idempotency_key=key, x_owner=user).status
        for key, user in (("1", "ada"), ("2", "ada"), ("1", "bob"), ("2", "bob"))
    ]

    assert statuses == [202, 402, 202, 202]


def test_of_several_budgets_without_room_the_one_that_is_reset_last_is_named(api: Api) -> None:
    set_budget(api, "owner", 1, budget_duration="1h")
    set_budget(api, "stack", 1, budget_duration="30d")
    set_budget(api, "key", 1000, budget_duration="366d")

    assert assert_problem(api.create(), 402, "budget_exhausted")["scope"] == "stack"
    set_budget(api, "owner", 1, budget_duration=None)
    body = assert_problem(api.create(), 402, "budget_exhausted")
    assert (body["scope"], body["left"], body["resets_at"]) == ("owner", 1, None)
    assert body["detail"].endswith("has 1 credits left, and the budget does not reset.")


def test_same_key_may_be_repeated_when_the_budget_is_reset(api: Api) -> None:
    set_budget(api, "owner", 2)
    api.create(idempotency_key="first")

    refused = api.create(idempotency_key="second")

    until_midnight_s = DAY_S - time.time() % DAY_S
    assert assert_problem(refused, 402, "budget_exhausted")["retry"] == "same_key"
    assert abs(int(refused.headers["retry-after"]) - until_midnight_s) < 60


@pytest.mark.parametrize(
    ("max_credits", "duration"), [(33.75, "1d"), (0, "1h"), (40, None)], ids=str
)
def test_order_that_the_budget_never_has_room_for_is_not_to_be_repeated(
    api: Api, max_credits: float, duration: str | None
) -> None:
    set_budget(api, "owner", max_credits, budget_duration=duration)
    api.create(idempotency_key="first")

    refused = api.create(HIGH, idempotency_key="second")
    refused = api.create(HIGH, idempotency_key="third") if refused.status == 202 else refused

    assert assert_problem(refused, 402, "budget_exhausted")["retry"] == "never"
    assert "retry-after" not in refused.headers


def test_order_that_fits_into_one_budget_and_not_into_another_is_not_to_be_repeated(
    api: Api,
) -> None:
    set_budget(api, "owner", 40)
    set_budget(api, "key", 3, budget_duration="1h")
    api.create(HIGH | {"input": {"prompt": "A boat"}}, idempotency_key="first")

    refused = api.create(HIGH | {"input": HIGH["input"]}, idempotency_key="second")

    assert assert_problem(refused, 402, "budget_exhausted")["retry"] == "never"


def test_poyo_client_is_told_in_plain_words_which_budget_is_exhausted(api: Api) -> None:
    set_budget(api, "owner", 1)

    for response in (submit(api, idempotency_key="key"), submit(api)):
        assert (response.status, response.json["code"]) == (402, 402)
        message = response.json["error"]["message"]
        assert "nothing was ordered. The budget of this user has 1 credits left, until " in message
        assert set(response.json) == {"code", "error"}
    assert (task_items(api), api.submit_count()) == ([], 0)


def test_poyo_client_without_a_key_is_not_invited_to_repeat_its_order(api: Api) -> None:
    set_budget(api, "owner", 2)
    submit(api)

    with_key, without = submit(api, idempotency_key="key"), submit(api)

    assert (with_key.status, without.status) == (402, 402)
    assert "retry-after" in with_key.headers
    assert "retry-after" not in without.headers
    assert "each request is an order of its own" in without.json["error"]["message"]


# Replays


def test_replay_is_refused_neither_by_a_budget_nor_by_a_pause(api: Api) -> None:
    first = api.create()
    for scope in ("stack", "key", "owner"):
        set_budget(api, scope, 0)
    pause(api)

    again, compat = api.create(), submit(api, idempotency_key="key")

    assert (again.status, again.json["task_id"]) == (200, first.json["task_id"])
    assert (compat.status, compat.json["data"]["task_id"]) == (200, first.json["task_id"])
    assert api.submit_count() == 1


# Quotes


def quote(api: Api, body: object = ORDER, **headers: Any) -> Any:
    response = api.request("POST", "/v1/quotes", body, **headers)
    assert response.status == 200
    return response.json


def test_quote_without_any_limit_has_no_budget(api: Api) -> None:
    found = quote(api)

    assert (found["credits"], found["budget"], found["paused"]) == (2, None, False)
    assert api.cloud.items() == []


def test_quote_names_the_narrowest_budget_and_what_it_leaves(api: Api) -> None:
    set_budget(api, "stack", 1000)
    resets_at = set_budget(api, "key", 40, budget_duration="1h").json["budget_reset_at"]
    set_budget(api, "owner:ada", 5, budget_duration=None)
    api.create()

    assert quote(api)["budget"] == {
        "allowed": True,
        "scope": "key",
        "left": 38,
        "resets_at": resets_at,
    }
    api.create(x_owner="ada")
    ada = {"allowed": True, "scope": "owner", "left": 3, "resets_at": None}
    assert quote(api, x_owner="ada")["budget"] == ada


def test_quote_of_an_order_without_room_names_the_budget_that_refuses_it(api: Api) -> None:
    set_budget(api, "key", 1)
    resets_at = set_budget(api, "owner", 30, budget_duration="366d").json["budget_reset_at"]

    assert quote(api)["budget"]["allowed"] is False
    assert quote(api)["budget"]["scope"] == "key"
    refused = quote(api, HIGH)["budget"]
    assert refused == {"allowed": False, "scope": "owner", "left": 30, "resets_at": resets_at}
    problem = assert_problem(api.create(HIGH), 402, "budget_exhausted")
    assert {name: problem[name] for name in ("scope", "left", "resets_at")} == {
        name: refused[name] for name in ("scope", "left", "resets_at")
    }


def test_quote_says_that_orders_are_paused_and_what_the_budget_would_allow(api: Api) -> None:
    set_budget(api, "owner", 10)
    pause(api)

    found = quote(api)

    assert (found["paused"], found["budget"]["allowed"], found["budget"]["left"]) == (
        True,
        True,
        10,
    )


def test_quote_counts_the_limits_of_a_browser_token(api: Api) -> None:
    set_budget(api, "owner:ann", 100)
    token = mint(api, "ann", 3, max_tasks=2)["token"]

    before = send(api, token, "POST", "/v1/quotes", ORDER).json["budget"]
    ordered = send(api, token, "POST", "/v1/tasks", ORDER, idempotency_key="key").status
    after = send(api, token, "POST", "/v1/quotes", ORDER).json["budget"]

    assert ordered == 202
    assert before == {"allowed": True, "scope": "token", "left": 3, "resets_at": None}
    assert after == {"allowed": False, "scope": "token", "left": 1, "resets_at": None}


def test_token_that_has_placed_all_its_orders_has_nothing_left(api: Api) -> None:
    token = mint(api, "ann", 10, max_tasks=1)["token"]
    assert send(api, token, "POST", "/v1/tasks", ORDER, idempotency_key="first").status == 202

    quoted = send(api, token, "POST", "/v1/quotes", ORDER).json["budget"]
    refused = send(api, token, "POST", "/v1/tasks", ORDER, idempotency_key="second")

    assert quoted == {"allowed": False, "scope": "token", "left": 0, "resets_at": None}
    problem = assert_problem(refused, 402, "budget_exhausted")
    assert (problem["scope"], problem["left"], problem["retry"]) == ("token", 0, "never")
