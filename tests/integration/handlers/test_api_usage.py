"""`GET /v1/usage`: what each owner ordered and was charged by day and model, visible to nobody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from imagetasks.tasks.conditional_write import Condition, UpdateItem
from imagetasks.tasks.usage import UsageKey, usage_list
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.browser_tokens import mint, send
from tests.support.emulated_aws import OTHER_SERVER_KEY
from tests.support.environment import TestEnvironment

EDIT_MODEL = "gpt-image-2-edit"
NONE = {"tasks": 0, "estimated": 0, "reserved": 0, "charged": 0}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


@pytest.fixture(scope="module")
def today() -> date:
    return datetime.now(UTC).date()


def count(
    api: Api, day: str, owner: str = "owner", model: str = "gpt-image-2", tasks: int = 1
) -> None:
    """Count tasks in an item of usage, as orders do: 2 credits each, half of them charged."""
    key = UsageKey(day=day, model=model, owner=owner)
    position = {
        "owner_key": usage_list(owner),
        "owner_status_key": usage_list(owner.partition("/")[0]),
        "created_at": key.created_at,
    }
    half = Decimal(tasks)
    sums = {"estimated": 2 * half, "reserved": half, "charged": half}
    added: dict[str, Decimal | int] = {"tasks": tasks, **sums}
    update = UpdateItem(pk=key.pk, condition=Condition(), values=position, added=added)
    TestEnvironment(api.cloud).table.update(update)


def usage(api: Api, query: str = "from=2026-03-01&to=2026-03-31", **headers: Any) -> Any:
    response = api.get(f"/v1/usage?{query}", **headers)
    assert response.status == 200, response.body
    return response.json


def whole(api: Api, query: str, cursor: str | None = None, **headers: Any) -> list[Any]:
    """The rows of all pages, of those behind `cursor` if it is given."""
    rows: list[Any] = []
    while True:
        page = usage(api, f"{query}&cursor={cursor}" if cursor else query, **headers)
        rows += page["rows"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


def of_rows(rows: list[Any]) -> list[tuple[str, str | None, str]]:
    return [(row["day"], row["owner"], row["model"]) for row in rows]


# What is counted


def test_order_is_counted_on_its_day_for_its_owner_and_model(api: Api, today: date) -> None:
    api.create()
    api.create(idempotency_key="second")
    api.create(x_owner="ada")
    api.create()  # a replay

    found = usage(api, "")

    row = {"day": today.isoformat(), "model": "gpt-image-2"}
    two = {"tasks": 2, "estimated": 4, "reserved": 4, "charged": 0}
    one = {"tasks": 1, "estimated": 2, "reserved": 2, "charged": 0}
    assert found == {
        "from": (today - timedelta(days=6)).isoformat(),
        "to": today.isoformat(),
        "rows": [row | two | {"owner": None}, row | one | {"owner": "ada"}],
        "totals": {"tasks": 3, "estimated": 6, "reserved": 6, "charged": 0},
        "next_cursor": None,
    }


def test_usage_without_any_order_is_empty(api: Api) -> None:
    found = usage(api)

    assert (found["rows"], found["totals"], found["next_cursor"]) == ([], NONE, None)


def test_totals_are_the_sums_of_the_rows_on_the_page(api: Api) -> None:
    for day in (1, 2, 3):
        count(api, f"2026-03-0{day}", tasks=day)

    first = usage(api, "from=2026-03-01&to=2026-03-31&limit=2")

    assert first["totals"] == {"tasks": 5, "estimated": 10, "reserved": 5, "charged": 5}


# Whose usage


def test_each_caller_sees_its_own_usage_and_a_server_key_that_of_all_its_users(api: Api) -> None:
    owners = ("owner", "owner/ada", "owner/bob", "owner/owner", "other", "other/ada")
    for owner in owners:
        count(api, "2026-03-01", owner)

    def seen(**headers: Any) -> list[str | None]:
        return [row["owner"] for row in usage(api, **headers)["rows"]]

    assert seen() == [None, "ada", "bob", "owner"]
    assert seen(key=OTHER_SERVER_KEY) == [None, "ada"]
    for user in ("ada", "bob", "owner"):
        assert seen(x_owner=user) == [user]
    assert seen(x_owner="other") == []
    assert seen(x_owner="bob", key=OTHER_SERVER_KEY) == []


def test_browser_token_sees_the_usage_of_its_owner_alone(api: Api) -> None:
    for owner in ("owner", "owner/ann", "owner/bob", "other/ann"):
        count(api, "2026-03-01", owner)
    token = mint(api, "ann")["token"]
    path = "/v1/usage?from=2026-03-01&to=2026-03-31"

    assert [row["owner"] for row in send(api, token, "GET", path).json["rows"]] == ["ann"]


def test_browser_token_without_the_scope_to_read_sees_no_usage(api: Api) -> None:
    token = mint(api, "ann", scopes=["tasks:write", "quotes"])["token"]

    assert_problem(send(api, token, "GET", "/v1/usage"), 403, "insufficient_scope")


def test_usage_needs_a_key(api: Api) -> None:
    assert_problem(api.get("/v1/usage", key=None), 401, "unauthorized")


def test_list_of_tasks_never_shows_usage(api: Api) -> None:
    tasks = [api.create(idempotency_key=str(n)).json["task_id"] for n in range(3)]
    ada = api.create(x_owner="ada").json["task_id"]
    assert len(usage(api, "")["rows"]) == 2

    for query in ("", "?status=not_started", "?status=running", "?limit=100"):
        listed = [each["task_id"] for each in api.get(f"/v1/tasks{query}").json["tasks"]]
        assert set(listed) <= set(tasks)
    assert {each["task_id"] for each in api.get("/v1/tasks").json["tasks"]} == set(tasks)
    assert [each["task_id"] for each in api.get("/v1/tasks", x_owner="ada").json["tasks"]] == [ada]
    for user in ("usage", "owner"):
        assert api.get("/v1/tasks", x_owner=user).json["tasks"] == []


# Which days


def test_both_days_are_included_and_no_other(api: Api) -> None:
    for day in ("2026-02-28", "2026-03-01", "2026-03-15", "2026-03-31", "2026-04-01"):
        count(api, day)

    days = [row["day"] for row in usage(api)["rows"]]

    assert days == ["2026-03-31", "2026-03-15", "2026-03-01"]
    assert [row["day"] for row in usage(api, "from=2026-03-01&to=2026-03-01")["rows"]] == [
        "2026-03-01"
    ]


def test_days_have_defaults_and_are_named_in_the_response(api: Api, today: date) -> None:
    found = [usage(api, query) for query in ("", f"from={today}", "to=2026-03-07")]

    assert [(each["from"], each["to"]) for each in found] == [
        ((today - timedelta(days=6)).isoformat(), today.isoformat()),
        (today.isoformat(), today.isoformat()),
        ("2026-03-01", "2026-03-07"),
    ]


@pytest.mark.parametrize("parameter", ["from", "to"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "2026-3-1",
        "20260301",
        "2026-03-01T00:00:00Z",
        "2026-W10-1",
        "1999-12-31",
        "3000-01-01",
        "٢٠٢٦-٠٣-٠١",
        "2026-03-01 ",
    ],
)
def test_what_is_no_day_is_refused_with_an_example(api: Api, parameter: str, text: str) -> None:
    body = assert_problem(api.get(f"/v1/usage?{parameter}={quote(text)}"), 400, "invalid_parameter")

    detail = "must be a day in UTC, written as 2026-11-28"
    assert body["errors"] == [{"parameter": parameter, "detail": detail}]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("from=2026-03-02&to=2026-03-01", "must not be after `to`, which is 2026-03-01"),
        (
            "from=2026-01-01&to=2026-04-03",
            "must be 2026-01-02 or later: at most 92 days until 2026-04-03",
        ),
    ],
)
def test_days_in_the_wrong_order_or_too_many_are_refused(api: Api, query: str, detail: str) -> None:
    body = assert_problem(api.get(f"/v1/usage?{query}"), 400, "invalid_parameter")

    assert body["errors"] == [{"parameter": "from", "detail": detail}]
    assert usage(api, "from=2026-01-02&to=2026-04-03")["rows"] == []


@pytest.mark.parametrize("query", ["days=3", "limit=0", "limit=101", "limit=x", "status=running"])
def test_unknown_or_wrong_parameter_is_refused(api: Api, query: str) -> None:
    assert_problem(api.get(f"/v1/usage?{query}"), 400, "invalid_parameter")


# Pages


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 100])
def test_pages_have_every_row_once_even_if_many_share_a_day(api: Api, limit: int) -> None:
    days, users = ("2026-03-01", "2026-03-02"), ("owner", *(f"owner/u{n}" for n in range(4)))
    for day, owner, model in product(days, users, ("gpt-image-2", EDIT_MODEL)):
        count(api, day, owner, model)
        count(api, day, owner.replace("owner", "other"), model)
    query = f"from=2026-03-01&to=2026-03-02&limit={limit}"

    rows, own = whole(api, query), whole(api, query, x_owner="u1")

    assert len(set(of_rows(rows))) == len(rows) == 20
    assert [row["day"] for row in rows] == sorted((row["day"] for row in rows), reverse=True)
    assert len(set(of_rows(own))) == len(own) == 4


def test_row_that_appears_while_pages_are_read_moves_no_other(api: Api) -> None:
    for n in range(6):
        count(api, "2026-03-02", f"owner/u{n}")
    query = "from=2026-03-01&to=2026-03-31&limit=3"
    first = usage(api, query)

    count(api, "2026-03-03", "owner/new")
    rows = whole(api, query, first["next_cursor"])

    assert {row["owner"] for row in first["rows"] + rows} == {f"u{n}" for n in range(6)}


def content(*parts: object) -> str:
    text = json.dumps(parts, ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        content(),
        content("2026-03-02", "gpt-image-2"),
        content("2026-03-02", "gpt-image-2", "ada", 1),
        content("2026-02-30", "gpt-image-2", "ada"),
        content("2026-04-01", "gpt-image-2", "ada"),
        content("2026-02-28", "gpt-image-2", "ada"),
        content("2026-03-02", "gpt#image", "ada"),
        content("2026-03-02", "", "ada"),
        content("2026-03-02", "gpt-image-2", ""),
        content("2026-03-02", "gpt-image-2", "a/b"),
        content("2026-03-02", "gpt-image-2", "a#b"),
        content("2026-03-02", "gpt-image-2", True),
        content(1_790_000_000_000, "a" * 26),
        content("2026-03-02", "gpt-image-2", "x" * 500),
    ],
)
def test_cursor_that_no_page_gave_is_refused(api: Api, cursor: str) -> None:
    query = f"from=2026-03-01&to=2026-03-31&cursor={cursor}"

    body = assert_problem(api.get(f"/v1/usage?{query}"), 400, "invalid_parameter")

    detail = "must be a `next_cursor` of an earlier page, with the same `from` and `to`"
    assert body["errors"] == [{"parameter": "cursor", "detail": detail}]


def test_cursor_of_another_owner_is_refused_or_leads_to_ones_own_rows(api: Api) -> None:
    for owner in ("owner/ada", "owner/bob", "owner", "other", "other/ada"):
        for day in ("2026-03-01", "2026-03-02"):
            count(api, day, owner)
    query = "from=2026-03-01&to=2026-03-31&limit=1"
    of_bob = usage(api, query, x_owner="bob")["next_cursor"]
    of_ada = usage(api, query, x_owner="ada")["next_cursor"]

    refused = api.get(f"/v1/usage?{query}&cursor={of_bob}", x_owner="ada")
    elsewhere = usage(api, f"{query}&cursor={of_ada}", x_owner="ada", key=OTHER_SERVER_KEY)

    assert_problem(refused, 400, "invalid_parameter")
    assert of_rows(elsewhere["rows"]) == [("2026-03-01", "ada", "gpt-image-2")]
    behind = {row["owner"] for row in whole(api, query, of_bob)}
    assert behind <= {"ada", "bob", None}


def test_longest_names_have_a_cursor_that_is_accepted(api: Api) -> None:
    user = "x" * 127
    for each in ("a", "b"):
        count(api, "2026-03-01", f"owner/{user}{each}")

    rows = whole(api, "from=2026-03-01&to=2026-03-31&limit=1")

    assert sorted(row["owner"] for row in rows) == [f"{user}a", f"{user}b"]


# Conditional requests


def test_unchanged_usage_is_304_for_its_etag(api: Api) -> None:
    count(api, "2026-03-01")
    path = "/v1/usage?from=2026-03-01&to=2026-03-31"
    etag = api.get(path).headers["etag"]

    assert api.get(path, if_none_match=etag).status == 304
    count(api, "2026-03-01")
    assert api.get(path, if_none_match=etag).status == 200


def test_head_has_the_headers_of_get_and_no_body(api: Api) -> None:
    read, head = api.get("/v1/usage"), api.request("HEAD", "/v1/usage")

    assert (head.status, head.headers, head.body) == (200, read.headers, "")


def test_usage_still_shows_a_deleted_task(api: Api) -> None:
    task_id = api.create(ORDER).json["task_id"]
    api.request("DELETE", f"/v1/tasks/{task_id}")

    assert usage(api, "")["totals"]["tasks"] == 1
