"""The notify function: each message notifies one caller, and a failed one is repeated by SQS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.support.emulated_aws import Cloud, aws
from tests.support.environment import TestEnvironment
from tests.support.fakes import POYO_KEY, PROMPT
from tests.support.lambdas import Context, captured_logs, load_handler
from tests.support.scripted_server import ScriptedServer, responding, scripted_server
from tests.support.stored_tasks import is_at_rest, put_ended
from tests.support.template import properties


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    with scripted_server(responding("200 OK", b"")) as server:
        yield server


def failed_messages(notify: ModuleType, *bodies: str) -> list[str]:
    """Ids of the messages that the function reports as failed."""
    records = [
        {"messageId": f"message-{n}", "eventSource": "aws:sqs", "body": body}
        for n, body in enumerate(bodies)
    ]
    response = notify.handler({"Records": records}, Context())
    return [each["itemIdentifier"] for each in response["batchItemFailures"]]


def message_body(task_id: str) -> str:
    return json.dumps({"task_id": task_id, "source": "notify", "poyo_id": None})


def test_message_notifies_the_caller_once(cloud: Cloud, receiver: ScriptedServer) -> None:
    env = TestEnvironment(cloud)
    ended = put_ended(env, notification_url=f"{receiver.url}/hook")

    with load_handler("notify", cloud, NOTIFICATION_HOSTS=receiver.url) as notify:
        body = message_body(ended.task_id)
        assert failed_messages(notify, body, body) == []

    [request] = receiver.requests
    assert request.startswith(b"POST /hook ")
    assert is_at_rest(env, env.read(ended))


def test_receiver_that_fails_is_tried_again_through_the_task_queue(cloud: Cloud) -> None:
    env = TestEnvironment(cloud)
    with scripted_server(responding("503 Unavailable", b"")) as receiver:
        ended = put_ended(env, notification_url=f"{receiver.url}/hook")
        with load_handler("notify", cloud, NOTIFICATION_HOSTS=receiver.url) as notify:
            assert failed_messages(notify, message_body(ended.task_id)) == []

    assert cloud.messages() == [{"delayed": True}]
    assert env.read(ended).notification_attempts == 1


def test_message_of_an_unknown_task_is_dropped(cloud: Cloud) -> None:
    with load_handler("notify", cloud) as notify:
        assert failed_messages(notify, message_body("a" * 26)) == []


def test_only_failed_messages_are_repeated_and_their_alarm_names_no_secret(cloud: Cloud) -> None:
    ended = put_ended(TestEnvironment(cloud))
    with (
        load_handler("notify", cloud, TABLE_NAME="no-such-table") as notify,
        captured_logs() as log,
    ):
        assert failed_messages(notify, message_body(ended.task_id), "{") == [
            "message-0",
            "message-1",
        ]

    assert log.getvalue().count("notify_failed") == 1
    for canary in (PROMPT, POYO_KEY, "http"):
        assert canary not in log.getvalue()


def test_function_gets_what_it_needs_and_nothing_else(cloud: Cloud) -> None:
    """No PoYo, no bucket, no key of the callback URLs."""
    variables = properties("NotifyFunction")["Environment"]["Variables"]

    assert set(variables) == {"TABLE_NAME", "QUEUE_URL", "API_SECRET_ARN", "NOTIFICATION_HOSTS"}
    assert "NOTIFICATION_HOSTS" not in properties("WorkerFunction")["Environment"]["Variables"]
    for name in variables:
        with (
            pytest.raises(KeyError, match=name),
            load_handler("notify", cloud, without=name),
        ):
            pass
