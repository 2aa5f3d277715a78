"""Notifications that the deployed stack sends to a receiver on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.processes import ROOT
from local.stack import NAME
from local.system import System
from tests.deployed.test_journeys import kill_workers
from tests.support.notification_receiver import (
    BUSY_PATH,
    NotificationReceiver,
    ReceivedNotification,
)
from tests.support.waiting import TIMEOUT_S, until

RETRY_S = (
    59,
    150,
)  # between the first two attempts: a minute, and the time that this machine takes
SERVER_KEY_NAME = "default"
APIS = {"ours": "/v1/tasks", "poyo": "/api/generate/submit"}


@dataclass(frozen=True)
class Caller:
    """Places orders whose notifications go to paths of `receiver`."""

    system: System
    receiver: NotificationReceiver

    def order(
        self, api: str, url: str, prompt: str = "A lighthouse", key: str = ""
    ) -> requests.Response:
        """The response to an order at `api`, one of APIS, that is to be notified at `url`."""
        headers = self.auth | {"Idempotency-Key": key or f"notification-{uuid.uuid4()}"}
        body = {"model": "gpt-image-2", "input": {"prompt": prompt}, "callback_url": url}
        return requests.post(self.system.url + APIS[api], json=body, headers=headers, timeout=30)

    def place(self, api: str, path: str, prompt: str = "A lighthouse", key: str = "") -> str:
        """The id of the task of an accepted order."""
        response = self.order(api, self.receiver.url + path, prompt, key)
        assert response.ok, response.text
        body = response.json()
        return str((body if api == "ours" else body["data"])["task_id"])

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.system.api_key}"}

    def status(self, task_id: str) -> Any:
        url = f"{self.system.url}/api/generate/status/{task_id}"
        return requests.get(url, headers=self.auth, timeout=30).json()["data"]

    def notifications(
        self, path: str, count: int = 1, timeout_s: float = TIMEOUT_S
    ) -> list[ReceivedNotification]:
        """The notifications to `path`, once there are at least `count`."""
        return until(
            lambda: list(self.receiver.notifications[path]),
            lambda received: len(received) >= count,
            timeout_s,
        )

    def wait_for_callbacks(self, task_id: str, count: int) -> None:
        """Return once PoYo has sent `count` callbacks and the worker has processed their messages."""
        url = f"{self.system.poyo_url}/control/tasks"
        [poyo_id] = [
            each["task_id"]
            for each in requests.get(url, timeout=30).json()["tasks"]
            if task_id in str(each["callback_url"])
        ]

        def responses() -> list[int]:
            callbacks = requests.get(f"{url}/{poyo_id}", timeout=30).json()["callbacks"]
            return [each["http"] for each in callbacks]

        until(responses, lambda statuses: statuses.count(200) == count)
        wait_until_processed(self.system)

    def submits(self) -> int:
        """The number of submits that PoYo has received."""
        log = f"{self.system.poyo_url}/control/log?kind=submit"
        return len(requests.get(log, timeout=30).json()["events"])


def new_path(folder: str = "/accepted/") -> str:
    """A path without notifications, with a query of the caller."""
    return f"{folder}{uuid.uuid4()}?user=7&then=%2Fdone"


@pytest.fixture(scope="session")
def caller(stack: System, receiver: NotificationReceiver) -> Caller:
    return Caller(stack, receiver)


@pytest.fixture(scope="session", autouse=True)
def retried_order(caller: Caller) -> tuple[str, str]:
    """An order whose receiver rejects the first notification, and its path. The second notification
    comes a minute later, while other tests run."""
    path = new_path(BUSY_PATH)
    return caller.place("poyo", path), path


def run_keys_command(system: System, *arguments: str) -> str:
    """The output of the operator's command."""
    command = [sys.executable, "-m", "cli", "keys", "--stack", NAME, *arguments]
    environ = system.cloud.environment()
    done = subprocess.run(
        command, cwd=ROOT, env=environ, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_until_processed(system: System) -> None:
    """Return once neither queue has a message that is visible or being processed; retries are
    delayed. The worker forwards a notification before its task message is deleted."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for output in ("TaskQueueUrl", "NotificationQueueUrl"):
        queue = {"QueueUrl": system.outputs[output], "AttributeNames": names}

        def counts(queue: dict[str, Any] = queue) -> dict[str, str]:
            attributes: dict[str, str] = system.client("sqs").get_queue_attributes(**queue)[
                "Attributes"
            ]
            return attributes

        until(counts, lambda found: [found[name] for name in names] == ["0", "0"])


def restart_notify_function(system: System) -> None:
    """Make the function read the secret again; otherwise it does so within 30 s."""
    wait_until_processed(system)
    kill_workers(system, "NotifyFunction")


@pytest.fixture
def signing_key(stack: System) -> Iterator[str]:
    """The key that the operator has added to sign the notifications of this caller."""
    key = run_keys_command(stack, "webhook", "add", SERVER_KEY_NAME).splitlines()[0]
    restart_notify_function(stack)
    yield key
    run_keys_command(stack, "webhook", "remove", SERVER_KEY_NAME)
    restart_notify_function(stack)


@pytest.mark.parametrize("api", APIS)
def test_caller_is_notified_once_with_the_task_as_its_status_route_shows_it(
    caller: Caller, api: str
) -> None:
    path = new_path()

    task_id = caller.place(api, path, "[[fault:callback-double=3]] A lighthouse")

    [notification] = caller.notifications(path)
    body = notification.request.json
    assert body["status"] == "finished"
    assert body == caller.status(task_id)
    assert notification.request.headers["Content-Type"] == "application/json"
    assert "X-Webhook-Signature" not in notification.request.headers
    caller.wait_for_callbacks(task_id, 4)
    assert len(caller.receiver.notifications[path]) == 1


def test_caller_is_notified_of_a_failure(caller: Caller) -> None:
    path = new_path()

    task_id = caller.place("poyo", path, "[[fault:fail-moderation]] A lighthouse")

    [notification] = caller.notifications(path)
    assert notification.request.json["status"] == "failed"
    assert "content policy" in str(notification.request.json["error_message"])
    assert notification.request.json == caller.status(task_id)


def test_repeated_order_sends_no_second_notification(caller: Caller) -> None:
    path, key = new_path(), f"notification-{uuid.uuid4()}"
    task_id = caller.place("ours", path, key=key)
    caller.notifications(path)
    caller.wait_for_callbacks(task_id, 1)

    assert caller.place("ours", path, key=key) == task_id

    wait_until_processed(caller.system)
    assert len(caller.receiver.notifications[path]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="finds the function's processes in /proc")
def test_notification_is_signed_like_poyos_callbacks_if_there_is_a_key(
    caller: Caller, signing_key: str
) -> None:
    path = new_path()

    task_id = caller.place("poyo", path)

    [notification] = caller.notifications(path)
    timestamp = notification.request.headers["X-Webhook-Timestamp"]
    signed = f"{task_id}.{timestamp}".encode()
    digest = hmac.new(signing_key.encode(), signed, hashlib.sha256).digest()
    assert notification.request.headers["X-Webhook-Signature"] == base64.b64encode(digest).decode()
    assert abs(time.time() - int(timestamp)) < 60
    assert notification.request.json == caller.status(task_id)


@pytest.mark.parametrize("api", APIS)
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
def test_forbidden_callback_url_is_rejected_before_anything_is_paid(
    caller: Caller, api: str, url: str
) -> None:
    before = caller.submits()

    response = caller.order(api, url)

    if api == "ours":
        assert response.status_code == 422, response.text
        assert response.json()["code"] == "invalid_order"
        assert [each["pointer"] for each in response.json()["errors"]] == ["/callback_url"]
    else:
        assert response.status_code == 400, response.text
        assert response.json()["code"] == 400
        assert response.json()["error"]["type"] == "validation_error"
        assert "/callback_url: " in response.json()["error"]["message"]
    assert caller.submits() == before


@pytest.mark.run_last
def test_rejected_notification_is_repeated_after_a_minute(
    caller: Caller, retried_order: tuple[str, str]
) -> None:
    task_id, path = retried_order

    first, second = caller.notifications(path, 2, RETRY_S[1])

    assert RETRY_S[0] <= second.at - first.at <= RETRY_S[1]
    assert first.request.json == second.request.json == caller.status(task_id)
    wait_until_processed(caller.system)
    assert len(caller.receiver.notifications[path]) == 2
