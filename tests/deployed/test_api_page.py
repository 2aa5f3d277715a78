"""Every request on the API's page is sent to the deployed stack, and answered as the page says."""

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

from imagetasks.api import problems
from imagetasks.api.problem_details import Problem
from imagetasks.tasks.failure_reasons import REASONS
from local.system import System
from tests.fixtures.images import png
from tests.support.notification_receiver import Call, Receiver

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"```http\n(.*?)```\n```http\n(.*?)```", PAGE, re.DOTALL)
SHOP = "https://shop.example"  # the receiver of callbacks on the page; here one on this machine
PATIENCE_S = 60
METHODS = ("GET", "POST", "DELETE", "OPTIONS", "PUT")


@dataclass(frozen=True)
class Message:
    """A request or an answer as the page writes it: a first line, headers, a body."""

    line: str
    headers: Mapping[str, str]
    body: str

    @classmethod
    def read(cls, text: str) -> Message:
        head, _, body = text.strip().partition("\n\n")
        line, *fields = head.splitlines()
        return cls(line, dict(each.split(": ", 1) for each in fields), body.strip())


@dataclass
class Reader:
    """Somebody who works through the page from top to bottom, and remembers what was answered."""

    stack: System
    receiver: Receiver
    known: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)

    def try_out(self, asked: str, expected: str) -> None:
        request = Message.read(self.filled(asked).replace("local-server-key", self.stack.api_key))
        if SHOP in request.line:
            self.was_called(request)
            return
        answer = self.send(request)
        self.learn(request, answer)
        compare(answer, Message.read(self.filled(expected)), about=asked)

    def filled(self, text: str) -> str:
        """The text with what earlier answers said for each `{NAME}`."""
        return re.sub(r"\{([A-Z_]+)\}", lambda name: self.known.get(name[1], name[0]), text)

    def send(self, request: Message) -> requests.Response:
        method, path = request.line.split(" ")
        where = path if path.startswith("http") else self.stack.url + path
        if request.headers.get("Content-Type") == "multipart/form-data":
            picture = {"file": ("boat.png", png())}
            return requests.post(where, data=self.form, files=picture, timeout=30)
        body = request.body.replace(SHOP, self.receiver.url).encode() or None
        return requests.request(
            method, where, headers=request.headers, data=body, allow_redirects=False, timeout=30
        )

    def learn(self, request: Message, answer: requests.Response) -> None:
        """What later examples need of this answer."""
        kind = answer.headers.get("Content-Type", "")
        said = answer.json() if answer.content and "json" in kind else {}
        if answer.status_code == 202:
            self.known["TASK_ID"] = said["task_id"]
            self.finish(request)
        if request.line == "POST /api/generate/submit":
            self.known["TASK_ID"] = said["data"]["task_id"]
            self.finish(request)
        if answer.status_code == 201:
            self.known |= {"UPLOAD": said["file_url"], "UPLOAD_URL": said["upload"]["url"]}
            self.form = said["upload"]["fields"]
        self.known["ETAG"] = answer.headers.get("ETag", "")
        self.known["CURSOR"] = str(said.get("next_cursor"))
        for file in said.get("files", ()):
            self.known["FILE"] = urlsplit(file["file_url"]).path

    def finish(self, request: Message) -> None:
        """Until the task that was just ordered is finished."""
        mine = {k: v for k, v in request.headers.items() if k in ("Authorization", "X-Owner")}
        until = time.monotonic() + PATIENCE_S
        path = f"/v1/tasks/{self.known['TASK_ID']}?wait=5"
        while requests.get(self.stack.url + path, headers=mine, timeout=30).json()["status"] != (
            "finished"
        ):
            assert time.monotonic() < until, "a task of the page did not finish"

    def was_called(self, expected: Message) -> None:
        """The receiver got what the page shows, at the address it was ordered for."""
        path = expected.line.removeprefix(f"POST {SHOP}")
        until = time.monotonic() + PATIENCE_S
        calls: list[Call] = []
        while not calls:
            calls = self.receiver.calls[path][-1:]
            assert time.monotonic() < until, "nobody called"
            time.sleep(0.1)
        rung = calls[0].rung
        for name, value in expected.headers.items():
            assert rung.headers[name] == value
        assert matches(json.loads(expected.body), rung.json), rung.body


def compare(answer: requests.Response, expected: Message, *, about: str) -> None:
    assert answer.status_code == int(expected.line), (about, answer.text)
    for name, value in expected.headers.items():
        assert matches(value, answer.headers[name]), (about, name, answer.headers[name])
    if expected.body:
        assert matches(json.loads(expected.body), answer.json()), (about, answer.json())
    if answer.status_code in (204, 304):
        assert answer.content == b"", about


def matches(shown: Any, found: Any) -> bool:
    """Whether `found` is what is `shown`, fields beyond it and whatever `…` stands for apart."""
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
def test_an_example_is_no_pattern_for_everything(shown: Any, found: Any, same: bool) -> None:
    assert matches(shown, found) is same


def test_every_block_of_http_is_one_half_of_an_example() -> None:
    assert len(EXAMPLES) >= 35
    assert PAGE.count("```http") == 2 * len(EXAMPLES)


def test_the_page_shows_every_way_in() -> None:
    """Each method and address of the contract, but one catalogue for the other."""
    shown = {Message.read(asked).line.partition("?")[0] for asked, _ in EXAMPLES}
    for path, methods in _contract()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", path).replace("/files/[^/]+/[^/]+/[^/]+", "{FILE}")
        for method in methods:
            line = f"{method.upper()} {pattern}"
            if method.upper() in METHODS and path != "/v1/catalog/models":
                assert any(re.fullmatch(line, each) for each in shown), line


def _contract() -> Any:
    functions = Path(__file__).parents[2] / "functions"
    return json.loads((functions / "openapi.json").read_text())


def test_every_link_of_the_page_leads_to_one_of_its_headings() -> None:
    headings = [each.lower() for each in re.findall(r"^## (.*)$", PAGE, re.MULTILINE)]
    anchors = {re.sub(r"[^\w -]", "", each).replace(" ", "-") for each in headings}

    linked = set(re.findall(r"\(#([\w-]+)\)", PAGE))

    assert linked
    assert linked <= anchors


def _rows(header: str) -> Iterator[list[str]]:
    """The cells of the table that begins with `header`, without backquotes."""
    _, _, rest = PAGE.partition(header)
    for line in rest.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_the_table_of_codes_is_the_one_in_the_code() -> None:
    ours = [each for each in vars(problems).values() if isinstance(each, Problem)]
    both = {
        (each.code, each.status, each.retryable) for each in (*ours, *problems.SUBMISSION_PROBLEMS)
    }

    rows = list(_rows("| `code` | status | `retryable` | |"))

    shown = [(code, int(status), again == "yes") for code, status, again, _ in rows]
    assert sorted(shown) == sorted(both)
    assert all(words for *_, words in rows)


def test_the_table_of_reasons_is_the_one_in_the_code() -> None:
    words = {True: "yes", False: "no", None: "unknown"}
    known = {
        name: (words[reason.retryable], words[reason.charged]) for name, reason in REASONS.items()
    }

    rows = list(_rows("| `error.code` | `retryable` | `charged` | |"))

    assert {code: (again, charged) for code, again, charged, _ in rows} == known
    assert {code for code, *_ in rows[-3:]} == {n for n, each in REASONS.items() if each.soft}


def test_every_example_is_answered_as_the_page_says(stack: System, receiver: Receiver) -> None:
    reader = Reader(stack, receiver)
    for asked, expected in EXAMPLES:
        reader.try_out(asked, expected)
