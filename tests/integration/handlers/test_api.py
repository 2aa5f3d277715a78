"""The API as a whole: every route, unauthenticated callers, unknown paths, and failures of our own."""

from __future__ import annotations

import gc
import io
import json
import re
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from imagetasks.api import routes
from imagetasks.aws.token_repository import TokenRepository
from imagetasks.tasks import signed_urls
from imagetasks.tasks.caller import SCOPES, Token
from imagetasks.tasks.task import derive_task_id
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.emulated_aws import CALLBACK_KEY, OTHER_SERVER_KEY, SERVER_KEY, Cloud, aws
from tests.support.environment import TestEnvironment
from tests.support.fakes import POYO_KEY, PROMPT, client_error
from tests.support.lambdas import (
    Context,
    HandlerResponse,
    captured_logs,
    http_event,
    invoke,
    load_handler,
    recorded_aws_calls,
    request_headers,
)
from tests.support.template import properties

PUBLIC = {  # routes that need no server key
    ("GET", "/files/<task_id>/<n>/<mac>"),
    ("GET", "/v1/catalog/models"),
    ("GET", "/v1/catalog/models/<model>"),
    ("GET", "/openapi.json"),
    ("GET", "/health"),
}
BODIES: dict[str, object] = {
    "/v1/uploads": {"content_type": "image/png"},
    "/v1/tokens": {"owner": "ann", "max_credits": 1},
    "/v1/budgets/<scope>": {"max_credits": 1},
}
POYO_SHAPED = ("/api/", "/v1/catalog/")  # paths with errors in PoYo's shape


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


SERVED = [(method, rule) for method, rule, _ in routes.ROUTES]
ROUTES = [each for each in SERVED if each[0] != "HEAD"]  # HEAD has tests of its own
AUTHENTICATED = [each for each in ROUTES if each not in PUBLIC]
TASK_ROUTES = [each for each in ROUTES if "<task_id>" in each[1]]


TOKEN_ID = "0" * 32


def put_token(api: Api) -> None:
    """Write the token that `path_of` names."""
    TokenRepository(TestEnvironment(api.cloud).table).create(
        Token(
            token_id=TOKEN_ID,
            key="owner",
            key_id="i",
            owner="owner/ann",
            scopes=SCOPES,
            max_credits=Decimal(1),
            ends_at=2**41,
        )
    )


def path_of(rule: str, task_id: str = derive_task_id("owner", "key")) -> str:
    """A path that matches the rule."""
    parts = {
        "task_id": task_id,
        "token_id": TOKEN_ID,
        "scope": "owner",
        "n": "0",
        "mac": signed_urls.file_token("a1" * 20, 0),
    }
    return re.sub(r"<(\w+)>", lambda found: {**parts, "model": "gpt-image-2"}[found[1]], rule)


def request(api: Api, method: str, rule: str, **headers: Any) -> HandlerResponse:
    """The response to a request that the route accepts."""
    body = BODIES.get(rule, ORDER) if method in ("POST", "PUT") else None
    path = path_of(rule, headers.pop("task_id", derive_task_id("owner", "key")))
    return api.request(method, path, body, **{"idempotency_key": "key"} | headers)


def problem_type(response: HandlerResponse, path: str) -> str:
    """The problem code, or PoYo's error type on paths with errors in PoYo's shape."""
    if path.startswith(POYO_SHAPED):
        assert response.headers["content-type"] == "application/json"
        return str(response.json["error"]["type"])
    return str(assert_problem(response, response.status, response.json["code"])["code"])


def test_template_and_handler_have_the_same_routes() -> None:
    events = properties("ApiFunction")["Events"].values()
    declared = {(each["Properties"]["Method"], each["Properties"]["Path"]) for each in events}

    served = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule)) for method, rule in ROUTES
    }  # HEAD: $default

    assert declared == served | {("ANY", "$default")}


@pytest.mark.parametrize(("method", "rule"), ROUTES)
def test_every_route_accepts_its_request(api: Api, method: str, rule: str) -> None:
    api.put_finished()
    put_token(api)

    response = request(api, method, rule, idempotency_key="new")

    assert response.status in (200, 201, 202, 204, 302), response.body


UNAUTHENTICATED: list[dict[str, str]] = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": f"Basic {SERVER_KEY}"},
    {"authorization": SERVER_KEY},
    {"authorization": "Bearer wrong"},
    {"authorization": f"Bearer {SERVER_KEY}x"},
    {"authorization": f"Bearer {SERVER_KEY.upper()}"},
    {"authorization": "Bearer owner"},
    {"authorization": "Bearer é\ud83d"},
    {"authorization": "Bearer wrong", "x-owner": "owner"},
    {"x-api-key": SERVER_KEY},
]


