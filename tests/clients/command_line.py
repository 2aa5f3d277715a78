"""The command line against a service that answers by route, in an empty home and folder."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from imagetasks_client import Client, Patience
from imagetasks_client.cli import auth, journal, session
from imagetasks_client.cli.program import app
from tests.clients.scripted_service import KEY, ScriptedService, answer, image, task

PNG = b"\x89PNG\r\n\x1a\nimage"
URL = "https://images.example"
Run = Callable[..., Result]


class Service:
    """Answers each request by its route, so that a test only says what differs."""

    def __init__(self, scripted: ScriptedService) -> None:
        scripted.answers = [self.respond]
        self.scripted = scripted
        self.files = [image(PNG, hashlib.sha256(PNG).hexdigest())]
        self.orders: dict[str, dict[str, Any]] = {}
        self.refusal: httpx.Response | None = None
        self.lost_orders = 0
        self.state: dict[str, Any] = {"status": "finished", "files": self.files}
        self.bucket = httpx.Response(200, content=PNG)

    def respond(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "POST" and path == "/v1/tasks":
            return self._order(request)
        if path == "/v1/tasks" and "task_ids" in request.url.params:
            ids = request.url.params["task_ids"].split(",")
            known = [each for each in ids if each in self.orders]
            tasks = [task(task_id=each, **self.state) for each in known]
            gone = [each for each in ids if each not in self.orders]
            return answer({"tasks": tasks, "not_found": gone, "remaining": []}, Retry_After="5")
        if path == "/v1/tasks":
            return answer({"tasks": [], "next_cursor": None})
        return self.bucket

    def _order(self, request: httpx.Request) -> httpx.Response:
        if self.refusal:
            return self.refusal
        key = request.headers["Idempotency-Key"]
        found = [each for each, order in self.orders.items() if order["key"] == key]
        task_id = (
            found[0] if found else f"{len(self.orders):026d}".replace("0", "a").replace("1", "b")
        )
        self.orders[task_id] = {"key": key, "body": json.loads(request.content)}
        if self.lost_orders:
            self.lost_orders -= 1
            raise httpx.ReadError("the answer was lost")
        return answer(task("not_started", task_id=task_id), 202)


@pytest.fixture
def server(service: ScriptedService) -> Service:
    return Service(service)


@pytest.fixture
def run(service: ScriptedService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the program in an empty home and folder."""
    timed = functools.partial(Patience, 60, clock=lambda: service.now, spread=lambda: 0.0)
    monkeypatch.setattr(session, "Patience", timed)
    for module in (session, auth):
        monkeypatch.setattr(module, "Client", functools.partial(Client, transport=service))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("IMAGETASKS_URL", URL)
    monkeypatch.setenv("IMAGETASKS_KEY", KEY)
    monkeypatch.delenv("IMAGETASKS_OWNER", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    runner = CliRunner()
    return lambda *arguments, **options: runner.invoke(app, [*map(str, arguments)], **options)


def pending() -> list[journal.Entry]:
    return list(journal.entries(URL, None))
