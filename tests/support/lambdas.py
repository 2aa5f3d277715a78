"""The functions as Lambda runs them: a module loaded afresh, an event in, an answer out."""

from __future__ import annotations

import base64
import importlib.util
import io
import itertools
import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest

from imagetasks import telemetry
from imagetasks.tasks.task import StoredImage, Task
from tests.support.environment import SERVER_KEY, Cloud, TestEnvironment, aws
from tests.support.fakes import POYO_ID, PROMPT, task
from tests.support.scripted_server import Behaviour, Origin, answering, origin

FUNCTIONS = Path(__file__).parents[2] / "functions"


class Context:
    """What Lambda says of an invocation."""

    function_name = "function"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id = "request"

    def __init__(self, remaining_ms: int = 30_000) -> None:
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms


@contextmanager
def opened(
    name: str, cloud: Cloud, *, without: str = "", **environment: str
) -> Iterator[ModuleType]:
    """The door `name`, as after a cold start with the template's variables and these."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in cloud.environment(**environment).items():
            patch.setenv(variable, value)
        if without:
            patch.delenv(without)
        spec = importlib.util.spec_from_file_location(f"door_{name}", FUNCTIONS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        door = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(door)
        yield door


def event(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: str | bytes | None = None,
    in_base64: bool = False,
) -> dict[str, Any]:
    """A request as API Gateway's HTTP API hands it over, payload format 2.0."""
    path, _, query = path.partition("?")
    content = body.encode() if isinstance(body, str) else body
    whole: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example", "user-agent": "test"} | dict(headers or {}),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "test",
            },
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "22/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795348800000,
        },
        "isBase64Encoded": in_base64,
    }
    if query:  # decoded, and with a comma between values of one name
        given: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            given[name] = f"{given[name]},{value}" if name in given else value
        whole["queryStringParameters"] = given
    if content is not None:
        packed = base64.b64encode(content) if in_base64 else content
        whole["body"] = packed.decode()
    return whole


@dataclass(frozen=True)
class Answer:
    """What goes back through the gateway; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def called(door: ModuleType, request: Mapping[str, Any]) -> Answer:
    """The door's answer to one request."""
    raw = door.handler(dict(request), Context())
    json.dumps(raw)
    assert not raw.get("isBase64Encoded")
    headers = {name.lower(): str(value) for name, value in raw.get("headers", {}).items()}
    return Answer(raw["statusCode"], headers, raw["body"])


def bearer(key: str = SERVER_KEY, **further: str) -> dict[str, str]:
    """Headers of a caller with a server key."""
    named = {name.replace("_", "-"): value for name, value in further.items()}
    return {"authorization": f"Bearer {key}", "content-type": "application/json"} | named


def calls(*clients: Any) -> list[str]:
    """Every call that these AWS clients make from now on, as `Service.Operation`."""
    made: list[str] = []
    for client in clients:

        def note(model: Any, **_: Any) -> None:
            made.append(f"{model.service_model.service_id}.{model.name}")

        client.meta.events.register("before-call.*.*", note)
    return made


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Everything that our logger writes while the block runs, as CloudWatch would get it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(telemetry.log.registered_formatter)
    telemetry.log.addHandler(handler)
    try:
        yield written
    finally:
        telemetry.log._logger.removeHandler(handler)


# The API's door, and a PoYo that takes every order


STRANGER_KEY = "another-server-key"
ORDER: dict[str, Any] = {"model": "gpt-image-2", "input": {"prompt": PROMPT}}
BALANCE = 1234.56
KEPT = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@dataclass(frozen=True)
class Api:
    """The API's door, the cloud behind it and the PoYo behind that."""

    door: ModuleType
    cloud: Cloud
    poyo: Origin

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = SERVER_KEY,
        **headers: str,
    ) -> Answer:
        """One request; `body` as it is or as JSON, `headers` with `_` for `-`."""
        content = body if isinstance(body, bytes | str | None) else json.dumps(body)
        said = bearer(key, **headers) if key is not None else bearer("", **headers)
        if key is None:
            del said["authorization"]
        packed = isinstance(content, bytes)
        return called(self.door, event(method, path, headers=said, body=content, in_base64=packed))

    def create(self, body: object = ORDER, *, idempotency_key: str = "key", **said: Any) -> Answer:
        return self.ask("POST", "/v1/tasks", body, idempotency_key=idempotency_key, **said)

    def read(self, path: str, **said: Any) -> Answer:
        return self.ask("GET", path, **said)

    def put(self, **changed: Any) -> Task:
        """A task in the table, just so."""
        return TestEnvironment(self.cloud).put(task(**changed))

    def finished(self, images: int = 1, **changed: Any) -> Task:
        """A finished task of `owner` with so many images."""
        files = tuple(replace(KEPT, key=f"images/t/{n}") for n in range(images))
        settled = {"state": "finished", "poyo_id": POYO_ID, "due_at": None, "due_shard": None}
        listed = {"owner_status_key": f"finished#{changed.get('owner', 'owner')}"}
        return self.put(**settled | listed | {"files": files} | changed)

    def submits(self) -> int:
        """How many submits PoYo has seen."""
        return sum(each.startswith(b"POST") for each in self.poyo.requests)

    def untouched(self) -> bool:
        """Whether nothing was written and nothing sent."""
        return (self.poyo.requests, self.cloud.items(), self.cloud.messages()) == ([], [], [])


def taking() -> Behaviour:
    """A PoYo that takes every order, each under an id of its own, and tells its balance."""
    numbers = itertools.count()

    def behave(connection: socket.socket, request: bytes) -> None:
        data: dict[str, object] = {"credits_amount": BALANCE, "email": "somebody@example.com"}
        if request.startswith(b"POST"):
            data = {"task_id": f"POYO{next(numbers):012}", "status": "not_started"}
        said = json.dumps({"code": 200, "data": data}).encode()
        answering("200 OK", said)(connection, request)

    return behave


@contextmanager
def opened_api(behaviour: Behaviour | None = None, **environment: str) -> Iterator[Api]:
    """The API as after a cold start, in an empty cloud, before a PoYo that behaves like that."""
    with aws() as cloud, origin(behaviour or taking()) as poyo:
        further = {"POYO_BASE_URL": poyo.url} | environment
        with opened("api", cloud, **further) as door:
            yield Api(door, cloud, poyo)


def problem(answer: Answer, status: int, code: str, *, charged: bool | None = False) -> Any:
    """The answer's body, once it is certain to be a problem as RFC 9457 has them."""
    kind = answer.headers["content-type"]
    assert (answer.status, kind) == (status, "application/problem+json"), answer.body
    said = answer.json
    assert (said["status"], said["code"], said["charged"]) == (status, code, charged)
    assert said["title"]
    assert said["detail"]
    assert isinstance(said["retryable"], bool)
    assert ("retry-after" in answer.headers) is said["retryable"]
    return said
