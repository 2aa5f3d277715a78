"""The events are the ways into the functions: they fit the local keys and are answered as named."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id, task_pk
from local import stack as local_stack
from local.system import System
from tests.fixtures.lambda_events import AFTERWARDS, ANSWERS
from tests.support.environment import properties

EVENTS = Path(__file__).parents[2] / "events"
FUNCTIONS = {"api": "ApiFunction", "webhook": "WebhookFunction", "worker": "WorkerFunction"}
TASK_ID = derive_task_id("default", "events-sample-1")


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def names() -> set[str]:
    """Every event there is."""
    return {path.stem for path in EVENTS.glob("*.json")} - {"env"}


def test_there_is_an_expected_answer_for_each_event() -> None:
    assert names() == {*ANSWERS, *AFTERWARDS}


def test_there_is_an_event_for_every_way_in() -> None:
    """Each route of the template, and each function."""
    events = [read(name) for name in names()]
    ways = {each.get("routeKey", "").partition(" ")[::2] for each in events}
    declared = [
        (each["Properties"]["Method"], each["Properties"]["Path"])
        for function in ("ApiFunction", "WebhookFunction")
        for each in properties(function)["Events"].values()
        if each["Properties"]["Path"] != "$default"
    ]

    assert len(declared) >= 16
    assert set(declared) <= ways
    assert {name.partition("-")[0] for name in names()} == {*FUNCTIONS, "sweep"}


@pytest.mark.parametrize("name", sorted({*ANSWERS, *AFTERWARDS}))
def test_an_event_is_what_the_gateway_would_hand_over(name: str) -> None:
    event = read(name)
    if "routeKey" not in event:
        return
    method, _, rule = event["routeKey"].partition(" ")
    http = event["requestContext"]["http"]

    assert event["requestContext"]["routeKey"] == event["routeKey"]
    assert http["path"] == event["rawPath"]
    assert rule == "" or http["method"] == method
    for part, value in (event.get("pathParameters") or {}).items():
        rule = rule.replace(f"{{{part}}}", value)
    assert rule in ("", event["rawPath"])
    query = dict(parse_qsl(event["rawQueryString"]))
    assert (event.get("queryStringParameters") or {}) == query


def test_the_callback_events_carry_the_local_capability() -> None:
    kid = local_stack.CALLBACK_KEYS["current"]
    path = signed_urls.callback_path(kid, local_stack.CALLBACK_KEYS[kid], TASK_ID)

    assert read("webhook-finished")["rawPath"] == path
    assert read("webhook-forged")["rawPath"] != path


@pytest.mark.parametrize(
    "name",
    [
        "api-read",
        "api-awaited",
        "api-file",
        "api-file-forged",
        "api-delete",
        "api-drop-in-status",
        "worker-callback",
        "worker-sweep",
    ],
)
def test_the_events_speak_of_the_task_that_api_create_makes(name: str) -> None:
    assert TASK_ID in json.dumps(read(name))


def test_the_drop_in_event_orders_what_api_create_orders() -> None:
    create, submit = read("api-create"), read("api-drop-in-submit")

    assert submit["body"] == create["body"]
    assert submit["headers"]["idempotency-key"] == create["headers"]["idempotency-key"]


def forget_the_task(stack: System) -> None:
    """Others may have ordered, and deleted, what these events are about."""
    key = {"pk": {"S": task_pk(TASK_ID)}}
    stack.client("dynamodb").delete_item(TableName=stack.outputs["TasksTableName"], Key=key)


def test_every_event_is_answered_as_its_name_says(stack: System) -> None:
    forget_the_task(stack)
    for name, status in ANSWERS.items():
        answer = invoke(stack, name)

        if status is None:
            assert not answer.get("batchItemFailures"), (name, answer)
        elif name == "api-create":
            assert answer["statusCode"] in (200, 202), (name, answer)
        else:
            assert answer["statusCode"] == status, (name, answer)
            assert name != "api-read" or json.loads(answer["body"])["task_id"] == TASK_ID

    task = invoke_until_finished(stack)
    link = read("api-file-forged") | {"rawPath": urlsplit(task["files"][0]["file_url"]).path}
    assert invoke(stack, "api-file-forged", link)["statusCode"] == 302
    for name, status in AFTERWARDS.items():
        assert invoke(stack, name)["statusCode"] == status, name
    for name in ("api-read", "api-file", "api-drop-in-status"):
        assert invoke(stack, name)["statusCode"] == 404, name
    assert invoke(stack, "api-create")["statusCode"] == 410


def invoke_until_finished(stack: System) -> dict[str, Any]:
    for _ in range(100):
        task: dict[str, Any] = json.loads(invoke(stack, "api-read")["body"])
        if task["status"] == "finished":
            return task
        time.sleep(0.3)
    pytest.fail("the task of the events did not finish in 30 s")


def invoke(stack: System, name: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
    """The function's answer to an event, or to another one of its kind."""
    door = name.partition("-")[0]
    function = stack.outputs[f"{FUNCTIONS.get(door, 'SweepFunction')}Name"]
    content = json.dumps(event or read(name)).encode()
    answer = stack.client("lambda").invoke(FunctionName=function, Payload=content)
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, (name, payload)
    return payload
