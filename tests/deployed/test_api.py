"""What only the deployed stack can show: a crowd of two hundred, waiting, 304, erasing."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local.system import System
from tests.deployed.test_journeys import Journey, until

CALLERS, KEYS = 200, 20
AT_ONCE = 8  # the emulated cloud runs a process for each function under way, on this machine
TIMEOUT_S = 60
REPEATS = 10
GATEWAY = (502, 503, 504)  # on a machine that is busy; then the page says: again, with the same key


@pytest.fixture
def journey(stack: System) -> Journey:
    return Journey(stack)


def order(key: str) -> dict[str, Any]:
    return {"model": "gpt-image-2", "input": {"prompt": f"A lighthouse for {key}", "size": "1:1"}}


def crowd(journey: Journey, keys: list[str]) -> list[requests.Response]:
    """The answers to one order for each of `keys`, in a rush."""

    def send(key: str) -> requests.Response:
        headers = {**journey.headers, "Idempotency-Key": key}
        url = f"{journey.system.url}/v1/tasks"
        for _ in range(REPEATS):
            answer = requests.post(url, json=order(key), headers=headers, timeout=TIMEOUT_S)
            if answer.status_code not in GATEWAY:
                break
        return answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(send, keys))


def test_two_hundred_orders_with_twenty_keys_are_twenty_tasks_and_twenty_submits(
    journey: Journey,
) -> None:
    run = uuid.uuid4().hex
    # Those with one key come one after the other, so that they meet at its row.
    keys = [f"crowd-{run}-{n * KEYS // CALLERS}" for n in range(CALLERS)]

    answers = crowd(journey, keys)

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 202}
    assert statuses[202] <= KEYS  # fewer when the answer to a first order was lost
    assert statuses[202] + statuses[200] == CALLERS
    made: dict[str, set[str]] = {}
    for key, answer in zip(keys, answers, strict=True):
        made.setdefault(key, set()).add(answer.json()["task_id"])
    assert [len(tasks) for tasks in made.values()] == [1] * KEYS
    tasks = {task for each in made.values() for task in each}
    assert len(tasks) == KEYS
    for task_id in tasks:  # what had to wait for its turn is submitted by then
        assert journey.ended(task_id)["status"] == "finished"
    submits = journey.poyo("log?kind=submit").json()["events"]
    assert Counter(
        each["idempotency_key"] for each in submits if each["idempotency_key"] in tasks
    ) == dict.fromkeys(tasks, 1)
    upstream = journey.poyo("tasks").json()["tasks"]
    assert (
        sum(any(task in str(each["callback_url"]) for task in tasks) for each in upstream) == KEYS
    )


def asked(journey: Journey, path: str, **headers: str) -> tuple[requests.Response, float]:
    """The answer, and how many seconds it took."""
    began = time.monotonic()
    answer = requests.get(
        journey.system.url + path, headers=journey.headers | headers, timeout=TIMEOUT_S
    )
    return answer, time.monotonic() - began


@pytest.fixture
def stuck(journey: Journey) -> Iterator[str]:
    """A task that PoYo works on until it is told to finish."""
    task_id = journey.submit("[[fault:stuck-running]] A lighthouse that takes its time")
    until(lambda: journey.task(task_id)["status"], "running".__eq__)
    yield task_id
    finish(journey, task_id)


def finish(journey: Journey, task_id: str) -> None:
    """PoYo finishes now, unless it has."""
    control = f"{journey.system.poyo_url}/control/tasks/{journey.poyo_task(task_id)['task_id']}"
    assert requests.post(f"{control}/finish", timeout=10).status_code in (200, 409)


def test_waiting_ends_as_soon_as_the_status_changes(journey: Journey, stuck: str) -> None:
    timer = threading.Timer(2, finish, (journey, stuck))
    timer.start()

    answer, seconds = asked(journey, f"/v1/tasks/{stuck}?wait=20")

    timer.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "finished")
    assert "Retry-After" not in answer.headers
    assert 2 <= seconds < 20


def test_waiting_ends_when_the_time_is_over(journey: Journey, stuck: str) -> None:
    answer, seconds = asked(journey, f"/v1/tasks/{stuck}?wait=3")
    same, longer = asked(
        journey, f"/v1/tasks/{stuck}?wait=3", **{"If-None-Match": answer.headers["ETag"]}
    )

    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    assert (same.status_code, same.content) == (304, b"")
    assert answer.headers["Retry-After"] == same.headers["Retry-After"] == "5"
    assert same.headers["ETag"] == answer.headers["ETag"]
    assert 3 <= min(seconds, longer) < 20


def test_deleting_takes_the_image_from_the_bucket_and_the_link_from_everybody(
    journey: Journey,
) -> None:
    task_id = journey.submit("A lighthouse that is torn down")
    [file] = journey.ended(task_id)["files"]
    led = requests.get(file["file_url"], timeout=30)
    assert led.content == journey.image(task_id)
    assert len(journey.objects(task_id)) == 1

    url = f"{journey.system.url}/v1/tasks/{task_id}"
    deleted = requests.delete(url, headers=journey.headers, timeout=30)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert requests.get(file["file_url"], timeout=30).status_code == 404
    assert requests.get(url, headers=journey.headers, timeout=30).status_code == 404
    until(lambda: journey.objects(task_id), lambda left: left == [])
    assert requests.get(led.url, timeout=30).status_code == 404


def test_deleting_a_running_task_keeps_no_image_of_it(journey: Journey, stuck: str) -> None:
    url = f"{journey.system.url}/v1/tasks/{stuck}"
    poyo_id = journey.poyo_task(stuck)["task_id"]
    assert requests.delete(url, headers=journey.headers, timeout=30).status_code == 204

    finish(journey, stuck)

    def row() -> dict[str, Any]:
        found = journey.system.client("dynamodb").get_item(
            TableName=journey.system.outputs["TasksTableName"],
            Key={"pk": {"S": f"task#{stuck}"}},
            ConsistentRead=True,
        )
        return dict(found["Item"])

    settled = until(row, lambda found: found["state"]["S"] == "finished")
    assert settled["charged"] == {"N": "2"}
    assert "lighthouse" not in str(settled)
    assert journey.objects(stuck) == []
    assert journey.poyo(f"tasks/{poyo_id}").json()["file_reads"] == 0
