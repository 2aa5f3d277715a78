"""Callbacks: a valid URL enqueues one message for any body, an invalid URL enqueues nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, cast

import pytest

from imagetasks.aws.secrets import CachedSecret, CallbackKeys
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import derive_task_id
from imagetasks.workflows.receive_callback import CallbackRequest, receive_callback
from tests.fixtures import poyo_callbacks
from tests.support.fakes import FakeSecretsClient, ManualClock
from tests.support.lambdas import captured_logs

TASK_ID = derive_task_id("owner", "key")
TOKEN = signed_urls.callback_token("one", TASK_ID)
SIGNING_KEY = "whsec_test_0123456789abcdef"


class FakeQueue:
    """A task queue that keeps its messages."""

    def __init__(self) -> None:
        self.messages: list[TaskMessage] = []

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        self.messages.append(message)


class UnavailableQueue(FakeQueue):
    """A task queue that accepts no message."""

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        raise QueueUnavailable("unavailable")


def callback_keys(**further: object) -> CallbackKeys:
    client: Any = FakeSecretsClient({"current": "k1", "k1": "one", "k2": "two", **further})
    return CallbackKeys(CachedSecret(client, "arn", ManualClock().seconds))


def receive(queue: FakeQueue, keys: CallbackKeys, **changed: Any) -> bool:
    """Whether the callback's URL and signature are valid; a valid callback is enqueued."""
    values = {"kid": "k1", "task_id": TASK_ID, "token": TOKEN, "headers": {}, "body": b"{}"}
    return receive_callback(CallbackRequest(**values | changed), keys=keys, queue=cast(Any, queue))


def signature_headers(key: str, poyo_id: str, timestamp: str) -> dict[str, str]:
    digest = hmac.digest(key.encode(), f"{poyo_id}.{timestamp}".encode(), hashlib.sha256)
    return {
        "x-webhook-timestamp": timestamp,
        "x-webhook-signature": base64.b64encode(digest).decode(),
    }


@pytest.mark.parametrize(
    ("body", "poyo_id"),
    [(body, poyo_id) for body, _, poyo_id in poyo_callbacks.CALLBACK_BODIES.values()],
    ids=poyo_callbacks.CALLBACK_BODIES,
)
@pytest.mark.parametrize(
    "secret", [{}, {"poyo_callback_signing_key": SIGNING_KEY}], ids=["unsigned", "signed"]
)
def test_valid_url_enqueues_one_message_for_any_body(
    body: bytes, poyo_id: str | None, secret: dict[str, str]
) -> None:
    queue = FakeQueue()
    headers = signature_headers(SIGNING_KEY, poyo_callbacks.POYO_ID, "1783680000")

    assert receive(queue, callback_keys(**secret), body=body, headers=headers)
    assert queue.messages == [TaskMessage(task_id=TASK_ID, source="callback", poyo_id=poyo_id)]


@pytest.mark.parametrize(
    "changed",
    [
        {"token": TOKEN[:-1] + ("A" if TOKEN[-1] != "A" else "B")},
        {"token": ""},
        {"task_id": derive_task_id("owner", "other")},
        {"kid": "k2"},
        {"kid": "k9"},
        {"kid": "current"},
        {"kid": "poyo_callback_signing_key"},
    ],
)
def test_invalid_url_enqueues_nothing(changed: dict[str, str]) -> None:
    queue = FakeQueue()

    assert not receive(queue, callback_keys(), **changed)
    assert queue.messages == []


@pytest.mark.parametrize(("value", "guess"), [(None, "None"), ("", ""), (7, "7"), (True, "True")])
def test_url_signed_with_what_an_unusable_key_would_become_enqueues_nothing(
    value: object, guess: str
) -> None:
    queue, token = FakeQueue(), signed_urls.callback_token(guess, TASK_ID)

    assert not receive(queue, callback_keys(k3=value), kid="k3", token=token)
    assert queue.messages == []


def test_url_of_an_older_key_is_valid_during_a_rotation() -> None:
    queue = FakeQueue()

    assert receive(queue, callback_keys(current="k2"))
    assert receive(
        queue,
        callback_keys(current="k2"),
        kid="k2",
        token=signed_urls.callback_token("two", TASK_ID),
    )
    assert len(queue.messages) == 2


BODY = b'{"task_id":"TESTTASK00000001","status":"finished"}'


@pytest.mark.parametrize(
    ("headers", "signed"),
    [
        (signature_headers(SIGNING_KEY, "TESTTASK00000001", "1783680000"), True),
        (signature_headers(SIGNING_KEY, "TESTTASK00000001", "1"), True),
        (signature_headers(SIGNING_KEY, "TESTTASK00000001", ""), True),
        (signature_headers("whsec_other", "TESTTASK00000001", "1783680000"), False),
        (signature_headers(SIGNING_KEY, "ANOTHER", "1783680000"), False),
        ({"x-webhook-timestamp": "1783680000", "x-webhook-signature": ""}, False),
        ({}, False),
    ],
)
def test_id_without_its_signature_raises_an_alarm_and_only_the_task_is_enqueued(
    headers: dict[str, str], signed: bool
) -> None:
    queue, keys = FakeQueue(), callback_keys(poyo_callback_signing_key=SIGNING_KEY)

    with captured_logs() as log:
        assert receive(queue, keys, headers=headers, body=BODY)

    poyo_id = "TESTTASK00000001" if signed else None
    assert queue.messages == [TaskMessage(task_id=TASK_ID, source="callback", poyo_id=poyo_id)]
    assert ("callback_signature_rejected" in log.getvalue()) is not signed


def test_signature_is_not_verified_without_its_key() -> None:
    queue = FakeQueue()

    with captured_logs() as log:
        assert receive(queue, callback_keys(), headers={}, body=BODY)

    assert queue.messages[0].poyo_id == "TESTTASK00000001"
    assert log.getvalue() == ""


def test_callback_with_poyos_published_signature_is_valid() -> None:
    headers = {
        "x-webhook-timestamp": "1783680000",
        "x-webhook-signature": "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU=",
    }

    assert receive(
        FakeQueue(),
        callback_keys(poyo_callback_signing_key=SIGNING_KEY),
        headers=headers,
        body=BODY,
    )


def test_error_of_an_unavailable_queue_is_raised_so_that_poyo_retries() -> None:
    with pytest.raises(QueueUnavailable):
        receive(UnavailableQueue(), callback_keys())
