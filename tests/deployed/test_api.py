"""The deployed API: two hundred orders at once, long polling, 304, and deletion of images."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import requests

from local.system import System
from tests.deployed.test_journeys import Journey
from tests.support.waiting import until

CALLERS, KEYS = 200, 20
AT_ONCE = 8  # the emulated cloud runs one process for each invocation, on this machine
TIMEOUT_S = 60
REPEATS = 10
GATEWAY_ERRORS = (502, 503, 504)  # on a busy machine; a caller then repeats with the same key


@pytest.fixture
def journey(stack: System) -> Journey:
    return Journey(stack)


def order(key: str) -> dict[str, Any]:
    return {"model": "gpt-image-2", "input": {"prompt": f"A lighthouse for {key}", "size": "1:1"}}


def place_all(journey: Journey, keys: list[str]) -> list[requests.Response]:
    """The responses to one order for each of `keys`, placed AT_ONCE at a time."""

    def send(key: str) -> requests.Response:
        headers = {**journey.headers, "Idempotency-Key": key}
        url = f"{journey.system.url}/v1/tasks"
        for _ in range(REPEATS):
            response = requests.post(url, json=order(key), headers=headers, timeout=TIMEOUT_S)
            if response.status_code not in GATEWAY_ERRORS:
                break
        return response

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(send, keys))


def test_two_hundred_orders_with_twenty_keys_are_twenty_tasks_and_twenty_submits(
    journey: Journey,
) -> None:
    run = uuid.uuid4().hex
    # Orders with the same key follow each other, so that they compete for its item.
    keys = [f"crowd-{run}-{n * KEYS // CALLERS}" for n in range(CALLERS)]

    responses = place_all(journey, keys)

    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) <= {200, 202}
    assert statuses[202] <= KEYS  # fewer if the response to a first order was lost
    assert statuses[202] + statuses[200] == CALLERS
    by_key: dict[str, set[str]] = {}
    for key, response in zip(keys, responses, strict=True):
        by_key.setdefault(key, set()).add(response.json()["task_id"])
    assert [len(tasks) for tasks in by_key.values()] == [1] * KEYS
    tasks = {task for each in by_key.values() for task in each}
    assert len(tasks) == KEYS
    for task_id in tasks:  # then every order has been submitted
        assert journey.ended(task_id)["status"] == "finished"
    submits = journey.poyo("log?kind=submit").json()["events"]
    assert Counter(
        each["idempotency_key"] for each in submits if each["idempotency_key"] in tasks
    ) == dict.fromkeys(tasks, 1)
    upstream = journey.poyo("tasks").json()["tasks"]
    assert (
        sum(any(task in str(each["callback_url"]) for task in tasks) for each in upstream) == KEYS
    )


def timed_get(journey: Journey, path: str, **headers: str) -> tuple[requests.Response, float]:
    """The response, and how many seconds it took."""
    began = time.monotonic()
    response = requests.get(
        journey.system.url + path, headers=journey.headers | headers, timeout=TIMEOUT_S
    )
    return response, time.monotonic() - began


@pytest.fixture
def stuck(journey: Journey) -> Iterator[str]:
    """A task that PoYo finishes only on request."""
    task_id = journey.submit("[[fault:stuck-running]] A slow lighthouse")
    until(lambda: journey.task(task_id)["status"], "running".__eq__)
    yield task_id
    finish(journey, task_id)


def finish(journey: Journey, task_id: str) -> None:
    """Have PoYo finish the task, unless it has finished already."""
    control = f"{journey.system.poyo_url}/control/tasks/{journey.poyo_task(task_id)['task_id']}"
    assert requests.post(f"{control}/finish", timeout=10).status_code in (200, 409)


def test_wait_ends_as_soon_as_the_status_changes(journey: Journey, stuck: str) -> None:
    timer = threading.Timer(2, finish, (journey, stuck))
    timer.start()

    response, seconds = timed_get(journey, f"/v1/tasks/{stuck}?wait=20")

    timer.join()
    assert (response.status_code, response.json()["status"]) == (200, "finished")
    assert "Retry-After" not in response.headers
    assert 2 <= seconds < 20


def test_wait_ends_after_the_requested_seconds(journey: Journey, stuck: str) -> None:
    response, seconds = timed_get(journey, f"/v1/tasks/{stuck}?wait=2")
    same, longer = timed_get(
        journey, f"/v1/tasks/{stuck}?wait=2", **{"If-None-Match": response.headers["ETag"]}
    )

    assert (response.status_code, response.json()["status"]) == (200, "running")
    assert (same.status_code, same.content) == (304, b"")
    assert response.headers["Retry-After"] == same.headers["Retry-After"] == "5"
    assert same.headers["ETag"] == response.headers["ETag"]
    assert 2 <= min(seconds, longer) < 20


def test_one_request_follows_two_tasks_and_the_result_is_the_next_reference(
    journey: Journey, stuck: str
) -> None:
    ended = journey.submit("A lighthouse that is quick")
    journey.ended(ended)
    path = f"/v1/tasks?task_ids={stuck},{ended},{'a' * 26}&wait=20"
    first, _ = timed_get(journey, path.replace("wait=20", "wait=0"))
    timer = threading.Timer(2, finish, (journey, stuck))
    timer.start()
    known, last = first.headers["ETag"], first

    while last.headers.get("Retry-After"):  # PoYo's percentage may be the first change
        last, seconds = timed_get(journey, path, **{"If-None-Match": known})
        assert seconds < 20 or last.status_code == 304
        known = last.headers["ETag"]

    timer.join()
    assert [each["status"] for each in first.json()["tasks"]] == ["running", "finished"]
    assert [each["status"] for each in last.json()["tasks"]] == ["finished", "finished"]
    assert last.json()["not_found"] == ["a" * 26]
    edit = {"prompt": "The same, at night", "image_urls": [f"task:{stuck}/0"]}
    ordered = requests.post(
        f"{journey.system.url}/v1/tasks",
        json={"model": "gpt-image-2-edit", "input": edit},
        headers={**journey.headers, "Idempotency-Key": uuid.uuid4().hex},
        timeout=TIMEOUT_S,
    )
    assert ordered.status_code == 202, ordered.text
    upstream = journey.poyo_task(journey.ended(ordered.json()["task_id"])["task_id"])
    sent = journey.poyo(f"tasks/{upstream['task_id']}").json()["input"]
    assert f"/images/{stuck}/0?" in sent["image_urls"][0]


def test_deletion_removes_the_image_and_disables_its_signed_url(journey: Journey) -> None:
    task_id = journey.submit("A demolished lighthouse")
    [file] = journey.ended(task_id)["files"]
    redirected = requests.get(file["file_url"], timeout=30)
    assert redirected.content == journey.image(task_id)
    assert len(journey.objects(task_id)) == 1

    url = f"{journey.system.url}/v1/tasks/{task_id}"
    deleted = requests.delete(url, headers=journey.headers, timeout=30)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert requests.get(file["file_url"], timeout=30).status_code == 404
    assert requests.get(url, headers=journey.headers, timeout=30).status_code == 404
    until(lambda: journey.objects(task_id), lambda left: left == [])
    assert requests.get(redirected.url, timeout=30).status_code == 404


def test_no_image_of_a_deleted_running_task_is_stored(journey: Journey, stuck: str) -> None:
    url = f"{journey.system.url}/v1/tasks/{stuck}"
    poyo_id = journey.poyo_task(stuck)["task_id"]
    assert requests.delete(url, headers=journey.headers, timeout=30).status_code == 204

    finish(journey, stuck)

    def item() -> dict[str, Any]:
        found = journey.system.client("dynamodb").get_item(
            TableName=journey.system.outputs["TasksTableName"],
            Key={"pk": {"S": f"task#{stuck}"}},
            ConsistentRead=True,
        )
        return dict(found["Item"])

    settled = until(item, lambda found: found["state"]["S"] == "finished")
    assert Decimal(settled["charged_credits"]["N"]) == 2
    assert "lighthouse" not in str(settled)
    assert journey.objects(stuck) == []
    assert journey.poyo(f"tasks/{poyo_id}").json()["file_reads"] == 0
