"""The worker: it processes each task message separately, and reports a failed one so that SQS retries it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from imagetasks.tasks.task import Task
from tests.fixtures.images import png
from tests.support.emulated_aws import Cloud, aws
from tests.support.environment import TestEnvironment
from tests.support.fakes import POYO_ID, POYO_KEY, PROMPT, task
from tests.support.lambdas import Context, captured_logs, load_handler
from tests.support.scripted_server import ScriptedServer, responding, scripted_server

PNG = png()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture
def file_host() -> Iterator[ScriptedServer]:
    with scripted_server(responding("200 OK", PNG)) as server:
        yield server


@pytest.fixture
def worker(cloud: Cloud, file_host: ScriptedServer) -> Iterator[ModuleType]:
    body = {
        "task_id": POYO_ID,
        "status": "finished",
        "files": [{"file_url": f"{file_host.url}/{PROMPT}.png"}],
        "credits_amount": 2.0,
    }
    with (
        scripted_server(
            responding("200 OK", json.dumps({"code": 200, "data": body}).encode())
        ) as poyo,
        load_handler(
            "worker", cloud, POYO_BASE_URL=poyo.url, DOWNLOAD_HOSTS=file_host.url
        ) as handler_module,
    ):
        yield handler_module


def sqs_record(body: str, number: int = 0) -> dict[str, Any]:
    return {
        "messageId": f"message-{number}",
        "receiptHandle": "handle",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:task-messages",
        "awsRegion": "eu-west-1",
    }


def message_body(task: Task, **further: Any) -> str:
    return json.dumps({"task_id": task.task_id, "source": "callback", "poyo_id": None} | further)


def failed_messages(worker: ModuleType, *bodies: str) -> list[str]:
    """Ids of the messages that the worker reports as failed."""
    records = [sqs_record(body, n) for n, body in enumerate(bodies)]
    response = worker.handler({"Records": records}, Context())
    return [each["itemIdentifier"] for each in response["batchItemFailures"]]


def put_running(cloud: Cloud, key: str = "key") -> Task:
    return TestEnvironment(cloud).put(task(key, state="running", poyo_id=POYO_ID))


def test_message_of_a_finished_task_stores_its_image(
    cloud: Cloud, worker: ModuleType, file_host: ScriptedServer
) -> None:
    running = put_running(cloud)

    assert failed_messages(worker, message_body(running)) == []

    after = TestEnvironment(cloud).read(running)
    assert after.state == "finished"
    stored = cloud.client("s3").get_object(Bucket=cloud.bucket, Key=after.files[0].key)
    assert stored["Body"].read() == PNG
    assert len(file_host.requests) == 1


def test_message_of_an_older_or_newer_version_is_processed(
    cloud: Cloud, worker: ModuleType
) -> None:
    running = put_running(cloud)
    without_poyo_id = json.dumps({"task_id": running.task_id, "source": "sweep"})
    with_unknown_key = message_body(running, since="2027")

    assert failed_messages(worker, without_poyo_id, with_unknown_key) == []


INVALID_BODIES = ["", "{", "[]", "null", "7", '"x"', "{}", '{"task_id":"x"}', '{"source":"x"}']


@pytest.mark.parametrize("body", INVALID_BODIES, ids=range(len(INVALID_BODIES)))
def test_invalid_message_fails_alone(cloud: Cloud, worker: ModuleType, body: str) -> None:
    running = put_running(cloud)

    assert failed_messages(worker, body, message_body(running), body) == ["message-0", "message-2"]
    assert TestEnvironment(cloud).read(running).state == "finished"


def test_message_for_an_unknown_task_is_done(worker: ModuleType) -> None:
    assert (
        failed_messages(
            worker, json.dumps({"task_id": "unknown", "source": "callback", "poyo_id": "X"})
        )
        == []
    )


def test_unavailable_database_fails_every_message_and_raises_an_alarm(
    cloud: Cloud, file_host: ScriptedServer
) -> None:
    running = put_running(cloud)
    with (
        load_handler("worker", cloud, TABLE_NAME="no-such-table") as worker,
        captured_logs() as log,
    ):
        assert failed_messages(worker, message_body(running), message_body(running)) == [
            "message-0",
            "message-1",
        ]

    assert "reconcile_failed" in log.getvalue()
    assert "DatabaseUnavailable" in log.getvalue()


def test_message_is_done_although_poyo_is_unavailable(cloud: Cloud) -> None:
    running = put_running(cloud)
    with (
        scripted_server(responding("503 No")) as poyo,
        load_handler("worker", cloud, POYO_BASE_URL=poyo.url) as worker,
    ):
        assert failed_messages(worker, message_body(running)) == []

    assert TestEnvironment(cloud).read(running).reason == "timed_out"


def test_logs_contain_no_secret(
    cloud: Cloud, worker: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    running = put_running(cloud)
    with captured_logs() as log:
        failed_messages(worker, message_body(running), PROMPT, f'{{"{PROMPT}": 1}}')

    logs = log.getvalue() + "".join(capsys.readouterr())
    assert running.task_id in logs
    for canary in (PROMPT, POYO_KEY, "http://"):
        assert canary not in logs
