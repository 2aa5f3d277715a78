"""The API gives every response that openapi.json declares, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest

from imagetasks.api import order_request
from imagetasks.api.schemas import task_body
from imagetasks.aws.submit_account import ACCOUNT_PK
from imagetasks.clock import wall_clock_ms
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.task import derive_task_id
from openapi.operations import OPERATIONS, PUBLIC, Operation
from tests.support.api import ORDER, STORED_IMAGE, aws_client, fail_every_call
from tests.support.emulated_aws import Cloud, aws
from tests.support.environment import TestEnvironment
from tests.support.fakes import client_error, task
from tests.support.lambdas import HandlerResponse, http_event, invoke, load_handler, request_headers
from tests.support.openapi_schemas import declared_operation, schema_errors
from tests.support.scripted_server import responding, scripted_server

TOKEN: Mapping[str, Any] = {"owner": "ann", "max_credits": 100}
IDS = [operation.id for operation in OPERATIONS]
# PoYo's responses to a submit. The first is its response to a request for the balance, too.
ACCEPTED = {"code": 200, "data": {"task_id": "BFJI1885TB0ROHQM", "credits_amount": 12.5}}
REJECTIONS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "rejected": ("400 Bad Request", {"code": 400, "error": {"message": "no"}}),
    "moderated": ("400 Bad Request", {"code": 400, "error": {"message": "content policy"}}),
    "insufficient_credits": ("402 Payment Required", {"code": 402, "error": {"message": "none"}}),
    "invalid_key": ("401 Unauthorized", {"code": 401, "error": {"message": "Invalid API key"}}),
}


@dataclass
class Deployment:
    """The API's handler module in several environments, each as after a cold start."""

    cloud: Cloud
    handler_modules: Mapping[str, ModuleType]
    orders: int = 0

    @property
    def handler_module(self) -> ModuleType:
        return self.handler_modules["usual"]

    def new_idempotency_key(self) -> str:
        self.orders += 1
        return f"key-{self.orders}"

    def close_breaker(self) -> None:
        self.cloud.client("dynamodb").delete_item(
            TableName=self.cloud.table_name, Key={"pk": {"S": ACCOUNT_PK}}
        )


@dataclass(frozen=True)
class ValidRequest:
    """A request that the operation accepts, from which tests make invalid ones."""

    operation: Operation
    path: str
    headers: dict[str, str] = field(default_factory=request_headers)
    body: object = None

    def send(self, handler_module: ModuleType) -> HandlerResponse:
        body = self.body if isinstance(self.body, str | None) else json.dumps(self.body)
        event = http_event(self.operation.method, self.path, headers=self.headers, body=body)
        event["queryStringParameters"] = dict(parse_qsl(event["rawQueryString"]))
        return invoke(handler_module, event)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with ExitStack() as stack:
        cloud = stack.enter_context(aws())
        without_keys = cloud.client("secretsmanager").create_secret(Name="empty", SecretString="[]")
        poyo = {"usual": ("200 OK", ACCEPTED), **REJECTIONS}
        servers = {
            name: stack.enter_context(
                scripted_server(responding(status, json.dumps(body).encode()))
            ).url
            for name, (status, body) in poyo.items()
        }
        environments = {name: {"POYO_BASE_URL": url} for name, url in servers.items()} | {
            "no_table": {},
            "no_secret": {},
            "no_keys": {"API_SECRET_ARN": without_keys["ARN"]},
            "paused": {"ORDERS_PAUSED": "true"},
            "no_budget": {"OWNER_DAILY_CREDITS": "1"},
            "retention": {"IMAGE_RETENTION_DAYS": "1"},
        }
        handler_modules = {
            name: stack.enter_context(
                load_handler("api", cloud, **{"POYO_BASE_URL": servers["usual"], **variables})
            )
            for name, variables in environments.items()
        }
        for name, service in (("no_table", "dynamodb"), ("no_secret", "secretsmanager")):
            client = aws_client(handler_modules[name], service)
            fail_every_call(client, client_error("ThrottlingException"))
        yield Deployment(cloud, handler_modules)


def valid_request(deployment: Deployment, operation: Operation) -> ValidRequest:
    finished = task(
        state="finished",
        owner="owner",
        files=(STORED_IMAGE,),
        file_url_key="k",
        owner_key="owner",
        finished_at=1,  # in 1970
    )
    TestEnvironment(deployment.cloud).put(finished)
    token = task_body(finished, public_base_url="")["files"][0]["file_url"].rpartition("/")[2]
    parts = {"task_id": finished.task_id, "n": "0", "mac": token, "model": "gpt-image-2"}
    parts["scope"] = "owner:ada"
    if "token_id" in operation.parameters:
        parts["token_id"] = issue(deployment)["token_id"]
    body = BODIES.get(operation.id, ORDER)
    headers = {} if operation.access == PUBLIC else request_headers()
    if {"key", "optional_key"} & set(operation.parameters):
        headers["idempotency-key"] = deployment.new_idempotency_key()
    path = operation.path.format(**parts)
    return ValidRequest(operation, path, headers, body if operation.request_model else None)


