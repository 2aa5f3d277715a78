"""`/v1/budgets`: a server key sets, reads and removes what it, its users and the stack may spend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.browser_tokens import mint, send
from tests.support.budgets import set_budget
from tests.support.emulated_aws import OTHER_SERVER_KEY

NO_BUDGET: dict[str, Any] = {
    "max_credits": None,
    "budget_duration": None,
    "soft_credits": None,
    "reserved": None,
    "charged": None,
    "left": None,
    "budget_reset_at": None,
    "source": None,
    "ceiling": None,
    "warnings": [],
}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def budget_items(api: Api) -> list[str]:
    return sorted(item["pk"]["S"] for item in api.cloud.items() if "budget#" in item["pk"]["S"])


# Set, read, remove


@pytest.mark.parametrize("scope", ["stack", "key", "owner", "owner:ada", "owner%3Aada"])
def test_budget_is_returned_as_it_was_set_until_it_is_removed(api: Api, scope: str) -> None:
    path = f"/v1/budgets/{scope}"

    put = set_budget(api, scope, 12.5, budget_duration="30d", soft_credits=10)
    read = api.get(path)
    removed = api.request("DELETE", path)

    assert (put.status, read.status, removed.status, removed.body) == (200, 200, 204, "")
    assert put.json == read.json
    assert put.json == NO_BUDGET | {
        "scope": scope.replace("%3A", ":"),
        "max_credits": 12.5,
        "budget_duration": "30d",
        "soft_credits": 10,
        "reserved": 0,
        "charged": 0,
        "left": 12.5,
        "budget_reset_at": read.json["budget_reset_at"],
        "source": "api",
    }
    assert api.get(path).json == NO_BUDGET | {"scope": scope.replace("%3A", ":")}


def test_budget_without_a_duration_resets_every_day_and_with_null_never(api: Api) -> None:
    daily, once = set_budget(api, "owner:ada"), set_budget(api, "owner:bob", budget_duration=None)

    assert daily.json["budget_duration"] == "1d"
    assert daily.json["budget_reset_at"].endswith("T00:00:00.000Z")
    assert (once.json["budget_duration"], once.json["budget_reset_at"]) == (None, None)


def test_removing_a_budget_twice_or_one_that_never_was_is_204_and_writes_nothing(api: Api) -> None:
    for _ in range(2):
        assert api.request("DELETE", "/v1/budgets/owner:ada").status == 204
    assert api.cloud.items() == []


def test_budget_shows_what_orders_have_reserved_and_what_is_left(api: Api) -> None:
    set_budget(api, "owner")
    api.create()

    read = api.get("/v1/budgets/owner").json

    assert (read["reserved"], read["charged"], read["left"]) == (2, 0, 8)


def test_setting_the_same_duration_again_forgets_nothing_that_was_spent(api: Api) -> None:
    set_budget(api, "owner")
    api.create()

    again = set_budget(api, "owner", 100, budget_duration="1d").json

    assert (again["reserved"], again["left"], again["warnings"]) == (2, 98, [])


def test_budget_lower_than_what_is_committed_is_accepted_and_says_so(api: Api) -> None:
    set_budget(api, "owner")
    api.create()

    lower = set_budget(api, "owner", 1.5)

    assert (lower.status, lower.json["left"]) == (200, 0)
    [warning] = lower.json["warnings"]
    assert warning["pointer"] == "/max_credits"
    assert warning["detail"].startswith("2 credits of this period are reserved or charged already")
    assert lower.json["budget_reset_at"] in warning["detail"]


def test_budget_of_zero_is_accepted_says_so_and_refuses_every_order(api: Api) -> None:
    zero = set_budget(api, "owner", 0)

    assert [each["detail"] for each in zero.json["warnings"]] == [
        "a budget of 0 credits refuses every order"
    ]
    assert_problem(api.create(), 402, "budget_exhausted")


def test_unchanged_budget_is_304_for_its_etag(api: Api) -> None:
    set_budget(api, "key")
    etag = api.get("/v1/budgets/key").headers["etag"]

    assert api.get("/v1/budgets/key", if_none_match=etag).status == 304
    set_budget(api, "key", 11)
    assert api.get("/v1/budgets/key", if_none_match=etag).status == 200


def test_head_has_the_headers_of_get_and_no_body(api: Api) -> None:
    read, head = api.get("/v1/budgets/stack"), api.request("HEAD", "/v1/budgets/stack")

    assert (head.status, head.headers, head.body) == (200, read.headers, "")


def test_another_method_is_405_with_the_allowed_ones(api: Api) -> None:
    response = api.request("POST", "/v1/budgets/stack", {})

    assert_problem(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == {"GET", "PUT", "DELETE", "HEAD"}


# Whose budget


def test_owner_is_the_user_of_x_owner_and_otherwise_the_key_itself(api: Api) -> None:
    set_budget(api, "owner", 1)
    set_budget(api, "owner", 2, headers={"x_owner": "ada"})
    set_budget(api, "owner:bob", 3, headers={"x_owner": "ada"})

    assert budget_items(api) == [
        "budget#owner:owner",
        "budget#owner:owner/ada",
        "budget#owner:owner/bob",
    ]
    assert api.get("/v1/budgets/owner:ada").json["max_credits"] == 2


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_scope_reaches_the_budget_of_another_key_or_its_users(api: Api, method: str) -> None:
    for scope in ("key", "owner", "owner:ada", "owner:owner"):
        set_budget(api, scope, 7, headers={"key": OTHER_SERVER_KEY})

    for scope in ("key", "owner", "owner:ada", "owner:owner", "owner:other"):
        for headers in ({}, {"x_owner": "ada"}, {"x_owner": "other"}):
            response = api.request(method, f"/v1/budgets/{scope}", {"max_credits": 9}, **headers)
            assert response.status in (200, 204)
            assert '"max_credits": 7' not in response.body

    for scope in ("key", "owner", "owner:ada", "owner:owner"):
        read = api.get(f"/v1/budgets/{scope}", key=OTHER_SERVER_KEY).json
        assert (read["max_credits"], read["reserved"]) == (7, 0)


@pytest.mark.parametrize(
    "scope",
    [
        "owner:",
        "owner:a b",
        "owner:a%2Fb",
        "owner:%61%252F",
        "owner%253Aada",
        "owner:" + "x" * 129,
        "owner:ü",
        "owner:%C3%BC",
        "owner:%FF",
        "owner:%00",
        "owner:ada%0A",
        "key:other",
        "key:owner",
        "token:x",
        "OWNER",
        "Stack",
        "other",
        "stack%20",
        "settings",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_unknown_scope_is_404_with_the_known_ones_and_touches_no_item(
    api: Api, method: str, scope: str
) -> None:
    response = api.request(method, f"/v1/budgets/{scope}", {"max_credits": 1})

    body = assert_problem(response, 404, "no_such_scope")
    assert "`stack`, `key`, `owner` and `owner:{user}`" in body["detail"]
    assert api.cloud.items() == []


@pytest.mark.parametrize("path", ["/v1/budgets", "/v1/budgets/", "/v1/budgets/owner:a/b"])
def test_path_without_a_scope_or_with_a_slash_in_it_is_an_unknown_route(
    api: Api, path: str
) -> None:
    assert_problem(api.request("PUT", path, {"max_credits": 1}), 404, "no_such_route")
    assert api.cloud.items() == []


@pytest.mark.parametrize("user", ["a", "x" * 128, "a.b-c_d~e@f:g+h|i", "stack", "owner:owner", "."])
def test_every_name_of_a_user_is_a_scope(api: Api, user: str) -> None:
    encoded = user.replace("|", "%7C").replace("@", "%40").replace("+", "%2B")

    assert set_budget(api, f"owner:{encoded}", 5).json["scope"] == f"owner:{user}"

    assert api.get("/v1/budgets/owner", x_owner=user).json["max_credits"] == 5


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_budgets_need_a_server_key(api: Api, method: str, key: str | None) -> None:
    response = api.request(method, "/v1/budgets/stack", {"max_credits": 1}, key=key)

    assert_problem(response, 401, "unauthorized")
    assert api.cloud.items() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_browser_token_may_not_use_budgets(api: Api, method: str) -> None:
    set_budget(api, "owner:ann", 5)
    token = mint(api, "ann", 100)["token"]

    for scope in ("owner", "owner:ann", "key", "stack"):
        response = send(api, token, method, f"/v1/budgets/{scope}", {"max_credits": 100})
        assert_problem(response, 403, "server_key_required")
    assert budget_items(api) == ["budget#owner:owner/ann"]
    assert api.get("/v1/budgets/owner:ann").json["max_credits"] == 5


# Beside the deployment's own limits


def test_owner_without_a_budget_has_that_of_the_deployment() -> None:
    with loaded_api(OWNER_DAILY_CREDITS="20") as api:
        api.create()
        default, key = api.get("/v1/budgets/owner").json, api.get("/v1/budgets/key").json
        other = api.get("/v1/budgets/owner:ada").json
        own = set_budget(api, "owner", 30).json

    assert default == NO_BUDGET | {
        "scope": "owner",
        "max_credits": 20,
        "budget_duration": "1d",
        "reserved": 2,
        "charged": 0,
        "left": 18,
        "budget_reset_at": default["budget_reset_at"],
        "source": "deployment",
    }
    assert (other["source"], other["left"]) == ("deployment", 20)
    assert key == NO_BUDGET | {"scope": "key"}
    assert (own["source"], own["left"]) == ("api", 28)  # what the day has spent is not forgotten


def test_deployments_limit_of_the_stack_stays_a_ceiling_beside_the_budget() -> None:
    with loaded_api(STACK_DAILY_CREDITS="5") as api:
        default = api.get("/v1/budgets/stack").json
        higher = set_budget(api, "stack", 8).json
        accepted = [api.create(idempotency_key=str(n)).status for n in range(3)]
        read = api.get("/v1/budgets/stack").json
        lower = set_budget(api, "stack", 3).json

    ceiling = {"max_credits": 5, "left": 5, "budget_reset_at": default["budget_reset_at"]}
    assert (default["source"], default["max_credits"], default["left"]) == ("deployment", 5, 5)
    assert default["ceiling"] == higher["ceiling"] == ceiling
    assert (higher["source"], higher["max_credits"], higher["left"]) == ("api", 8, 8)
    assert [each["detail"] for each in higher["warnings"]] == [
        "the deployment's StackDailyCredits allow 5 credits a day, so that this budget is never used up"
    ]
    assert accepted == [202, 202, 402]
    assert (read["left"], read["ceiling"]["left"]) == (4, 1)
    assert (lower["left"], lower["ceiling"]["left"]) == (0, 1)
    assert len(lower["warnings"]) == 1  # what is committed


@pytest.mark.parametrize(
    ("duration", "max_credits", "warned"),
    [
        ("30d", 150, False),
        ("30d", 150.5, True),
        ("1h", 5, False),
        ("1h", 6, True),
        (None, 9, False),
    ],
)
def test_budget_is_compared_with_as_many_days_of_the_ceiling_as_it_lasts(
    duration: str | None, max_credits: float, warned: bool
) -> None:
    with loaded_api(STACK_DAILY_CREDITS="5") as api:
        response = set_budget(api, "stack", max_credits, budget_duration=duration)

    assert bool(response.json["warnings"]) is warned


def test_removing_the_stacks_budget_does_not_remove_the_ceiling() -> None:
    with loaded_api(STACK_DAILY_CREDITS="1") as api:
        set_budget(api, "stack", 1000)
        assert_problem(api.create(ORDER), 402, "budget_exhausted")
        api.request("DELETE", "/v1/budgets/stack")
        assert api.get("/v1/budgets/stack").json["source"] == "deployment"
        assert_problem(api.create(ORDER), 402, "budget_exhausted")
