"""A service for the Python clients: answers by a script, records requests; time passes only in pauses."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from imagetasks_client import AsyncClient, Client, Patience

KEY = "it_sk_test"
LIFE_S = 1000  # of a token
TASK_ID = "zmvewbppcq6k6gyfeszyubcnqv"
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def task(status: str = "running", **fields: Any) -> dict[str, Any]:
    """A task as the API returns it."""
    return {
        "task_id": TASK_ID,
        "status": status,
        "progress": 100 if status == "finished" else None,
        "typical_seconds": 40,
        "model": "gpt-image-2",
        "input": {"prompt": "A paper boat"},
        "metadata": {},
        "credits": {"estimated": 2.16, "exact": True, "charged": None},
        "usd": {"estimated": 0.0108, "charged": None},
        "files": [],
        "error": None,
        "warnings": [],
        "history": [],
        "created_at": "2026-11-28T10:00:00.000Z",
        "updated_at": "2026-11-28T10:00:00.000Z",
        "finished_at": None,
    } | fields


def image(content: bytes, sha256: str) -> dict[str, Any]:
    """A file of a finished task."""
    return {
        "file_url": f"https://images.example/files/{TASK_ID}/0/mac",
        "file_type": "image",
        "content_type": "image/png",
        "bytes": len(content),
        "width": 1,
        "height": 1,
        "sha256": sha256,
        "expires_at": None,
    }


def answer(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    """A response with JSON."""
    return httpx.Response(
        status, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


def problem(status: int, code: str, retry: str, **fields: Any) -> httpx.Response:
    """A problem of the service; `retry_after` becomes its header."""
    after = fields.pop("retry_after", None)
    body = {
        "status": status,
        "code": code,
        "retry": retry,
        "detail": f"This is {code}.",
        "charged": False,
        "request_id": "r-1",
        **fields,
    }
    return answer(body, status, **({"Retry_After": str(after)} if after is not None else {}))


def token(number: int, user: str = "ann") -> str:
    """The n-th token, with a life of LIFE_S seconds."""
    claims = json.dumps({"iat": 5, "exp": 5 + LIFE_S, "jti": number, "sub": user}).encode()
    return f"header.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.mac"


@dataclass
class ScriptedService(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Each request gets the next answer; the last one is repeated."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    now: float = 1000.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(_copy(request))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        response = given(request) if callable(given) else given
        copy = httpx.Response(
            response.status_code, headers=response.headers, content=response.content
        )
        copy.request = request
        return copy

    def sleep(self, seconds: float) -> None:
        """Pass time."""
        self.pauses.append(seconds)
        self.now += seconds

    def sent(self, name: str) -> list[str | None]:
        """The header of this name in each request."""
        return [each.headers.get(name) for each in self.requests]


def _copy(request: httpx.Request) -> httpx.Request:
    """The request as it is sent now: its headers change if it is sent again with another token."""
    method, url, headers = request.method, request.url, request.headers.copy()
    content, extensions = request.content, request.extensions
    return httpx.Request(method, url, headers=headers, content=content, extensions=extensions)


class Blocking:
    """An AsyncClient, or one of its handles, called without `await`."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner, self._loop = inner, loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value
        return lambda *arguments, **named: self._waited(value(*arguments, **named))

    def _waited(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            value = self._loop.run_until_complete(value)
        if hasattr(value, "__anext__"):
            return self._items(value)
        return Blocking(value, self._loop) if hasattr(value, "iter_events") else value

    def _items(self, items: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(items.__anext__())
            except StopAsyncIteration:
                return


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> ScriptedService:
    """The service of the test. Pauses of the client take no time, but its clock shows them."""
    made = ScriptedService()

    async def sleep(seconds: float) -> None:
        made.sleep(seconds)

    monkeypatch.setattr(time, "sleep", made.sleep)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, service: ScriptedService) -> Iterator[Any]:
    """Both clients, called in the same way; the jitter is none."""
    patience = Patience(120, clock=lambda: service.now, spread=lambda: 0.0)
    if request.param == "sync":
        with Client("https://images.example/", KEY, patience=patience, transport=service) as made:
            yield made
        return
    with asyncio.Runner() as runner:
        made_async = AsyncClient(
            "https://images.example/", KEY, patience=patience, transport=service
        )
        yield Blocking(made_async, runner.get_loop())
        runner.run(made_async.close())
