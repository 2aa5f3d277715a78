"""Loads and invokes the Lambda handlers as Lambda does: a fresh module, an event, a response."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from imagetasks import telemetry
from imagetasks.aws.client import shared_client
from tests.support.emulated_aws import SERVER_KEY, Cloud
from tests.support.template import properties

FUNCTIONS = Path(__file__).parents[2] / "functions"


class Context:
    """The context object of an invocation."""

    function_name = "function"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id = "request"

    def __init__(self, remaining_ms: int = 30_000) -> None:
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms


@contextmanager
def load_handler(
    name: str, cloud: Cloud, *, without: str = "", **environment: str
) -> Iterator[ModuleType]:
    """The handler module `name` as after a cold start, with the template's variables and these."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in cloud.environment(**environment).items():
            patch.setenv(variable, value)
        if without:
            patch.delenv(without)
        shared_client.cache_clear()
        spec = importlib.util.spec_from_file_location(f"handler_{name}", FUNCTIONS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        handler_module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(handler_module)
        yield handler_module


def http_event(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: str | bytes | None = None,
    in_base64: bool = False,
) -> dict[str, Any]:
    """The event of an HTTP API request, payload format 2.0."""
    path, _, query = path.partition("?")
    content = body.encode() if isinstance(body, str) else body
    event: dict[str, Any] = {
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
    if parts := callback_parts(method, path):
        event["pathParameters"] = parts
    if query:  # decoded, and with a comma between values of one name
        parameters: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
        event["queryStringParameters"] = parameters
    if content is not None:
        encoded = base64.b64encode(content) if in_base64 else content
        event["body"] = encoded.decode()
    return event


def callback_parts(method: str, path: str) -> dict[str, str] | None:
    """The decoded parts of a path that API Gateway gives to the webhook; None if it gives it to the API,
    which reads no parts of the event."""
    [event] = properties("WebhookFunction")["Events"].values()
    rule = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", event["Properties"]["Path"])
    found = re.fullmatch(rule, path)
    if not found or method != event["Properties"]["Method"]:
        return None
    return {name: unquote(part) for name, part in found.groupdict().items()}


@dataclass(frozen=True)
class HandlerResponse:
    """The HTTP response that a handler returns; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def invoke(handler_module: ModuleType, event: Mapping[str, Any]) -> HandlerResponse:
    """The handler's response to one HTTP event."""
    raw = handler_module.handler(dict(event), Context())
    json.dumps(raw)  # Lambda serializes what a handler returns
    assert not raw.get("isBase64Encoded")
    headers = {name.lower(): str(value) for name, value in raw.get("headers", {}).items()}
    return HandlerResponse(raw["statusCode"], headers, raw["body"])


def request_headers(key: str = SERVER_KEY, **further: str) -> dict[str, str]:
    """Headers of a JSON request with a server key; `_` in a name becomes `-`."""
    others = {name.replace("_", "-"): value for name, value in further.items()}
    return {"authorization": f"Bearer {key}", "content-type": "application/json"} | others


def recorded_aws_calls(*clients: Any) -> list[str]:
    """A list that grows with every call that these AWS clients make from now on: `Service.Operation`."""
    calls: list[str] = []
    for client in clients:

        def record(model: Any, **_: Any) -> None:
            calls.append(f"{model.service_model.service_id}.{model.name}")

        client.meta.events.register("before-call.*.*", record)
    return calls


@contextmanager
def captured_logs() -> Iterator[io.StringIO]:
    """Everything that our logger writes while the block runs, in the format CloudWatch receives."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(telemetry.log.registered_formatter)
    telemetry.log.addHandler(handler)
    try:
        yield written
    finally:
        telemetry.log._logger.removeHandler(handler)
