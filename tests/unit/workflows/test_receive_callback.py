"""A callback: the right URL rings once whatever its body is, a wrong one costs nothing."""

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

TASK_ID = derive_task_id("owner", "key")
MAC = signed_urls.callback_token("one", TASK_ID)
WEBHOOK_KEY = "whsec_test_0123456789abcdef"


class Bell:
    def __init__(self) -> None:
        self.rings: list[TaskMessage] = []

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        self.rings.append(message)


def keys(**further: str) -> CallbackKeys:
    client: Any = FakeSecretsClient({"current": "k1", "k1": "one", "k2": "two"} | further)
    return CallbackKeys(CachedSecret(client, "arn", ManualClock().seconds))


def heard(bell: Bell, known: CallbackKeys, **changed: Any) -> bool:
    values = {"kid": "k1", "task_id": TASK_ID, "token": MAC, "headers": {}, "body": b"{}"}
    return receive_callback(CallbackRequest(**values | changed), keys=known, queue=cast(Any, bell))


def signature(key: str, poyo_id: str, stamp: str) -> dict[str, str]:
    digest = hmac.digest(key.encode(), f"{poyo_id}.{stamp}".encode(), hashlib.sha256)
    return {
        "x-webhook-timestamp": stamp,
        "x-webhook-signature": base64.b64encode(digest).decode(),
    }


@pytest.mark.parametrize(
    ("body", "poyo_id"),
    [(body, read) for body, _, read in poyo_callbacks.CALLBACK_BODIES.values()],
    ids=poyo_callbacks.CALLBACK_BODIES,
)
@pytest.mark.parametrize(
    "key", [{}, {"poyo_callback_signing_key": WEBHOOK_KEY}], ids=["unsigned", "signed"]
)
def test_the_right_url_rings_once_whatever_the_body_is(
    body: bytes, poyo_id: str | None, key: dict[str, str]
) -> None:
    bell = Bell()
    headers = signature(WEBHOOK_KEY, poyo_callbacks.ID, "1783680000")

    assert heard(bell, keys(**key), body=body, headers=headers)
    assert bell.rings == [TaskMessage(task_id=TASK_ID, source="callback", poyo_id=poyo_id)]


@pytest.mark.parametrize(
    "changed",
    [
        {"token": MAC[:-1] + ("A" if MAC[-1] != "A" else "B")},
        {"token": ""},
        {"task_id": derive_task_id("owner", "other")},
        {"kid": "k2"},
        {"kid": "k9"},
        {"kid": "current"},
        {"kid": "poyo_callback_signing_key"},
    ],
)
def test_a_wrong_url_rings_nothing(changed: dict[str, str]) -> None:
    bell = Bell()

    assert not heard(bell, keys(), **changed)
    assert bell.rings == []


def test_an_older_key_still_opens_while_keys_rotate() -> None:
    bell = Bell()

    assert heard(bell, keys(current="k2"))
    assert heard(
        bell, keys(current="k2"), kid="k2", token=signed_urls.callback_token("two", TASK_ID)
    )
    assert len(bell.rings) == 2


BODY = b'{"task_id":"TESTTASK00000001","status":"finished"}'


@pytest.mark.parametrize(
    ("headers", "rings"),
    [
        (signature(WEBHOOK_KEY, "TESTTASK00000001", "1783680000"), True),
        (signature(WEBHOOK_KEY, "TESTTASK00000001", "1"), True),
        (signature(WEBHOOK_KEY, "TESTTASK00000001", ""), True),
        (signature("whsec_other", "TESTTASK00000001", "1783680000"), False),
        (signature(WEBHOOK_KEY, "ANOTHER", "1783680000"), False),
        ({"x-webhook-timestamp": "1783680000", "x-webhook-signature": ""}, False),
        ({}, False),
    ],
)
def test_a_signature_counts_when_its_key_is_configured_and_its_age_never(
    headers: dict[str, str], rings: bool
) -> None:
    bell = Bell()

    assert (
        heard(bell, keys(poyo_callback_signing_key=WEBHOOK_KEY), headers=headers, body=BODY)
        is rings
    )
    assert len(bell.rings) == rings
    assert heard(Bell(), keys(), headers=headers, body=BODY)


def test_poyos_published_vector_rings() -> None:
    headers = {
        "x-webhook-timestamp": "1783680000",
        "x-webhook-signature": "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU=",
    }

    assert heard(Bell(), keys(poyo_callback_signing_key=WEBHOOK_KEY), headers=headers, body=BODY)


def test_a_bell_that_is_dumb_is_told_to_poyo() -> None:
    class Dumb(Bell):
        def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
            raise QueueUnavailable("dumb")

    with pytest.raises(QueueUnavailable):
        heard(Dumb(), keys())
