"""Tasks at the door: read, awaited, listed, deleted; what is not the caller's is not there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import derive_task_id
from tests.support.fakes import PROMPT, START
from tests.support.lambdas import (
    ORDER,
    OTHER_SERVER_KEY,
    Api,
    assert_problem,
    loaded_api,
    recorded_aws_calls,
)

STATES = {
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


# Reading


def test_a_task_is_read_as_it_stands_with_links_that_need_no_key(api: Api) -> None:
    made = api.put_finished(2, charged_credits=Decimal("8.48"), finished_at=START)

    response = api.get(f"/v1/tasks/{made.task_id}")

    assert response.status == 200
    assert "retry-after" not in response.headers
    first, second = response.json["files"]
    mac = signed_urls.file_token(made.file_url_key, 1)
    assert second["file_url"] == f"https://img.example/files/{made.task_id}/1/{mac}"
    assert first["file_url"] != second["file_url"].replace("/1/", "/0/")
    assert (first["width"], first["height"], first["bytes"]) == (4, 3, 7)
    assert (first["content_type"], first["sha256"]) == ("image/png", "a" * 64)
    assert response.json["credits"] == {"estimated": 2, "charged": 8.48}


@pytest.mark.parametrize(("state", "status"), STATES.items())
def test_only_an_open_task_says_when_to_come_again(api: Api, state: str, status: str) -> None:
    made = api.put(state=state, reason="upstream" if state == "failed" else None)

    response = api.get(f"/v1/tasks/{made.task_id}")

    assert (response.status, response.json["status"]) == (200, status)
    ended = status in ("finished", "failed")
    assert response.headers.get("retry-after") == (None if ended else "5")


@pytest.mark.parametrize("reason", REASONS)
def test_a_failed_task_says_why(api: Api, reason: str) -> None:
    made = api.put(state="failed", reason=reason, detail="raw words of PoYo")

    response = api.get(f"/v1/tasks/{made.task_id}")

    assert response.json["error"]["code"] == reason
    assert "raw words" not in response.body


@pytest.mark.parametrize(
    "task_id", ["x", "X" * 26, "x" * 500, "%00", "poyo%23ABC", "account", "ü" * 26, "a" * 25, "-"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_cannot_be_a_task_is_not_even_looked_for(api: Api, method: str, task_id: str) -> None:
    made = recorded_aws_calls(api.handler_module.clients.repository.table.client)

    assert_problem(api.request(method, f"/v1/tasks/{task_id}"), 404, "no_such_task")
    assert made == []


def test_what_is_known_is_not_said_again(api: Api) -> None:
    made = api.put(state="running")
    path = f"/v1/tasks/{made.task_id}"
    etag = api.get(path).headers["etag"]

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        same = api.get(path, if_none_match=known)
        assert (same.status, same.body) == (304, "")
        assert (same.headers["etag"], same.headers["retry-after"]) == (etag, "5")
    for other in ('"other"', etag.strip('"'), ""):
        assert api.get(path, if_none_match=other).status == 200
    api.put_finished()
    assert api.get(path, if_none_match=etag).status == 200


def test_waiting_ends_when_the_time_is_over(api: Api) -> None:
    made = api.put(state="running")
    path = f"/v1/tasks/{made.task_id}?wait=1"
    etag = api.get(f"/v1/tasks/{made.task_id}").headers["etag"]

    began = time.monotonic()
    response, same = api.get(path), api.get(path, if_none_match=etag)

    assert 2 <= time.monotonic() - began < 4
    assert (response.status, response.json["status"]) == (200, "running")
    assert (same.status, same.headers["retry-after"]) == (304, "5")


def test_nobody_waits_for_a_task_that_has_ended(api: Api) -> None:
    made = api.put_finished()
    began = time.monotonic()

    assert api.get(f"/v1/tasks/{made.task_id}?wait=20").status == 200
    assert time.monotonic() - began < 1


def wrong(api: Api, path: str, parameter: str) -> str:
    """Why this parameter is refused."""
    said = assert_problem(api.get(path), 400, "invalid_parameter")
    assert [each["parameter"] for each in said["errors"]] == [parameter]
    return str(said["errors"][0]["detail"])


@pytest.mark.parametrize(
    "wait", ["21", "-1", "1.5", "", "x", "%D9%A3", "1e1", "0x5", "+1", "%2B1", "9" * 50]
)
def test_a_wait_that_is_none_is_refused(api: Api, wait: str) -> None:
    made = api.put(state="running")

    assert "0 to 20" in wrong(api, f"/v1/tasks/{made.task_id}?wait={wait}", "wait")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_parameter_is_refused(api: Api, method: str) -> None:
    made = api.put()

    said = assert_problem(
        api.request(method, f"/v1/tasks/{made.task_id}?waits=1"), 400, "invalid_parameter"
    )

    assert [each["parameter"] for each in said["errors"]] == ["waits"]
    assert api.get(f"/v1/tasks/{made.task_id}").status == 200


# Listing; that pages are whole and cheap is shown in test_listing


def ids(api: Api, query: str = "", **said: Any) -> list[str]:
    response = api.get(f"/v1/tasks{query}", **said)
    assert response.status == 200, response.body
    return [each["task_id"] for each in response.json["tasks"]]


def some(api: Api, count: int, **changed: Any) -> list[str]:
    """Tasks of `owner`, the newest first."""
    made = [
        api.put(key=f"key{n}", created_at=START + n, updated_at=START + n, **changed)
        for n in range(count)
    ]
    return [each.task_id for each in reversed(made)]


def test_a_list_has_whole_tasks_newest_first(api: Api) -> None:
    made = some(api, 3, state="running")

    response = api.get("/v1/tasks")

    assert response.json["next_cursor"] is None
    assert [each["task_id"] for each in response.json["tasks"]] == made
    for shown in response.json["tasks"]:
        assert shown == api.get(f"/v1/tasks/{shown['task_id']}").json


def test_a_new_owner_has_an_empty_list(api: Api) -> None:
    assert api.get("/v1/tasks").json == {"tasks": [], "next_cursor": None}


def test_a_list_is_read_page_by_page(api: Api) -> None:
    made = some(api, 5)

    first = api.get("/v1/tasks?limit=2").json
    second = api.get(f"/v1/tasks?limit=2&cursor={first['next_cursor']}").json
    third = api.get(f"/v1/tasks?limit=2&cursor={second['next_cursor']}").json

    found = [each["task_id"] for page in (first, second, third) for each in page["tasks"]]
    assert found == made
    assert third["next_cursor"] is None


def test_a_page_has_twenty_tasks_unless_it_is_told_otherwise(api: Api) -> None:
    some(api, 21)

    assert len(ids(api)) == 20
    assert len(ids(api, "?limit=100")) == 21
    assert len(ids(api, "?limit=1")) == 1


@pytest.mark.parametrize("limit", ["0", "101", "-1", "", "x", "1.0", "%D9%A3", "9" * 50])
def test_a_limit_that_is_none_is_refused(api: Api, limit: str) -> None:
    assert "1 to 100" in wrong(api, f"/v1/tasks?limit={limit}", "limit")


@pytest.mark.parametrize("cursor", ["", "x", "e30", "W10", "!!!", "a" * 300, "é", "WzEsIngiXQ"])
def test_a_cursor_of_nobodys_is_refused(api: Api, cursor: str) -> None:
    assert "next_cursor" in wrong(api, f"/v1/tasks?cursor={cursor}", "cursor")


@pytest.mark.parametrize("status", ["", "done", "Running", "running,finished", "pending"])
def test_a_status_that_is_none_is_refused(api: Api, status: str) -> None:
    detail = wrong(api, f"/v1/tasks?status={status}", "status")

    assert detail == "must be one of not_started, running, finished, failed"


def test_a_misspelt_filter_is_refused_rather_than_showing_everything(api: Api) -> None:
    assert wrong(api, "/v1/tasks?state=finished", "state").endswith("status, limit, cursor")


def test_a_list_by_status_has_that_one_alone(api: Api) -> None:
    shown: dict[str, list[str]] = {}
    for n, (state, status) in enumerate(STATES.items()):
        made = api.put(
            key=state, state=state, created_at=START + n, owner_status_key=f"{status}#owner"
        )
        shown.setdefault(status, []).insert(0, made.task_id)

    for status, expected in shown.items():
        assert ids(api, f"?status={status}") == expected


# Deleting


def delete(api: Api, task_id: str, **said: Any) -> int:
    response = api.request("DELETE", f"/v1/tasks/{task_id}", **said)
    assert response.status != 204 or response.body == ""
    return response.status


def test_a_deleted_task_is_nowhere_any_more(api: Api) -> None:
    made = api.put_finished()
    path = f"/v1/tasks/{made.task_id}"
    link = signed_urls.file_path(made.file_url_key, made.task_id, 0)
    assert api.get(link, key=None).status == 302

    assert delete(api, made.task_id) == 204

    for gone in (path, f"{path}?wait=20", f"{path}/files/0", link):
        assert_problem(api.get(gone), 404, "no_such_task")
    assert api.get(f"/api/generate/status/{made.task_id}").status == 404
    assert ids(api) == ids(api, "?status=finished") == []


def test_deleting_again_is_no_mistake(api: Api) -> None:
    made = api.put_finished()

    assert [delete(api, made.task_id) for _ in range(3)] == [204, 204, 204]
    assert [ring["source"] for ring in api.cloud.messages()] == ["delete"]


def test_nobody_deletes_what_is_not_theirs(api: Api) -> None:
    made = api.put_finished()

    for said in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}):
        assert_problem(
            api.request("DELETE", f"/v1/tasks/{made.task_id}", **said), 404, "no_such_task"
        )
    assert_problem(
        api.request("DELETE", f"/v1/tasks/{derive_task_id('owner', 'none')}"), 404, "no_such_task"
    )
    assert api.get(f"/v1/tasks/{made.task_id}").status == 200
    delete(api, made.task_id)
    assert_problem(
        api.request("DELETE", f"/v1/tasks/{made.task_id}", key=OTHER_SERVER_KEY),
        404,
        "no_such_task",
    )


def test_what_a_tombstone_keeps_is_money_and_the_key(api: Api) -> None:
    task_id = api.create(ORDER | {"metadata": {"album": "secret"}}).json["task_id"]
    delete(api, task_id)

    [row] = [row for row in api.cloud.items() if row["pk"]["S"] == f"task#{task_id}"]
    said = json.dumps(row)
    assert PROMPT not in said
    assert "secret" not in said
    assert row["estimated_credits"] == {"N": "2"}
    assert not {"file_url_key", "owner_key", "owner_status_key"} & set(row)


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
def test_the_key_of_a_deleted_task_orders_nothing_any_more(api: Api, path: str) -> None:
    delete(api, api.create().json["task_id"])

    response = api.request("POST", path, ORDER, idempotency_key="key")

    if path == "/v1/tasks":
        assert_problem(response, 410, "task_deleted")
    else:
        assert (response.status, response.json["code"]) == (404, 404)
    assert_problem(api.create({"model": "gpt-image-2", "input": {"prompt": "other"}}), *REUSED)
    assert api.submit_count() == 1


REUSED = (422, "idempotency_key_reused")


@pytest.mark.parametrize("state", STATES)
def test_a_task_can_be_deleted_in_any_state(api: Api, state: str) -> None:
    made = api.put(state=state, reason="upstream" if state == "failed" else None)

    assert delete(api, made.task_id) == 204
    assert_problem(api.get(f"/v1/tasks/{made.task_id}"), 404, "no_such_task")
