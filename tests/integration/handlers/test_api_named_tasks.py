"""`GET /v1/tasks?task_ids=…`: several tasks by their ids, always limited to the caller's own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from imagetasks.api.api_gateway import HttpEvent
from imagetasks.api.routes.tasks import TaskRoutes
from imagetasks.tasks.task import Task, derive_task_id
from tests.support.api import Api, assert_problem, loaded_api
from tests.support.browser_tokens import mint
from tests.support.emulated_aws import OTHER_SERVER_KEY, SERVER_KEY
from tests.support.lambdas import (
    Context,
    HandlerResponse,
    http_event,
    recorded_aws_calls,
    request_headers,
)

UNKNOWN = derive_task_id("owner", "unknown")


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def path(*task_ids: str, wait: int | None = None) -> str:
    waiting = "" if wait is None else f"&wait={wait}"
    return f"/v1/tasks?task_ids={','.join(task_ids)}{waiting}"


def put(api: Api, key: str, **changed: object) -> Task:
    """A running task of `owner`."""
    return api.put(**({"key": key, "state": "running"} | changed))


def found(response: HandlerResponse) -> list[str]:
    assert response.status == 200, response.body
    return [each["task_id"] for each in response.json["tasks"]]


def test_named_tasks_are_complete_and_in_the_order_of_their_ids(api: Api) -> None:
    finished, running = api.put_finished(key="a"), put(api, "b")

    response = api.get(path(running.task_id, UNKNOWN, finished.task_id, running.task_id))

    assert found(response) == [running.task_id, finished.task_id]
    for each in response.json["tasks"]:
        assert each == api.get(f"/v1/tasks/{each['task_id']}").json
    assert {k: v for k, v in response.json.items() if k != "tasks"} == {
        "next_cursor": None,
        "not_found": [UNKNOWN],
        "remaining": [],
    }


def test_tasks_of_other_owners_and_deleted_tasks_are_not_found(api: Api) -> None:
    """Nothing tells them from tasks that never existed."""
    own = put(api, "own")
    others = [
        put(api, "a", owner="owner/ada"),
        put(api, "b", owner="other"),
        put(api, "c", deleted_at=5),
    ]
    hidden = [UNKNOWN, *(each.task_id for each in others)]

    response = api.get(path(*hidden, own.task_id))

    assert found(response) == [own.task_id]
    assert response.json["not_found"] == hidden
    assert found(api.get(path(*hidden, own.task_id), x_owner="ada")) == [others[0].task_id]
    assert found(api.get(path(*hidden, own.task_id), key=OTHER_SERVER_KEY)) == [others[1].task_id]


def test_browser_token_names_only_tasks_of_its_own_user(api: Api) -> None:
    own, keys, others = (
        put(api, owner, owner=owner) for owner in ("owner/ada", "owner", "owner/eve")
    )
    named = path(own.task_id, keys.task_id, others.task_id)
    token = mint(api, "ada")["token"]

    response = api.get(named, key=token)

    assert found(response) == [own.task_id]
    assert response.json["not_found"] == [keys.task_id, others.task_id]
    assert_problem(api.get(named, key=token, x_owner="eve"), 403, "owner_not_allowed")
    writing = mint(api, "ada", scopes=["tasks:write"])["token"]
    assert_problem(api.get(named, key=writing), 403, "insufficient_scope")


def test_named_tasks_need_a_key(api: Api) -> None:
    assert_problem(api.get(path(put(api, "a").task_id), key=None), 401, "unauthorized")


def test_only_tasks_without_an_outcome_have_retry_after(api: Api) -> None:
    finished, running = api.put_finished(key="a"), put(api, "b")

    assert api.get(path(finished.task_id, running.task_id)).headers["retry-after"] == "5"
    for ended in (path(finished.task_id), path(UNKNOWN), path(finished.task_id, UNKNOWN)):
        assert "retry-after" not in api.get(ended).headers


def test_matching_if_none_match_gets_304_until_one_of_them_changes(api: Api) -> None:
    tasks = [put(api, "a"), put(api, "b")]
    named = path(*(each.task_id for each in tasks))
    etag = api.get(named).headers["etag"]

    for matching in (etag, f"W/{etag}", "*"):
        same = api.get(named, if_none_match=matching)
        assert (same.status, same.body) == (304, "")
        assert (same.headers["etag"], same.headers["retry-after"]) == (etag, "5")
    put(api, "b", progress=Decimal(40))
    changed = api.get(named, if_none_match=etag)
    assert [each["progress"] for each in changed.json["tasks"]] == [None, 40]
    api.request("DELETE", f"/v1/tasks/{tasks[0].task_id}")
    assert api.get(named, if_none_match=changed.headers["etag"]).status == 200


def test_wait_ends_at_once_if_a_task_differs_from_the_callers_copy(api: Api) -> None:
    tasks = [put(api, "a"), put(api, "b")]
    named = path(*(each.task_id for each in tasks), wait=20)
    etag = api.get(named.replace("wait=20", "wait=0")).headers["etag"]
    put(api, "b", progress=Decimal(40))
    started = time.monotonic()

    assert api.get(named, if_none_match=etag).status == 200
    assert time.monotonic() - started < 10


def test_wait_with_the_current_etag_ends_with_the_next_change_of_any_field(api: Api) -> None:
    tasks = [put(api, "a"), put(api, "b")]
    named = path(*(each.task_id for each in tasks), wait=20)
    etag = api.get(named.replace("wait=20", "wait=0")).headers["etag"]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            put(api, "b", progress=Decimal(40))

    waiting = replace(api.handler_module.dependencies.tasks, sleep=sleep)
    routes = TaskRoutes(replace(api.handler_module.dependencies, tasks=waiting))
    event = http_event("GET", named, headers=request_headers(SERVER_KEY, if_none_match=etag))

    response = routes.list(HttpEvent.from_api_gateway(event))

    progress = [each["progress"] for each in json.loads(str(response.body))["tasks"]]
    assert (response.status, progress) == (200, [None, 40])
    assert len(slept) == 2


def test_wait_lasts_as_long_as_requested_and_head_does_not_wait(api: Api) -> None:
    task_id = put(api, "a").task_id
    started = time.monotonic()

    assert api.request("HEAD", path(task_id, wait=20)).status == 200
    assert time.monotonic() - started < 10
    started = time.monotonic()
    assert api.get(path(task_id, wait=1)).status == 200
    assert 1 <= time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("task_ids=", "task_ids", "number 1 is not a task id"),
        ("task_ids=x", "task_ids", "number 1 is not a task id"),
        (f"task_ids={UNKNOWN},", "task_ids", "number 2 is not a task id"),
        (f"task_ids={UNKNOWN},%20{UNKNOWN}", "task_ids", "number 2 is not a task id"),
        (f"task_ids={UNKNOWN},{UNKNOWN.upper()}", "task_ids", "number 2 is not a task id"),
        ("task_ids=task%23abc", "task_ids", "number 1 is not a task id"),
        (f"task_ids={UNKNOWN}&status=running", "status", "not allowed beside `task_ids`"),
        (f"task_ids={UNKNOWN}&limit=5", "limit", "not allowed beside `task_ids`"),
        (f"task_ids={UNKNOWN}&cursor=x", "cursor", "not allowed beside `task_ids`"),
        (f"task_ids={UNKNOWN}&wait=21", "wait", "0 to 20"),
        ("wait=5", "wait", "needs `task_ids`"),
        ("wait=5&status=running", "wait", "needs `task_ids`"),
        ("task_id=x", "task_id", "allowed are status, limit, cursor, task_ids, wait"),
    ],
)
def test_invalid_parameter_is_named_and_nothing_is_read(
    api: Api, query: str, parameter: str, detail: str
) -> None:
    calls = recorded_aws_calls(api.handler_module.clients.repository.table.client)

    body = assert_problem(api.get(f"/v1/tasks?{query}"), 400, "invalid_parameter")

    [error] = body["errors"]
    assert error["parameter"] == parameter
    assert detail in error["detail"]
    assert calls == []


def test_a_hundred_tasks_may_be_named_and_not_one_more(api: Api) -> None:
    task_ids = [derive_task_id("owner", str(n)) for n in range(101)]

    body = assert_problem(api.get(path(*task_ids)), 400, "invalid_parameter")

    assert body["errors"] == [
        {
            "parameter": "task_ids",
            "detail": "must be 1 to 100 task ids, separated by commas, not 101",
        }
    ]
    assert api.get(path(*task_ids[:100])).json["not_found"] == task_ids[:100]
    assert api.get(path(*task_ids[:100], *task_ids[:100])).status == 200  # each counts once


def test_tasks_that_do_not_fit_into_a_response_of_lambda_are_named(api: Api) -> None:
    tasks = [put(api, str(n), input={"prompt": '"' * 20_000, "quality": "low"}) for n in range(90)]
    named = [each.task_id for each in tasks]
    event = http_event("GET", path(UNKNOWN, *named), headers=request_headers())

    raw = api.handler_module.handler(event, Context())

    body = json.loads(raw["body"])
    assert 3_900_000 < len(json.dumps(raw, ensure_ascii=False).encode()) < 4_500_000
    shown = [each["task_id"] for each in body["tasks"]]
    assert shown + body["remaining"] == named
    assert body["remaining"]
    assert found(api.get(path(*body["remaining"]))) == body["remaining"]