@pytest.mark.parametrize(("method", "rule"), AUTHENTICATED)
def test_unauthenticated_caller_gets_401_on_every_route(api: Api, method: str, rule: str) -> None:
    api.put_finished()
    clients = api.handler_module.clients
    calls = recorded_aws_calls(clients.repository.table.client, clients.images.client)
    body = json.dumps(BODIES.get(rule, ORDER)) if method == "POST" else None
    expected = "authentication_error" if rule.startswith(POYO_SHAPED) else "unauthorized"

    for headers in UNAUTHENTICATED:
        sent = {"idempotency-key": "key"} | headers
        response = invoke(
            api.handler_module, http_event(method, path_of(rule), headers=sent, body=body)
        )
        assert (response.status, problem_type(response, rule)) == (401, expected), headers
        assert response.headers["www-authenticate"] == "Bearer"

    assert (calls, api.poyo.requests) == ([], [])


@pytest.mark.parametrize(("method", "rule"), sorted(PUBLIC))
def test_public_route_needs_no_key(api: Api, method: str, rule: str) -> None:
    api.put_finished()

    with_key, without_key = request(api, method, rule), request(api, method, rule, key=None)

    assert without_key.status in (200, 302)
    assert without_key.body == with_key.body


@pytest.mark.parametrize(("method", "rule"), AUTHENTICATED)
def test_invalid_owner_gets_400_on_every_route(api: Api, method: str, rule: str) -> None:
    api.put_finished()
    clients = api.handler_module.clients
    calls = recorded_aws_calls(clients.repository.table.client, clients.images.client)

    expected = "validation_error" if rule.startswith(POYO_SHAPED) else "invalid_owner"

    for owner in ("", " ", "a b", "a/b", "é", "x" * 129, "a\n", "a,b", "#", "a\0"):
        response = request(api, method, rule, x_owner=owner)
        assert (response.status, problem_type(response, rule)) == (400, expected), owner

    assert (calls, api.poyo.requests) == ([], [])


@pytest.mark.parametrize(
    ("method", "rule"), [each for each in TASK_ROUTES if each in AUTHENTICATED]
)
def test_task_of_another_owner_gets_the_response_of_an_unknown_task(
    api: Api, method: str, rule: str
) -> None:
    api.put_finished()
    api.put(owner="other", key="other", owner_key="other")

    for headers in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}, {"x_owner": "owner"}):
        found = request(api, method, rule, **headers)
        unknown = request(api, method, rule, task_id=derive_task_id("unknown", "key"), **headers)
        assert found.status == 404
        assert (found.body, found.headers) == (unknown.body, unknown.headers)
    assert request(api, method, rule).status in (200, 204, 302)


@pytest.mark.parametrize(("method", "rule"), TASK_ROUTES)
def test_deleted_task_gets_the_response_of_an_unknown_task(
    api: Api, method: str, rule: str
) -> None:
    finished = api.put_finished()
    assert api.request("DELETE", f"/v1/tasks/{finished.task_id}").status == 204

    deleted = request(api, method, rule)
    unknown = request(api, method, rule, task_id=derive_task_id("unknown", "key"))

    if method == "DELETE":
        assert (deleted.status, unknown.status) == (204, 404)
    else:
        assert deleted.status == 404
        assert (deleted.body, deleted.headers) == (unknown.body, unknown.headers)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_case_of_the_authorization_scheme_does_not_matter(api: Api, scheme: str) -> None:
    headers = {"authorization": f"{scheme}  {SERVER_KEY} "}

    response = invoke(api.handler_module, http_event("GET", "/v1/tasks", headers=headers))

    assert response.status == 200


# Unknown paths and methods


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/tasks/x/files"),
        ("GET", "/v1/tasks/x/files/0/y"),
        ("GET", "//v1/tasks"),
        ("GET", "/V1/TASKS/x"),
        ("GET", "/.env"),
        ("GET", "/v1/tasks/" + "x/" * 500),
        ("GET", "/" + "ü" * 100),
        ("GET", '/v1/tasks/"'),
        ("GET", "/v1/tasks/a\\b"),
        ("DELETE", "/v1/tasks/`"),
    ],
)
def test_unknown_path_gets_404_as_a_problem(api: Api, method: str, path: str) -> None:
    response = invoke(api.handler_module, http_event(method, path, headers=request_headers()))

    assert_problem(response, 404, "no_such_route")


