"""The events are the ways into the functions: they fit the local keys and are answered as named."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from imagetasks import capability
from imagetasks.task import derive_task_id
from local import stack as local_stack
from local.system import System

EVENTS = Path(__file__).parent.parent / "events"
FUNCTIONS = {"api": "ApiFunction", "webhook": "WebhookFunction", "worker": "WorkerFunction"}
TASK_ID = derive_task_id("default", "events-sample-1")
ANSWERS = {  # in the order in which they make sense
    "api-health": 200,
    "api-create": 202,
    "api-read": 200,
    "webhook-finished": 200,
    "webhook-wrapped-base64": 200,
    "webhook-odd-body": 200,
    "webhook-forged": 404,
    "worker-callback": None,
    "worker-sweep": None,
    "sweep-schedule": None,
    "api-create-invalid": 422,
    "api-read-stranger": 401,
    "api-no-route": 404,
}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def test_there_is_an_expected_answer_for_each_event() -> None:
    files = {path.stem for path in EVENTS.glob("*.json")} - {"env"}

    assert files == {*ANSWERS, "api-file"}


def test_the_callback_events_carry_the_local_capability() -> None:
    kid = local_stack.CALLBACK_KEYS["current"]
    path = capability.callback_path(kid, local_stack.CALLBACK_KEYS[kid], TASK_ID)

    assert read("webhook-finished")["rawPath"] == path
    assert read("webhook-forged")["rawPath"] != path


@pytest.mark.parametrize("name", ["api-read", "api-file", "worker-callback", "worker-sweep"])
def test_the_events_speak_of_the_task_that_api_create_makes(name: str) -> None:
    assert TASK_ID in json.dumps(read(name))


def test_every_event_is_answered_as_its_name_says(stack: System) -> None:
    for name, status in ANSWERS.items():
        answer = invoke(stack, name)

        if status is None:
            assert not answer.get("batchItemFailures"), (name, answer)
        elif name == "api-create":
            assert answer["statusCode"] in (200, 202), (name, answer)
        else:
            assert answer["statusCode"] == status, (name, answer)
            assert name != "api-read" or json.loads(answer["body"])["task_id"] == TASK_ID

    invoke_until_finished(stack)
    assert invoke(stack, "api-file")["statusCode"] == 302


def invoke_until_finished(stack: System) -> None:
    for _ in range(100):
        if json.loads(invoke(stack, "api-read")["body"])["status"] == "finished":
            return
        time.sleep(0.3)
    pytest.fail("the task of the events did not finish in 30 s")


def invoke(stack: System, name: str) -> dict[str, Any]:
    logical_id = FUNCTIONS.get(name.split("-", maxsplit=1)[0], "SweepFunction")
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs[f"{logical_id}Name"], Payload=json.dumps(read(name)).encode()
    )
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, (name, payload)
    return payload
