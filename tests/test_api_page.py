"""Every request on the API's page is sent to the deployed stack, and answered as the page says."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import requests

import problems
from local.system import System

PAGE = (Path(__file__).parent.parent / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"```http\n(.*?)```\n```http\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 10


def test_every_code_is_on_the_page() -> None:
    known = [each for each in vars(problems).values() if isinstance(each, problems.Problem)]

    assert len(known) >= 8
    for problem in known:
        assert re.search(rf"`{problem.code}`.*\| {problem.status} \|", PAGE), problem.code


def test_every_example_is_answered_as_the_page_says(stack: System) -> None:
    task_id = ""
    for asked, expected in EXAMPLES:
        answer = _send(stack, asked.replace("{TASK_ID}", task_id))
        if answer.status_code == 202:
            task_id = answer.json()["task_id"]
            _finished(stack, task_id)

        _compare(answer, expected, about=asked)


def _send(stack: System, asked: str) -> requests.Response:
    head, _, body = asked.partition("\n\n")
    line, *fields = head.strip().splitlines()
    method, path = line.split(" ")
    headers = dict(field.split(": ", 1) for field in fields)
    headers = {
        name: value.replace("local-server-key", stack.api_key) for name, value in headers.items()
    }
    data = body.strip().encode() or None
    return requests.request(
        method, stack.url + path, headers=headers, data=data, allow_redirects=False, timeout=30
    )


def _finished(stack: System, task_id: str) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    for _ in range(100):
        answer = requests.get(f"{stack.url}/v1/tasks/{task_id}", headers=headers, timeout=30)
        if answer.json()["status"] == "finished":
            return
        time.sleep(0.3)
    pytest.fail("the task of the page did not finish in 30 s")


def _compare(answer: requests.Response, expected: str, *, about: str) -> None:
    head, _, body = expected.partition("\n\n")
    status, *fields = head.strip().splitlines()
    assert answer.status_code == int(status), (about, answer.text)
    for field in fields:
        name, _, value = field.partition(": ")
        assert _matches(value, answer.headers[name]), (about, name, answer.headers[name])
    if body.strip():
        assert _matches(json.loads(body), answer.json()), (about, answer.json())


def _matches(shown: Any, found: Any) -> bool:
    """Whether `found` is what is `shown`, fields beyond it and whatever `…` stands for apart."""
    if isinstance(shown, dict):
        return all(name in found and _matches(each, found[name]) for name, each in shown.items())
    if isinstance(shown, list):
        return len(shown) == len(found) and all(map(_matches, shown, found))
    if isinstance(shown, str) and "…" in shown:
        pattern = ".*".join(map(re.escape, shown.split("…")))
        return isinstance(found, str) and re.fullmatch(pattern, found) is not None
    return bool(shown == found)
