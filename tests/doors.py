"""The functions as Lambda runs them: a module loaded afresh, an event in, an answer out."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from imagetasks import telemetry
from tests.world import SERVER_KEY, Cloud

FUNCTIONS = Path(__file__).parent.parent / "functions"


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