@pytest.mark.parametrize("rule", sorted({rule for _, rule in ROUTES}))
def test_other_method_gets_405_with_the_allowed_methods(api: Api, rule: str) -> None:
    allowed = {method for method, each in SERVED if each == rule}

    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"} - allowed:
        response = api.request(method, path_of(rule))
        if method == "HEAD":
            assert (response.status, response.body) == (405, "")
            continue
        expected = "validation_error" if rule.startswith(POYO_SHAPED) else "method_not_allowed"
        assert (response.status, problem_type(response, rule)) == (405, expected)
        assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("rule", [rule for method, rule in ROUTES if method == "GET"])
def test_head_has_the_status_and_headers_of_get_without_its_body(api: Api, rule: str) -> None:
    api.put_finished()

    get, head = request(api, "GET", rule), request(api, "HEAD", rule)

    assert (head.status, set(head.headers), head.body) == (get.status, set(get.headers), "")
    assert head.headers.get("etag") == get.headers.get("etag")
    assert api.request("HEAD", "/nothing").status == 404
    assert api.request("HEAD", "/nothing").body == ""


def test_head_of_a_task_does_not_wait(api: Api) -> None:
    running = api.put(state="running")
    began = time.monotonic()

    assert api.request("HEAD", f"/v1/tasks/{running.task_id}?wait=20").status == 200
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("method", "rule"), ROUTES)
def test_slash_at_the_end_of_a_path_changes_nothing(api: Api, method: str, rule: str) -> None:
    api.put_finished()
    body = BODIES.get(rule, ORDER) if method in ("POST", "PUT") else None

    plain = request(api, method, rule, idempotency_key="new")
    slashed = api.request(method, f"{path_of(rule)}/", body, idempotency_key="new")
    two = api.request(method, f"{path_of(rule)}//", body, idempotency_key="new")

    expected = 200 if plain.status == 202 else plain.status  # the second order is a replay
    assert (slashed.status, two.status) == (expected, 404)


def test_health_needs_neither_the_secret_nor_the_table(cloud: Cloud) -> None:
    with load_handler("api", cloud, API_SECRET_ARN="none", TABLE_NAME="none") as handler_module:
        response = invoke(handler_module, http_event("GET", "/health"))

    assert (response.status, response.json) == (200, {"status": "ok"})


def test_openapi_document_is_served_and_has_every_route(api: Api) -> None:
    response = api.get("/openapi.json", key=None)

    documented = {
        (method.upper(), path) for path, each in response.json["paths"].items() for method in each
    }
    served = {(method, re.sub(r"<(\w+)>", r"{\1}", rule)) for method, rule in SERVED}
    assert response.headers["content-type"] == "application/json"
    assert served <= documented


# Failures of our own


# A service, the routes that call it, and what the client of each raises in place of a call.
CALLS = {
    "dynamodb": [each for each in ROUTES if each[1].startswith(("/v1/tasks", "/files"))],
    "secretsmanager": AUTHENTICATED,
}
PASSING = [client_error("ThrottlingException"), EndpointConnectionError(endpoint_url="x")]
DEFECTS = [client_error("AccessDeniedException"), client_error("ResourceNotFoundException")]


def failing(service: str, error: Exception) -> AbstractContextManager[Api]:
    """An API whose calls of `service` raise `error`."""
    return loaded_api(None, {service: error})


@pytest.mark.parametrize("error", PASSING, ids=repr)
@pytest.mark.parametrize("service", CALLS)
def test_service_that_is_briefly_unavailable_gets_503_with_retry_after(
    service: str, error: Exception
) -> None:
    with failing(service, error) as api, captured_logs() as log:
        responses = [request(api, *route) for route in CALLS[service]]

    assert {each.status for each in responses} == {503}
    assert {each.headers["retry-after"] for each in responses} == {"5"}
    assert not {"api_unexpected_error", "aws_call_rejected"} & messages(log)
    assert api.poyo.requests == []


@pytest.mark.parametrize("error", DEFECTS, ids=repr)
@pytest.mark.parametrize("service", CALLS)
def test_missing_permission_or_resource_gets_500_and_an_alarm_with_its_code(
    service: str, error: ClientError
) -> None:
    with failing(service, error) as api, captured_logs() as log:
        responses = [request(api, *route) for route in CALLS[service]]

    assert {each.status for each in responses} == {500}
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    alarms = [line for line in lines if line["message"] == "aws_call_rejected"]
    assert len(alarms) == len(responses)
    assert {(line["level"], line["code"]) for line in alarms} == {
        ("ERROR", error.response["Error"]["Code"])
    }
    assert api.poyo.requests == []