def issue(deployment: Deployment, **restrictions: Any) -> Any:
    """A new browser token of `ann`."""
    body = json.dumps({**TOKEN, **restrictions})
    event = http_event("POST", "/v1/tokens", headers=request_headers(), body=body)
    return invoke(deployment.handler_module, event).json


def with_token(headers: Mapping[str, str], **restrictions: Any) -> Case:
    """Send the request with a new browser token in place of the server key."""

    def send(deployment: Deployment, request: ValidRequest) -> list[HandlerResponse]:
        token = issue(deployment, **restrictions)["token"]
        sent = {**request.headers, "authorization": f"Bearer {token}", **headers}
        return [replace(request, headers=sent).send(deployment.handler_module)]

    return send


BODIES: Mapping[str, object] = {
    "createUpload": {"content_type": "image/png"},
    "createToken": TOKEN,
    "setBudget": {"max_credits": 7},
}
Case = Callable[[Deployment, ValidRequest], list[HandlerResponse]]


def changed(**changes: Any) -> Case:
    """Send the request with these changes, to the usual handler module or the one named `to`."""
    name = changes.pop("to", "usual")

    def send(deployment: Deployment, request: ValidRequest) -> list[HandlerResponse]:
        values = {key: change(request) for key, change in changes.items()}
        deployment.close_breaker()  # so that each rejection is the first one
        return [replace(request, **values).send(deployment.handler_modules[name])]

    return send


def without_header(header: str) -> Callable[[ValidRequest], dict[str, str]]:
    return lambda request: {k: v for k, v in request.headers.items() if k != header}


def with_headers(**headers: str) -> Callable[[ValidRequest], dict[str, str]]:
    added = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: request.headers | added


def after_an_order(
    deployment: Deployment,
    request: ValidRequest,
    then: Callable[[ValidRequest, str], list[HandlerResponse]],
) -> list[HandlerResponse]:
    """Send the request, then call `then` with it and the task's id; nothing if it places no order."""
    if "idempotency-key" not in request.headers:
        return []
    assert request.send(deployment.handler_module).status in (200, 202)
    return then(request, derive_task_id("owner", request.headers["idempotency-key"]))


def reuse_key(deployment: Deployment, request: ValidRequest) -> list[HandlerResponse]:
    other = {**ORDER, "input": {"prompt": "another"}}
    return after_an_order(
        deployment,
        request,
        lambda first, _: [replace(first, body=other).send(deployment.handler_module)],
    )


def delete_then_repeat(deployment: Deployment, request: ValidRequest) -> list[HandlerResponse]:
    def delete_and_repeat(request: ValidRequest, task_id: str) -> list[HandlerResponse]:
        event = http_event("DELETE", f"/v1/tasks/{task_id}", headers=request_headers())
        assert invoke(deployment.handler_module, event).status == 204
        return [request.send(deployment.handler_module)]

    return after_an_order(deployment, request, delete_and_repeat)


def repeat(deployment: Deployment, request: ValidRequest) -> list[HandlerResponse]:
    return after_an_order(
        deployment, request, lambda first, _: [first.send(deployment.handler_module)]
    )


def order_while_too_many_wait(
    deployment: Deployment, request: ValidRequest
) -> list[HandlerResponse]:
    environment = TestEnvironment(deployment.cloud)
    starts = [wall_clock_ms()] * environment.limits.window_submits
    item = {"pk": ACCOUNT_PK, "revision": 1, "issued": 5_000, "starts": starts}
    environment.table.put(PutItem(item=item, condition=Condition((absent("never"),))))
    response = request.send(deployment.handler_module)
    deployment.close_breaker()
    return [response]


def repeat_with_etag(deployment: Deployment, request: ValidRequest) -> list[HandlerResponse]:
    etag = request.send(deployment.handler_module).headers.get("etag", '"none"')
    conditional = replace(request, headers=request.headers | {"if-none-match": etag})
    return [conditional.send(deployment.handler_module)]


def path_with(part: str, value: str) -> Callable[[ValidRequest], str]:
    """The path with another value of this parameter; unchanged if it has no such parameter."""

    def path(request: ValidRequest) -> str:
        template, path = request.operation.path.split("/"), request.path.split("/")
        pairs = zip(template, path, strict=True)
        return "/".join(value if name == f"{{{part}}}" else segment for name, segment in pairs)

    return path


def control_character_path(request: ValidRequest) -> str:
    """The path with a control character as every parameter."""
    for part in re.findall(r"{(\w+)}", request.operation.path):
        request = replace(request, path=path_with(part, "\x84")(request))
    return request.path


