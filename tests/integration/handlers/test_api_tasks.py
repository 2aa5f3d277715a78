"""The routes of tasks: read, wait, list and delete, always limited to the caller's own tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from imagetasks.api.api_gateway import HttpEvent
from imagetasks.api.routes.tasks import TaskRoutes
from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import derive_task_id, owner_status_key
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.emulated_aws import OTHER_SERVER_KEY, SERVER_KEY
from tests.support.fakes import PROMPT, START
from tests.support.lambdas import Context, http_event, recorded_aws_calls, request_headers

KEY_REUSED = (422, "idempotency_key_reused")
STATUS_BY_STATE = {
    "submitting": "not_started",
    "pending": "not_started",
    "unknown": "not_started",
    "running": "running",
    "finished": "finished",
    "failed": "failed",
}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


# Read


def test_finished_task_has_files_with_signed_urls(api: Api) -> None:
    finished = api.put_finished(2, charged_credits=Decimal("8.48"), finished_at=START)

    response = api.get(f"/v1/tasks/{finished.task_id}")

    assert response.status == 200
    assert "retry-after" not in response.headers
    first, second = response.json["files"]
    token = signed_urls.file_token(finished.file_url_key, 1)
    assert second["file_url"] == f"https://img.example/files/{finished.task_id}/1/{token}"
    assert first["file_url"] != second["file_url"].replace("/1/", "/0/")
    assert (first["width"], first["height"], first["bytes"]) == (4, 3, 7)
    assert (first["content_type"], first["sha256"]) == ("image/png", "a" * 64)
    assert response.json["credits"] == {"estimated": 2, "exact": True, "charged": 8.48}


@pytest.mark.parametrize(("state", "status"), STATUS_BY_STATE.items())
def test_only_a_task_without_outcome_has_retry_after(api: Api, state: str, status: str) -> None:
    task = api.put(state=state, reason="upstream" if state == "failed" else None)

    response = api.get(f"/v1/tasks/{task.task_id}")

    assert (response.status, response.json["status"]) == (200, status)
    final = status in ("finished", "failed")
    assert response.headers.get("retry-after") == (None if final else "5")


@pytest.mark.parametrize("reason", REASONS)
def test_failed_task_has_its_reason_and_no_text_of_poyo(api: Api, reason: str) -> None:
    task = api.put(state="failed", reason=reason, detail="raw text of PoYo")

    response = api.get(f"/v1/tasks/{task.task_id}")

    assert response.json["error"]["code"] == reason
    assert "raw text" not in response.body


@pytest.mark.parametrize(
    "task_id", ["x", "X" * 26, "x" * 500, "%00", "poyo%23ABC", "account", "ü" * 26, "a" * 25, "-"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_impossible_task_id_gets_404_without_a_read_of_the_table(
    api: Api, method: str, task_id: str
) -> None:
    calls = recorded_aws_calls(api.handler_module.clients.repository.table.client)

    assert_problem(api.request(method, f"/v1/tasks/{task_id}"), 404, "no_such_task")
    assert calls == []


def test_matching_if_none_match_gets_304(api: Api) -> None:
    running = api.put(state="running")
    path = f"/v1/tasks/{running.task_id}"
    etag = api.get(path).headers["etag"]

    for matching in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        same = api.get(path, if_none_match=matching)
        assert (same.status, same.body) == (304, "")
        assert (same.headers["etag"], same.headers["retry-after"]) == (etag, "5")
    for other in ('"other"', etag.strip('"'), ""):
        assert api.get(path, if_none_match=other).status == 200
    api.put_finished()
    assert api.get(path, if_none_match=etag).status == 200


def test_wait_ends_after_the_given_seconds(api: Api) -> None:
    running = api.put(state="running")
    path = f"/v1/tasks/{running.task_id}?wait=1"
    etag = api.get(f"/v1/tasks/{running.task_id}").headers["etag"]

    started = time.monotonic()
    response, same = api.get(path), api.get(path, if_none_match=etag)

    assert 2 <= time.monotonic() - started < 10
    assert (response.status, response.json["status"]) == (200, "running")
    assert (same.status, same.headers["retry-after"]) == (304, "5")


@pytest.mark.parametrize("tags", ["{old}", "W/{old}", '"other", {old}', '"other"'])
def test_wait_ends_at_once_if_the_task_differs_from_the_callers_copy(api: Api, tags: str) -> None:
    """Even if its status is the same: the copy has no progress yet."""
    old = api.get(f"/v1/tasks/{api.put(state='running').task_id}").headers["etag"]
    running = api.put(state="running", progress=Decimal(50))
    started = time.monotonic()

    response = api.get(f"/v1/tasks/{running.task_id}?wait=20", if_none_match=tags.format(old=old))

    assert (response.status, response.json["progress"]) == (200, 50)
    assert time.monotonic() - started < 10


def test_wait_with_the_current_etag_ends_with_the_next_change_of_any_field(api: Api) -> None:
    running = api.put(state="running")
    path = f"/v1/tasks/{running.task_id}"
    etag = api.get(path).headers["etag"]
    tasks = api.handler_module.dependencies.tasks
    sleep = partial(api.put, state="running", progress=Decimal(50))
    waiting = replace(tasks, sleep=lambda _: sleep())
    dependencies = replace(api.handler_module.dependencies, tasks=waiting)
    headers = request_headers(SERVER_KEY, if_none_match=etag)
    event = http_event("GET", f"{path}?wait=20", headers=headers)

    task_id = running.task_id
    response = TaskRoutes(dependencies).get(HttpEvent.from_api_gateway(event), task_id)

    assert (response.status, json.loads(response.body)["progress"]) == (200, 50)


def test_without_slots_nobody_waits() -> None:
    with loaded_api(WAITING_CONCURRENCY="0") as api:
        running = api.put(state="running")
        started = time.monotonic()

        response = api.get(f"/v1/tasks/{running.task_id}?wait=20")

        assert (response.status, response.headers["retry-after"]) == (200, "5")
        assert time.monotonic() - started < 10


def test_list_has_an_etag_and_a_matching_one_gets_304(api: Api) -> None:
    api.put(state="running")
    for path in ("/v1/tasks", "/v1/tasks?status=running&limit=5"):
        first = api.get(path)
        etag = first.headers["etag"]

        same = api.get(path, if_none_match=etag)
        assert (same.status, same.body, same.headers["etag"]) == (304, "", etag)
        assert api.get(path, if_none_match='"other"').json == first.json
    api.put(state="running", progress=Decimal(50))
    assert api.get("/v1/tasks", if_none_match=etag).status == 200


def test_wait_for_a_finished_task_ends_at_once(api: Api) -> None:
    finished = api.put_finished()
    started = time.monotonic()

    assert api.get(f"/v1/tasks/{finished.task_id}?wait=20").status == 200
    assert time.monotonic() - started < 10


def parameter_error(api: Api, path: str, parameter: str) -> str:
    """The detail of the problem with this parameter."""
    body = assert_problem(api.get(path), 400, "invalid_parameter")
    assert [each["parameter"] for each in body["errors"]] == [parameter]
    return str(body["errors"][0]["detail"])


@pytest.mark.parametrize(
    "wait", ["21", "-1", "1.5", "", "x", "%D9%A3", "1e1", "0x5", "+1", "%2B1", "9" * 50]
)
def test_invalid_wait_is_rejected(api: Api, wait: str) -> None:
    running = api.put(state="running")

    assert "0 to 20" in parameter_error(api, f"/v1/tasks/{running.task_id}?wait={wait}", "wait")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_parameter_is_rejected(api: Api, method: str) -> None:
    task = api.put()

    body = assert_problem(
        api.request(method, f"/v1/tasks/{task.task_id}?waits=1"), 400, "invalid_parameter"
    )

    assert [each["parameter"] for each in body["errors"]] == ["waits"]
    assert api.get(f"/v1/tasks/{task.task_id}").status == 200


# List. The integration tests of aws/ show that pages are complete and what they cost.


def listed_ids(api: Api, query: str = "", **headers: Any) -> list[str]:
    response = api.get(f"/v1/tasks{query}", **headers)
    assert response.status == 200, response.body
    return [each["task_id"] for each in response.json["tasks"]]


def put_many(api: Api, count: int, **changed: Any) -> list[str]:
    """Write tasks of `owner`, and return their ids, the newest first."""
    tasks = [
        api.put(key=f"key{n}", created_at=START + n, updated_at=START + n, **changed)
        for n in range(count)
    ]
    return [each.task_id for each in reversed(tasks)]


def test_list_has_complete_tasks_newest_first(api: Api) -> None:
    task_ids = put_many(api, 3, state="running")

    response = api.get("/v1/tasks")

    assert response.json["next_cursor"] is None
    assert [each["task_id"] for each in response.json["tasks"]] == task_ids
    for listed in response.json["tasks"]:
        assert listed == api.get(f"/v1/tasks/{listed['task_id']}").json


def test_list_of_a_new_owner_is_empty(api: Api) -> None:
    assert api.get("/v1/tasks").json == {"tasks": [], "next_cursor": None}


def test_next_cursor_leads_through_all_pages(api: Api) -> None:
    task_ids = put_many(api, 5)

    first = api.get("/v1/tasks?limit=2").json
    second = api.get(f"/v1/tasks?limit=2&cursor={first['next_cursor']}").json
    third = api.get(f"/v1/tasks?limit=2&cursor={second['next_cursor']}").json

    found = [each["task_id"] for page in (first, second, third) for each in page["tasks"]]
    assert found == task_ids
    assert third["next_cursor"] is None


def test_page_has_twenty_tasks_by_default_and_at_most_its_limit(api: Api) -> None:
    put_many(api, 21)

    assert len(listed_ids(api)) == 20
    assert len(listed_ids(api, "?limit=100")) == 21
    assert len(listed_ids(api, "?limit=1")) == 1


@pytest.mark.parametrize("limit", ["0", "101", "-1", "", "x", "1.0", "%D9%A3", "9" * 50])
def test_invalid_limit_is_rejected(api: Api, limit: str) -> None:
    assert "1 to 100" in parameter_error(api, f"/v1/tasks?limit={limit}", "limit")


@pytest.mark.parametrize("cursor", ["", "x", "e30", "W10", "!!!", "a" * 300, "é", "WzEsIngiXQ"])
def test_invalid_cursor_is_rejected(api: Api, cursor: str) -> None:
    assert "next_cursor" in parameter_error(api, f"/v1/tasks?cursor={cursor}", "cursor")


@pytest.mark.parametrize("status", ["", "done", "Running", "running,finished", "pending"])
def test_invalid_status_is_rejected(api: Api, status: str) -> None:
    detail = parameter_error(api, f"/v1/tasks?status={status}", "status")

    assert detail == "must be one of not_started, running, finished, failed"


def test_misspelt_filter_is_rejected_instead_of_ignored(api: Api) -> None:
    assert parameter_error(api, "/v1/tasks?state=finished", "state").endswith(
        "status, limit, cursor, task_ids, wait"
    )


def test_list_by_status_has_only_tasks_of_that_status(api: Api) -> None:
    by_status: dict[str, list[str]] = {}
    for n, (state, status) in enumerate(STATUS_BY_STATE.items()):
        written = api.put(
            key=state,
            state=state,
            created_at=START + n,
            owner_status_key=owner_status_key(status, "owner"),
        )
        by_status.setdefault(status, []).insert(0, written.task_id)

    for status, expected in by_status.items():
        assert listed_ids(api, f"?status={status}") == expected


# Delete


def delete(api: Api, task_id: str, **headers: Any) -> int:
    response = api.request("DELETE", f"/v1/tasks/{task_id}", **headers)
    assert response.status != 204 or response.body == ""
    return response.status


def test_deleted_task_is_found_on_no_route(api: Api) -> None:
    finished = api.put_finished()
    path = f"/v1/tasks/{finished.task_id}"
    signed_path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)
    assert api.get(signed_path, key=None).status == 302

    assert delete(api, finished.task_id) == 204

    for each in (path, f"{path}?wait=20", f"{path}/files/0", signed_path):
        assert_problem(api.get(each), 404, "no_such_task")
    assert api.get(f"/api/generate/status/{finished.task_id}").status == 404
    assert listed_ids(api) == listed_ids(api, "?status=finished") == []


def test_repeated_deletion_gets_204(api: Api) -> None:
    finished = api.put_finished()

    assert [delete(api, finished.task_id) for _ in range(3)] == [204, 204, 204]
    assert [message["source"] for message in api.cloud.messages()] == ["delete"]


def test_task_of_another_owner_cannot_be_deleted(api: Api) -> None:
    finished = api.put_finished()

    for headers in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}):
        assert_problem(
            api.request("DELETE", f"/v1/tasks/{finished.task_id}", **headers), 404, "no_such_task"
        )
    assert_problem(
        api.request("DELETE", f"/v1/tasks/{derive_task_id('owner', 'none')}"), 404, "no_such_task"
    )
    assert api.get(f"/v1/tasks/{finished.task_id}").status == 200
    delete(api, finished.task_id)
    assert_problem(
        api.request("DELETE", f"/v1/tasks/{finished.task_id}", key=OTHER_SERVER_KEY),
        404,
        "no_such_task",
    )


def test_tombstone_keeps_the_credits_and_nothing_of_the_order(api: Api) -> None:
    task_id = api.create(ORDER | {"metadata": {"album": "secret"}}).json["task_id"]
    delete(api, task_id)

    [item] = [each for each in api.cloud.items() if each["pk"]["S"] == f"task#{task_id}"]
    text = json.dumps(item)
    assert PROMPT not in text
    assert "secret" not in text
    assert item["estimated_credits"] == {"N": "2"}
    assert not {"file_url_key", "owner_key", "owner_status_key"} & set(item)


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
def test_idempotency_key_of_a_deleted_task_creates_no_new_task(api: Api, path: str) -> None:
    delete(api, api.create().json["task_id"])

    response = api.request("POST", path, ORDER, idempotency_key="key")

    if path == "/v1/tasks":
        assert_problem(response, 410, "task_deleted", charged=None)  # it may have been paid for
    else:
        assert (response.status, response.json["code"]) == (404, 404)
    assert_problem(api.create({"model": "gpt-image-2", "input": {"prompt": "other"}}), *KEY_REUSED)
    assert api.submit_count() == 1


@pytest.mark.parametrize("state", STATUS_BY_STATE)
def test_task_can_be_deleted_in_every_state(api: Api, state: str) -> None:
    task = api.put(state=state, reason="upstream" if state == "failed" else None)

    assert delete(api, task.task_id) == 204
    assert_problem(api.get(f"/v1/tasks/{task.task_id}"), 404, "no_such_task")


@pytest.mark.parametrize("character", ['"', "灯"], ids=ascii)
def test_page_of_the_longest_prompts_fits_into_a_response_of_lambda(
    api: Api, character: str
) -> None:
    count = 90
    for n in range(count):
        image_input = {"prompt": character * 20_000, "quality": "low"}
        api.put(key=str(n), state="running", input=image_input, created_at=n, owner_key="owner")

    event = http_event("GET", "/v1/tasks?limit=100", headers=request_headers())
    raw = api.handler_module.handler(event, Context())

    page = json.loads(raw["body"])
    size = len(json.dumps(raw, ensure_ascii=False).encode())  # as Lambda's runtime writes it
    assert 3_900_000 < size < 4_500_000
    assert page["next_cursor"]