def messages(log: io.StringIO) -> set[str]:
    return {json.loads(line)["message"] for line in log.getvalue().splitlines()}


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
@pytest.mark.parametrize("missing", ["poyo_api_key", "k1"])
def test_missing_keys_get_503_before_anything_is_written(api: Api, path: str, missing: str) -> None:
    secrets, cloud = api.cloud.client("secretsmanager"), api.cloud
    for secret in (cloud.api_secret, cloud.callback_secret):
        values = json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"])
        values |= {missing: ""} if missing in values else {}
        secrets.put_secret_value(SecretId=secret, SecretString=json.dumps(values))

    response = api.request("POST", path, ORDER, idempotency_key="key")

    assert response.status == 503
    if path == "/v1/tasks":
        assert_problem(response, 503, "not_configured", charged=None)
    assert api.has_no_side_effects()


@pytest.mark.parametrize(
    "variable",
    [
        "TABLE_NAME",
        "BUCKET_NAME",
        "QUEUE_URL",
        "API_SECRET_ARN",
        "CALLBACK_SECRET_ARN",
        "TOKEN_SECRET_ARN",
        "POYO_BASE_URL",
        "NOTIFICATION_HOSTS",
        "FIRST_POLL_SECONDS",
        "POYO_SUBMITS_PER_10S",
    ],
)
def test_missing_environment_variable_is_named_at_the_cold_start(
    cloud: Cloud, variable: str
) -> None:
    with pytest.raises(KeyError, match=variable), load_handler("api", cloud, without=variable):
        pass


def test_problem_response_keeps_no_reference_to_its_request(api: Api) -> None:
    events = [
        http_event("POST", "/v1/tasks", headers=request_headers(), body="{}"),
        http_event("GET", "/v1/tasks/x", headers=request_headers("wrong")),
        http_event(
            "GET", f"/v1/tasks/{derive_task_id('unknown', 'key')}", headers=request_headers()
        ),
        http_event("GET", "/v1/tasks?limit=x", headers=request_headers()),
        http_event("PUT", "/v1/tasks", headers=request_headers()),
        http_event("GET", "/nowhere"),
    ]
    contexts = [Context() for _ in events]
    references = [weakref.ref(context) for context in contexts]
    for event in events:
        api.handler_module.handler(event, contexts.pop(0))
    api.get("/health")
    gc.collect()

    assert [each() for each in references] == [None] * len(references)


def test_logs_contain_no_secret(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    finished = api.put_finished(key="finished")
    signed_path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)
    callback = {"callback_url": f"https://{PROMPT}.example/", "metadata": {PROMPT: PROMPT}}
    with captured_logs() as log:
        api.create(idempotency_key="canary-idempotency")
        api.create(ORDER | callback, idempotency_key="second")
        api.create({"model": PROMPT, "input": {"prompt": PROMPT, PROMPT: PROMPT}})
        api.create(f'{{"prompt": "{PROMPT}"', idempotency_key="third")
        api.get(f"/v1/tasks/{finished.task_id}/files/0")
        api.get(f"/v1/tasks/{finished.task_id}/files/7", key=OTHER_SERVER_KEY)
        api.get(signed_path, key=None)
        api.get(f"/v1/{PROMPT}")
        api.get(f"/v1/tasks?{PROMPT}=1")
        api.request("POST", "/v1/uploads", {"content_type": "image/png"})
        api.request("DELETE", f"/v1/tasks/{finished.task_id}")

    logs = log.getvalue() + "".join(capsys.readouterr())
    secrets = (POYO_KEY, SERVER_KEY, OTHER_SERVER_KEY, CALLBACK_KEY, "https://", "X-Amz", "x-amz")
    for canary in (PROMPT, "canary-idempotency", signed_path.rpartition("/")[2], *secrets):
        assert canary not in logs


def test_unexpected_error_gets_500_as_a_problem(api: Api) -> None:
    task_id = derive_task_id("owner", "invalid")
    invalid = {"pk": {"S": f"task#{task_id}"}, "state": {"S": "running"}}
    api.cloud.client("dynamodb").put_item(TableName=api.cloud.table_name, Item=invalid)

    with captured_logs() as log:
        response = api.get(f"/v1/tasks/{task_id}")
        compat = api.get(f"/api/generate/status/{task_id}")

    body = assert_problem(response, 500, "internal", charged=None)
    assert body["retry"] == "same_key"
    assert (compat.status, compat.json["error"]["type"]) == (500, "server_error")
    assert "invalid" not in response.body + compat.body
    assert log.getvalue().count("api_unexpected_error") >= 2