# Everything that can happen to a request.
CASES: Mapping[str, Case] = {
    "valid": changed(),
    "repeated": repeat,
    "If-None-Match": repeat_with_etag,
    "no key": changed(headers=without_header("authorization")),
    "wrong key": changed(headers=with_headers(authorization="Bearer wrong")),
    "invalid token": changed(headers=with_headers(authorization="Bearer eyJ.e30.")),
    "token": with_token({}),
    "token of another owner": with_token({"x-owner": "bob"}),
    "token of a page elsewhere": with_token({}, origin="https://shop.example"),
    "token without reading": with_token({}, scopes=["tasks:write", "uploads:write", "quotes"]),
    "token without writing": with_token({}, scopes=["tasks:read"]),
    "token for another model": with_token({}, models=["gpt-image-2-edit"]),
    "invalid owner": changed(headers=with_headers(x_owner="not a name")),
    "another owner": changed(headers=with_headers(x_owner="another-owner")),
    "unknown parameter": changed(path=lambda request: f"{request.path}?colour=red"),
    "no idempotency key": changed(headers=without_header("idempotency-key")),
    "invalid idempotency key": changed(headers=with_headers(idempotency_key="a\tb")),
    "non-ASCII white space as idempotency key": changed(
        headers=with_headers(idempotency_key="\x85")
    ),
    "reused idempotency key": reuse_key,
    "key of a deleted task": delete_then_repeat,
    "unknown task": changed(path=path_with("task_id", "a" * 26)),
    "expired file": changed(to="retention"),
    "unknown token": changed(path=path_with("token_id", "0" * 32)),
    "unknown file": changed(path=path_with("n", "7")),
    "file number of 5000 digits": changed(path=path_with("n", "9" * 5000)),
    "forged signed URL": changed(path=path_with("mac", "A" * 43)),
    "unknown scope": changed(path=path_with("scope", "token:x")),
    "control character in the path": changed(path=control_character_path),
    "unknown model in the path": changed(path=path_with("model", "gpt-image-1")),
    "unknown model in the body": changed(
        body=lambda request: request.body and {**ORDER, "model": "x"}
    ),
    "body that is no object": changed(body=lambda request: request.body and "[]"),
    "truncated body": changed(body=lambda request: request.body and '{"model":'),
    "too large body": changed(body=lambda request: request.body and "x" * 300_000),
    "forbidden callback_url": changed(
        body=lambda request: request.body and {**ORDER, "callback_url": "http://10.0.0.1/"}
    ),
    "too many orders wait": order_while_too_many_wait,
    "paused orders": changed(to="paused"),
    "exhausted budget": changed(to="no_budget"),
    "unavailable table": changed(to="no_table"),
    "unavailable secret": changed(to="no_secret"),
    "missing keys": changed(to="no_keys"),
    **{f"rejected by PoYo: {name}": changed(to=name) for name in REJECTIONS},
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_operation_gives_every_declared_response_and_no_other(
    deployment: Deployment, operation: Operation
) -> None:
    given: dict[str, set[str]] = {}
    for name, case in CASES.items():
        for response in case(deployment, valid_request(deployment, operation)):
            codes = check_response(operation, response, name)
            given.setdefault(str(response.status), set()).update(codes)

    responses = declared_operation(operation)["responses"]
    declared = {status: _codes(each) for status, each in responses.items()}
    # No request provokes an unexpected error; test_api.py tests one. /health alone declares none.
    assert (declared.pop("500", None) is None) is (operation.id == "health")
    if responses["429"]["description"] == "Throttled by API Gateway":  # before the handler
        declared.pop("429")
    assert given == declared


def test_forbidden_callback_url_is_rejected_in_orders_and_quotes(deployment: Deployment) -> None:
    forbidden = {**ORDER, "callback_url": "http://10.0.0.1/"}
    for operation in OPERATIONS:
        if operation.request_model is order_request.CreateTaskRequest:
            request = replace(valid_request(deployment, operation), body=forbidden)
            status = request.send(deployment.handler_module).status
            assert status in (400, 422), operation.id


def test_idempotency_key_of_non_ascii_white_space_is_invalid_and_not_missing(
    deployment: Deployment,
) -> None:
    for operation in OPERATIONS:
        if {"key", "optional_key"} & set(operation.parameters):
            request = valid_request(deployment, operation)
            headers = request.headers | {"idempotency-key": "\x85"}
            response = replace(request, headers=headers).send(deployment.handler_module)
            assert "has 1 to 255 printable ASCII" in response.body, operation.id


def check_response(operation: Operation, response: HandlerResponse, case: str) -> set[str]:
    """Check headers and body against the declared response; return the problem code, if it is one."""
    responses = declared_operation(operation)["responses"]
    assert str(response.status) in responses, (case, response)
    declared = responses[str(response.status)]
    for name, header in declared.get("headers", {}).items():
        value = response.headers.get(name.lower())
        assert value or not header.get("required"), (case, name)
        convert = int if header["schema"]["type"] == "integer" else str
        assert value is None or schema_errors(convert(value), header["schema"]) == [], (case, name)
    if not declared.get("content"):
        assert response.body == "", case
        return set()
    content_type = response.headers["content-type"]
    content = declared["content"][content_type]
    assert schema_errors(response.json, content["schema"]) == [], (case, response.body)
    if content_type != "application/problem+json":
        return set()
    return {response.json["code"]}


def _codes(response: Mapping[str, Any]) -> set[str]:
    problem = response.get("content", {}).get("application/problem+json", {})
    return set(problem.get("examples", ()))
