"""Callers' own callbacks, made by the deployed stack to a receiver on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.processes import ROOT
from local.stack import NAME
from local.system import System
from tests.deployed.test_journeys import kill_workers
from tests.support.notification_receiver import BUSY, Call, Receiver

PATIENCE_S = 120
AGAIN_S = (
    59,
    150,
)  # when whoever refused the first call is called again: a minute, and our own time
SERVER_KEY_NAME = "default"
WAYS = {"ours": "/v1/tasks", "poyo": "/api/generate/submit"}


def until[T](ask: Callable[[], T], happy: Callable[[T], bool], patience_s: float = PATIENCE_S) -> T:
    """What `ask` gives once it is as wanted."""
    deadline = time.monotonic() + patience_s
    while not happy(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    return answer


@dataclass(frozen=True)
class Caller:
    """Who orders, and wants to be called back at paths of `receiver`."""

    system: System
    receiver: Receiver

    def order(
        self, way: str, url: str, prompt: str = "A lighthouse", key: str = ""
    ) -> requests.Response:
        headers = self.auth | {"Idempotency-Key": key or f"callback-{uuid.uuid4()}"}
        body = {"model": "gpt-image-2", "input": {"prompt": prompt}, "callback_url": url}
        return requests.post(self.system.url + WAYS[way], json=body, headers=headers, timeout=30)

    def ordered(self, way: str, path: str, prompt: str = "A lighthouse", key: str = "") -> str:
        answer = self.order(way, self.receiver.url + path, prompt, key)
        assert answer.ok, answer.text
        body = answer.json()
        return str((body if way == "ours" else body["data"])["task_id"])

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.system.api_key}"}

    def status(self, task_id: str) -> Any:
        url = f"{self.system.url}/api/generate/status/{task_id}"
        return requests.get(url, headers=self.auth, timeout=30).json()["data"]

    def calls(self, path: str, count: int = 1, patience_s: float = PATIENCE_S) -> list[Call]:
        """The calls to `path` as soon as there are as many."""
        return until(
            lambda: list(self.receiver.calls[path]), lambda had: len(had) >= count, patience_s
        )

    def submits(self) -> int:
        """How many submits PoYo has seen."""
        log = f"{self.system.poyo_url}/control/log?kind=submit"
        return len(requests.get(log, timeout=30).json()["events"])


def fresh(folder: str = "/taken/") -> str:
    """A path that nobody was called at yet, with a query of the caller's own."""
    return f"{folder}{uuid.uuid4()}?user=7&then=%2Fdone"


@pytest.fixture(scope="module")
def caller(stack: System, receiver: Receiver) -> Caller:
    return Caller(stack, receiver)


@pytest.fixture(scope="module", autouse=True)
def busy(caller: Caller) -> tuple[str, str]:
    """An order whose caller is busy at first: the second call comes while other tests run."""
    path = fresh(BUSY)
    return caller.ordered("poyo", path), path


def keys(system: System, *arguments: str) -> str:
    """What the operator's command prints."""
    command = [sys.executable, "-m", "cli.keys", "--stack", NAME, *arguments]
    environ = system.cloud.environment()
    done = subprocess.run(
        command, cwd=ROOT, env=environ, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_workers_afresh(system: System) -> None:
    """Workers read the secret anew; by themselves they would within five minutes."""
    sqs, url = system.client("sqs"), system.outputs["TaskQueueUrl"]
    name = "ApproximateNumberOfMessagesNotVisible"  # of what a worker has in hand
    ask = {"QueueUrl": url, "AttributeNames": [name]}
    until(lambda: sqs.get_queue_attributes(**ask)["Attributes"][name], "0".__eq__)
    kill_workers(system)


@pytest.fixture
def signing(stack: System) -> Iterator[str]:
    """What the operator made for callbacks to this caller to be signed with."""
    secret = keys(stack, "webhook", "add", SERVER_KEY_NAME).splitlines()[0]
    start_workers_afresh(stack)
    yield secret
    keys(stack, "webhook", "remove", SERVER_KEY_NAME)
    start_workers_afresh(stack)


@pytest.mark.parametrize("way", WAYS)
def test_a_caller_is_told_once_what_its_status_says(caller: Caller, way: str) -> None:
    path = fresh()

    task_id = caller.ordered(way, path, "[[fault:callback-double=3]] A lighthouse")

    [call] = caller.calls(path)
    said = call.rung.json
    assert said["status"] == "finished"
    assert said == caller.status(task_id)
    assert call.rung.headers["Content-Type"] == "application/json"
    assert "X-Webhook-Signature" not in call.rung.headers
    time.sleep(5)  # time enough for the doubled callbacks of PoYo to come and change nothing
    assert len(caller.receiver.calls[path]) == 1


def test_a_caller_is_told_of_a_failure_too(caller: Caller) -> None:
    path = fresh()

    task_id = caller.ordered("poyo", path, "[[fault:fail-moderation]] A lighthouse")

    [call] = caller.calls(path)
    assert call.rung.json["status"] == "failed"
    assert "content policy" in str(call.rung.json["error_message"])
    assert call.rung.json == caller.status(task_id)


def test_the_same_order_again_calls_nobody_again(caller: Caller) -> None:
    path, key = fresh(), f"callback-{uuid.uuid4()}"
    task_id = caller.ordered("ours", path, key=key)
    caller.calls(path)

    assert caller.ordered("ours", path, key=key) == task_id

    time.sleep(3)
    assert len(caller.receiver.calls[path]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in Linux's process table")
def test_the_call_is_signed_as_poyo_signs_once_there_is_a_key(caller: Caller, signing: str) -> None:
    path = fresh()

    task_id = caller.ordered("poyo", path)

    [call] = caller.calls(path)
    stamp = call.rung.headers["X-Webhook-Timestamp"]
    digest = hmac.new(signing.encode(), f"{task_id}.{stamp}".encode(), hashlib.sha256).digest()
    assert call.rung.headers["X-Webhook-Signature"] == base64.b64encode(digest).decode()
    assert abs(time.time() - int(stamp)) < 60
    assert call.rung.json == caller.status(task_id)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://example.com:8443/hook",
        "https://127.0.0.1/hook",
        "https://10.1.2.3/hook",
        "https://[::1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/hook",
        "https://user:pass@example.com/hook",
        "https://example.com\\@127.0.0.1/hook",
        "http://127.0.0.1:9/hook",
        "ftp://example.com/hook",
        "hook",
        "",
        f"https://example.com/{'x' * 2048}",
    ],
)
def test_an_address_that_may_not_be_called_is_refused_before_anything_is_paid(
    caller: Caller, way: str, url: str
) -> None:
    before = caller.submits()

    answer = caller.order(way, url)

    if way == "ours":
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] == "invalid_order"
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/callback_url"]
    else:
        assert answer.status_code == 400, answer.text
        assert answer.json()["code"] == 400
        assert answer.json()["error"]["type"] == "validation_error"
        assert "/callback_url: " in answer.json()["error"]["message"]
    assert caller.submits() == before


def test_whoever_was_busy_is_called_again_a_minute_later(
    caller: Caller, busy: tuple[str, str]
) -> None:
    task_id, path = busy

    first, second = caller.calls(path, 2, AGAIN_S[1])

    assert AGAIN_S[0] <= second.at - first.at <= AGAIN_S[1]
    assert first.rung.json == second.rung.json == caller.status(task_id)
    time.sleep(3)
    assert len(caller.receiver.calls[path]) == 2
