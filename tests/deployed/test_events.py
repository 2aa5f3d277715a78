"""The sample events in events/ cover every route and function, match the local keys and get the expected responses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from imagetasks.api import browser_tokens
from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id, task_pk
from local import stack as local_stack
from local.system import System
from tests.fixtures.lambda_events import EXPECTED_STATUS, EXPECTED_STATUS_WHEN_FINISHED
from tests.support.template import properties

EVENTS = Path(__file__).parents[2] / "events"
FUNCTIONS = {
    "api": "ApiFunction",
    "webhook": "WebhookFunction",
    "worker": "WorkerFunction",
    "notify": "NotifyFunction",
    "drift": "DriftFunction",
}
TASK_ID = derive_task_id("default", "events-sample-1")


def read(name: str) -> dict[str, Any]:
    """The content of a sample event."""
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def names() -> set[str]:
    """The name of every sample event."""
    return {path.stem for path in EVENTS.glob("*.json")} - {"env"}


def test_every_event_has_an_expected_response() -> None:
    assert names() == {*EXPECTED_STATUS, *EXPECTED_STATUS_WHEN_FINISHED}


def test_every_route_and_every_function_has_an_event() -> None:
    """The routes are those of the template, except `$default`."""
    events = [read(name) for name in names()]
    covered = {each.get("routeKey", "").partition(" ")[::2] for each in events}
    declared = [
        (each["Properties"]["Method"], each["Properties"]["Path"])
        for function in ("ApiFunction", "WebhookFunction")
        for each in properties(function)["Events"].values()
        if each["Properties"]["Path"] != "$default"
    ]

    assert len(declared) >= 16
    assert set(declared) <= covered
    assert {name.partition("-")[0] for name in names()} == {*FUNCTIONS, "sweep"}


@pytest.mark.parametrize("name", sorted({*EXPECTED_STATUS, *EXPECTED_STATUS_WHEN_FINISHED}))
def test_http_event_has_the_shape_that_api_gateway_sends(name: str) -> None:
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


def test_callback_events_use_the_signed_url_of_the_local_keys() -> None:
    kid = local_stack.CALLBACK_KEYS["current"]
    path = signed_urls.callback_path(kid, local_stack.CALLBACK_KEYS[kid], TASK_ID)

    assert read("webhook-finished")["rawPath"] == path
    assert read("webhook-forged")["rawPath"] != path


@pytest.mark.parametrize(
    "name",
    [
        "api-read",
        "api-read-wait",
        "api-file",
        "api-signed-url-forged",
        "api-delete",
        "api-poyo-status",
        "worker-callback",
        "worker-sweep",
        "notify-caller",
    ],
)
def test_event_refers_to_the_task_that_api_create_creates(name: str) -> None:
    assert TASK_ID in json.dumps(read(name))


def test_poyo_submit_event_places_the_same_order_as_api_create() -> None:
    create, submit = read("api-create"), read("api-poyo-submit")

    assert submit["body"] == create["body"]
    assert submit["headers"]["idempotency-key"] == create["headers"]["idempotency-key"]


def delete_item_of_the_task(stack: System) -> None:
    """Another test may have created or deleted the task of these events before."""
    key = {"pk": {"S": task_pk(TASK_ID)}}
    stack.client("dynamodb").delete_item(TableName=stack.outputs["TasksTableName"], Key=key)


def test_every_event_gets_its_expected_response(stack: System) -> None:
    delete_item_of_the_task(stack)
    for name, status in EXPECTED_STATUS.items():
        response = invoke(stack, name)

        if status is None:
            assert not response.get("batchItemFailures"), (name, response)
        elif name == "api-create":
            assert response["statusCode"] in (200, 202), (name, response)
        else:
            assert response["statusCode"] == status, (name, response)
            assert name != "api-read" or json.loads(response["body"])["task_id"] == TASK_ID

    check_events_of_a_token(stack)
    task = invoke_until_finished(stack)
    link = read("api-signed-url-forged") | {"rawPath": urlsplit(task["files"][0]["file_url"]).path}
    assert invoke(stack, "api-signed-url-forged", link)["statusCode"] == 302
    for name, status in EXPECTED_STATUS_WHEN_FINISHED.items():
        assert invoke(stack, name)["statusCode"] == status, name
    for name in ("api-read", "api-file", "api-poyo-status"):
        assert invoke(stack, name)["statusCode"] == 404, name
    assert invoke(stack, "api-create")["statusCode"] == 410


def check_events_of_a_token(stack: System) -> None:
    """The events of a token with the id and the text of a new one."""
    issued = json.loads(invoke(stack, "api-token-create")["body"])
    path = {"rawPath": f"/v1/tokens/{issued['token_id']}"}
    order = read("api-create-with-token")
    order["headers"]["authorization"] = f"Bearer {issued['token']}"

    assert invoke(stack, "api-token-read", read("api-token-read") | path)["statusCode"] == 200
    assert invoke(stack, "api-create-with-token", order)["statusCode"] in (200, 202)
    assert invoke(stack, "api-token-revoke", read("api-token-revoke") | path)["statusCode"] == 204
    assert invoke(stack, "api-create-with-token", order)["statusCode"] == 401


def test_token_of_the_event_is_signed_with_the_local_key_and_has_ended() -> None:
    text = read("api-create-with-token")["headers"]["authorization"].removeprefix("Bearer ")

    with pytest.raises(browser_tokens.InvalidToken, match="ExpiredSignatureError"):
        browser_tokens.verify(text, issuer="http://127.0.0.1:8787", keys=local_stack.TOKEN_KEYS)


def invoke_until_finished(stack: System) -> dict[str, Any]:
    """The task as `api-read` returns it once it is finished."""
    for _ in range(100):
        task: dict[str, Any] = json.loads(invoke(stack, "api-read")["body"])
        if task["status"] == "finished":
            return task
        time.sleep(0.3)
    pytest.fail("the task of the events did not finish in 30 s")


def invoke(stack: System, name: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
    """The response of the function that `name` belongs to, to that event or to `event` if it is given."""
    prefix = name.partition("-")[0]
    function = stack.outputs[f"{FUNCTIONS.get(prefix, 'SweepFunction')}Name"]
    content = json.dumps(event or read(name)).encode()
    response = stack.client("lambda").invoke(FunctionName=function, Payload=content)
    payload: dict[str, Any] = json.loads(response["Payload"].read())
    assert "FunctionError" not in response, (name, payload)
    return payload
