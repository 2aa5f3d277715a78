"""Every request in docs/api.md is sent to the deployed stack and gets the response that the page shows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from imagetasks.api import error_mapping, problems
from imagetasks.api.problem_details import Problem
from imagetasks.tasks.failure_reasons import REASONS
from local.system import System
from tests.fixtures.images import png
from tests.support.notification_receiver import NotificationReceiver, ReceivedNotification

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"```http\n(.*?)```\n```http\n(.*?)```", PAGE, re.DOTALL)
SHOP = (
    "https://shop.example"  # receives the notifications on the page; replaced by a local receiver
)
TIMEOUT_S = 60
METHODS = ("GET", "POST", "DELETE", "OPTIONS", "PUT")


@dataclass(frozen=True)
class Message:
    """A request or a response as the page shows it: a first line, headers, a body."""

    line: str
    headers: Mapping[str, str]
    body: str

    @classmethod
    def parse(cls, text: str) -> Message:
        head, _, body = text.strip().partition("\n\n")
        line, *fields = head.splitlines()
        return cls(line, dict(each.split(": ", 1) for each in fields), body.strip())


@dataclass
class PageRunner:
    """Sends the examples from top to bottom and keeps the values of earlier responses."""

    stack: System
    receiver: NotificationReceiver
    values: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)

    def run(self, request_text: str, expected: str) -> None:
        request = Message.parse(
            self.filled(request_text).replace("local-server-key", self.stack.api_key)
        )
        if SHOP in request.line:
            self.check_notification(request)
            return
        response = self.send(request)
        self.remember(request, response)
        compare(response, Message.parse(self.filled(expected)), about=request_text)

    def filled(self, text: str) -> str:
        """The text with each `{NAME}` replaced by the value from an earlier response."""
        return re.sub(r"\{([A-Z_]+)\}", lambda name: self.values.get(name[1], name[0]), text)

    def send(self, request: Message) -> requests.Response:
        method, path = request.line.split(" ")
        url = path if path.startswith("http") else self.stack.url + path
        if request.headers.get("Content-Type") == "multipart/form-data":
            image = {"file": ("boat.png", png())}
            return requests.post(url, data=self.form, files=image, timeout=30)
        body = request.body.replace(SHOP, self.receiver.url).encode() or None
        return requests.request(
            method, url, headers=request.headers, data=body, allow_redirects=False, timeout=30
        )

    def remember(self, request: Message, response: requests.Response) -> None:
        """Keep the values that later examples use."""
        content_type = response.headers.get("Content-Type", "")
        body = response.json() if response.content and "json" in content_type else {}
        if response.status_code == 202:
            self.values["TASK_ID"] = body["task_id"]
            self.finish(request)
        if request.line == "POST /api/generate/submit":
            self.values["TASK_ID"] = body["data"]["task_id"]
            self.finish(request)
        if request.line == "POST /v1/tokens":
            self.values |= {"TOKEN": body["token"], "TOKEN_ID": body["token_id"]}
        if request.line == "POST /v1/uploads":
            self.values |= {"UPLOAD": body["file_url"], "UPLOAD_URL": body["upload"]["url"]}
            self.form = body["upload"]["fields"]
        self.values["ETAG"] = response.headers.get("ETag", "")
        self.values["CURSOR"] = str(body.get("next_cursor"))
        for file in body.get("files", ()):
            self.values["FILE"] = urlsplit(file["file_url"]).path

    def finish(self, request: Message) -> None:
        """Wait until the task that was just ordered is finished."""
        credentials = {
            k: v for k, v in request.headers.items() if k in ("Authorization", "X-Owner")
        }
        until = time.monotonic() + TIMEOUT_S
        path = f"/v1/tasks/{self.values['TASK_ID']}?wait=5"
        while requests.get(self.stack.url + path, headers=credentials, timeout=30).json()[
            "status"
        ] != ("finished"):
            assert time.monotonic() < until, "a task of the page did not finish"

    def check_notification(self, expected: Message) -> None:
        """The receiver got the notification that the page shows, at the URL of the order."""
        path = expected.line.removeprefix(f"POST {SHOP}")
        until = time.monotonic() + TIMEOUT_S
        calls: list[ReceivedNotification] = []
        while not calls:
            calls = self.receiver.notifications[path][-1:]
            assert time.monotonic() < until, "no notification arrived"
            time.sleep(0.1)
        notification = calls[0].request
        for name, value in expected.headers.items():
            assert notification.headers[name] == value
        assert matches(json.loads(expected.body), notification.json), notification.body


def compare(response: requests.Response, expected: Message, *, about: str) -> None:
    assert response.status_code == int(expected.line), (about, response.text)
    for name, value in expected.headers.items():
        assert matches(value, response.headers[name]), (about, name, response.headers[name])
    if expected.body:
        assert matches(json.loads(expected.body), response.json()), (about, response.json())
    if response.status_code in (204, 304):
        assert response.content == b"", about


def matches(shown: Any, found: Any) -> bool:
    """Whether `found` has every field that is `shown`; `…` matches any value but null."""
    if isinstance(shown, dict):
        return isinstance(found, dict) and all(
            name in found and matches(each, found[name]) for name, each in shown.items()
        )
    if isinstance(shown, list):
        return len(shown) == len(found) and all(map(matches, shown, found))
    if shown == "…":
        return found is not None
    if isinstance(shown, str) and "…" in shown:
        pattern = ".*".join(map(re.escape, shown.split("…")))
        return isinstance(found, str) and re.fullmatch(pattern, found) is not None
    return bool(shown == found)


@pytest.mark.parametrize(
    ("shown", "found", "same"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": None}, {}, False),
        ({"a": None}, {"a": 0}, False),
        ([1], [1, 2], False),
        ([], [1], False),
        ("…", 7, True),
        ("…", None, False),
        ("a…c", "abc", True),
        ("a…c", "abcd", False),
        ({"a": {}}, {"a": None}, False),
    ],
)
def test_example_matches_only_equal_values(shown: Any, found: Any, same: bool) -> None:
    assert matches(shown, found) is same


def test_every_http_block_belongs_to_a_pair_of_request_and_response() -> None:
    assert len(EXAMPLES) >= 35
    assert PAGE.count("```http") == 2 * len(EXAMPLES)


def test_page_shows_every_operation_of_the_api() -> None:
    """Each method and path of openapi.json; one of the two catalog routes stands for both."""
    shown = {Message.parse(request).line.partition("?")[0] for request, _ in EXAMPLES}
    for path, methods in _openapi()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", path).replace("/files/[^/]+/[^/]+/[^/]+", "{FILE}")
        for method in methods:
            line = f"{method.upper()} {pattern}"
            if method.upper() in METHODS and path != "/v1/catalog/models":
                assert any(re.fullmatch(line, each) for each in shown), line


def _openapi() -> Any:
    functions = Path(__file__).parents[2] / "functions"
    return json.loads((functions / "openapi.json").read_text())


def test_every_anchor_of_the_page_has_a_heading() -> None:
    headings = [each.lower() for each in re.findall(r"^## (.*)$", PAGE, re.MULTILINE)]
    anchors = {re.sub(r"[^\w -]", "", each).replace(" ", "-") for each in headings}

    linked = set(re.findall(r"\(#([\w-]+)\)", PAGE))

    assert linked
    assert linked <= anchors


def _table(header: str) -> Iterator[list[str]]:
    """The cells of the table that begins with `header`, without backquotes."""
    _, _, rest = PAGE.partition(header)
    for line in rest.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_table_of_codes_matches_the_problems_in_the_code() -> None:
    constants = [each for each in vars(problems).values() if isinstance(each, Problem)]
    expected = {
        (each.code, each.status, each.retry)
        for each in (*constants, *error_mapping.SUBMISSION_PROBLEMS)
    }

    lines = list(_table("| `code` | status | `retry` | |"))

    shown = [(code, int(status), retry) for code, status, retry, _ in lines]
    assert sorted(shown) == sorted(expected)
    assert all(text for *_, text in lines)


def test_table_of_failure_reasons_matches_the_code() -> None:
    words = {True: "yes", False: "no", None: "unknown"}
    retries = {True: "new_key", False: "never"}
    known = {
        name: (retries[reason.retryable], words[reason.charged]) for name, reason in REASONS.items()
    }

    lines = list(_table("| `error.code` | `retry` | `charged` | |"))

    assert {code: (retry, charged) for code, retry, charged, _ in lines} == known
    recoverable = {name for name, reason in REASONS.items() if reason.recoverable}
    assert {code for code, *_ in lines[-len(recoverable) :]} == recoverable


def test_every_example_gets_the_response_that_the_page_shows(
    stack: System, receiver: NotificationReceiver
) -> None:
    runner = PageRunner(stack, receiver)
    for request, expected in EXAMPLES:
        runner.run(request, expected)
