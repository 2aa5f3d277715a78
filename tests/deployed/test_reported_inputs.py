"""The deployed stack and requests, answers and files that once were misread: each gets what the documents say."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local.system import System
from tests.deployed.test_journeys import Journey

TIMEOUT_S = 60
ORDER = '{"model": "gpt-image-2", "input": {"prompt": "A paper boat"}}'


@pytest.fixture
def journey(stack: System) -> Journey:
    return Journey(stack)


def send(journey: Journey, method: str, path: str, body: str = "", **headers: str) -> Any:
    """The response to one request; a body is an order under a new key unless `headers` say otherwise."""
    own = {"Idempotency-Key": f"reported-{uuid.uuid4()}"} if body else {}
    return requests.request(
        method,
        journey.system.url + path,
        data=body.encode() or None,
        headers=journey.headers | own | {k.replace("_", "-"): v for k, v in headers.items()},
        timeout=TIMEOUT_S,
        allow_redirects=False,
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "named"),
    [
        ("/v1/tasks?dry_run=true", ORDER, 400, "invalid_parameter", "dry_run"),
        ("/v1/quotes?x=1", ORDER, 400, "invalid_parameter", "x"),
        ("/v1/uploads?x=1", '{"content_type": "image/png"}', 400, "invalid_parameter", "x"),
        ("/v1/tasks", "[]", 422, "invalid_order", ""),
        ("/v1/tasks", ORDER.replace("A paper boat", "\\u200b"), 422, "invalid_order", "/input/prompt"),
        ("/v1/tasks", ORDER[:-1] + ', "max_credits": NaN}', 422, "invalid_order", "/max_credits"),
        ("/v1/tasks", ORDER[:-1] + ', "model": "x"}', 422, "invalid_order", "/model"),
        ("/v1/tasks", ORDER[:-1] + ', "metadata": {"": 1}}', 422, "invalid_order", "/metadata/"),
        (
            "/v1/tasks",
            ORDER[:-2] + ', "image_urls": ["https://[::ffff:169.254.169.254]/a.png"]}}',
            422,
            "invalid_order",
            "/input/image_urls/0",
        ),
    ],
)  # fmt: skip
def test_order_that_could_be_misread_is_refused_by_name(
    journey: Journey, path: str, body: str, status: int, code: str, named: str
) -> None:
    response = send(journey, "POST", path, body)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    names = [each.get("pointer", each.get("parameter")) for each in problem["errors"]]
    assert named in names
    assert (problem["retry"], problem["charged"]) == ("never", False)
    assert problem["request_id"]


def test_two_idempotency_keys_are_no_key(journey: Journey) -> None:
    response = send(journey, "POST", "/v1/tasks", ORDER, Idempotency_Key="one, two")

    assert (response.status_code, response.json()["code"]) == (400, "invalid_idempotency_key")


def test_replay_with_a_lower_limit_is_the_same_task(journey: Journey) -> None:
    key = f"reported-{uuid.uuid4()}"
    first, again = (
        send(
            journey,
            "POST",
            "/v1/tasks",
            json.dumps(json.loads(ORDER) | {"max_credits": limit}),
            Idempotency_Key=key,
        )
        for limit in (100, 0.01)
    )

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["task_id"] == first.json()["task_id"]


@pytest.mark.parametrize("path", ["/health", "/v1/tasks", "/v1/tasks/", "/openapi.json"])
def test_head_is_get_without_a_body(journey: Journey, path: str) -> None:
    head, get = send(journey, "HEAD", path), send(journey, "GET", path)

    assert (head.status_code, get.status_code) == (200, 200)
    assert head.content == b""
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_user_of_an_identity_provider_has_an_own_list(journey: Journey) -> None:
    response = send(journey, "GET", "/v1/tasks", X_Owner="auth0|6f1d")

    assert (response.status_code, response.json()["tasks"]) == (200, [])


FAULTS = (
    "file-trailer",  # bytes behind the image's end
    "file-relative",
    "file-raw-url",
    "status-no-files=2",
    "status-404-first=2",
    "submit-502-html",  # PoYo has created the task all the same
    "submit-garbage",
    "callback-double=20",
)


def test_image_that_poyo_delivers_in_an_odd_way_is_stored_and_paid_once(journey: Journey) -> None:
    tasks = {fault: journey.submit(f"[[fault:{fault}]] A paper boat") for fault in FAULTS}

    with ThreadPoolExecutor(len(tasks)) as pool:
        ended = dict(zip(tasks, pool.map(journey.ended, tasks.values()), strict=True))

    assert {fault: task["status"] for fault, task in ended.items()} == dict.fromkeys(
        FAULTS, "finished"
    )
    for task_id in tasks.values():
        journey.assert_stored_once(task_id)


def test_file_has_one_address_and_is_shown_or_saved(journey: Journey) -> None:
    task = journey.ended(journey.submit("A paper boat in a gallery"))
    path = task["files"][0]["file_url"].removeprefix(journey.system.url)

    first, again = send(journey, "GET", path), send(journey, "GET", path)
    page = send(journey, "GET", path, Origin="https://pages.example")
    saved = send(journey, "GET", f"{path}?download=1")

    assert first.headers["Location"] == again.headers["Location"]
    assert page.headers["Location"] != first.headers["Location"]
    shown, attached = (
        requests.get(each.headers["Location"], timeout=TIMEOUT_S) for each in (first, saved)
    )
    assert shown.headers["Content-Disposition"].startswith("inline; filename=")
    assert "immutable" in shown.headers["Cache-Control"]
    assert attached.headers["Content-Disposition"].startswith("attachment; filename=")
    assert shown.content == attached.content
