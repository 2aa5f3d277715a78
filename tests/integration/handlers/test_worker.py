"""The worker's door: each bell on its own, and a failed one is named so that it comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from tests.fixtures.images import png
from tests.support.environment import Cloud, TestEnvironment, aws
from tests.support.fakes import POYO_ID, POYO_KEY, PROMPT, task
from tests.support.lambdas import Context, captured_logs, load_handler
from tests.support.scripted_server import ScriptedServer, responding, scripted_server

PNG = png()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as made:
        yield made


@pytest.fixture
def files() -> Iterator[ScriptedServer]:
    with scripted_server(responding("200 OK", PNG)) as server:
        yield server


@pytest.fixture
def door(cloud: Cloud, files: ScriptedServer) -> Iterator[ModuleType]:
    body = {
        "task_id": POYO_ID,
        "status": "finished",
        "files": [{"file_url": f"{files.url}/{PROMPT}.png"}],
        "credits_amount": 2.0,
    }
    with (
        scripted_server(
            responding("200 OK", json.dumps({"code": 200, "data": body}).encode())
        ) as poyo,
        load_handler("worker", cloud, POYO_BASE_URL=poyo.url, DOWNLOAD_HOSTS=files.url) as made,
    ):
        yield made


def message(body: str, number: int = 0) -> dict[str, Any]:
    return {
        "messageId": f"message-{number}",
        "receiptHandle": "handle",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:rings",
        "awsRegion": "eu-west-1",
    }


def bell(mine: Task, **said: Any) -> str:
    return json.dumps({"task_id": mine.task_id, "source": "callback", "poyo_id": None} | said)


def rung(door: ModuleType, *bodies: str) -> list[str]:
    """Numbers of the messages that failed."""
    records = [message(body, n) for n, body in enumerate(bodies)]
    answer = door.handler({"Records": records}, Context())
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def running(cloud: Cloud, key: str = "key") -> Task:
    return TestEnvironment(cloud).put(task(key, state="running", poyo_id=POYO_ID))


def test_a_bell_brings_the_image_home(
    cloud: Cloud, door: ModuleType, files: ScriptedServer
) -> None:
    mine = running(cloud)

    assert rung(door, bell(mine)) == []

    after = TestEnvironment(cloud).read(mine)
    assert after.state == "finished"
    stored = cloud.client("s3").get_object(Bucket=cloud.bucket, Key=after.files[0].key)
    assert stored["Body"].read() == PNG
    assert len(files.requests) == 1


def test_a_bell_of_an_older_or_newer_version_is_heard(cloud: Cloud, door: ModuleType) -> None:
    mine = running(cloud)
    without_hint = json.dumps({"task_id": mine.task_id, "source": "sweep"})
    with_more = bell(mine, since="2027")

    assert rung(door, without_hint, with_more) == []


POISON = ["", "{", "[]", "null", "7", '"x"', "{}", '{"task_id":"x"}', '{"source":"x"}']


@pytest.mark.parametrize("body", POISON, ids=range(len(POISON)))
def test_a_bell_that_cannot_be_read_fails_alone(cloud: Cloud, door: ModuleType, body: str) -> None:
    mine = running(cloud)

    assert rung(door, body, bell(mine), body) == ["message-0", "message-2"]
    assert TestEnvironment(cloud).read(mine).state == "finished"


def test_a_bell_for_nobody_is_done_with(door: ModuleType) -> None:
    assert rung(door, json.dumps({"task_id": "nobody", "source": "callback", "poyo_id": "X"})) == []


def test_our_own_trouble_brings_the_bell_back_and_pages(
    cloud: Cloud, files: ScriptedServer
) -> None:
    mine = running(cloud)
    with load_handler("worker", cloud, TABLE_NAME="no-such-table") as away, captured_logs() as log:
        assert rung(away, bell(mine), bell(mine)) == ["message-0", "message-1"]

    assert "reconcile_failed" in log.getvalue()
    assert "DatabaseUnavailable" in log.getvalue()


def test_trouble_at_poyo_is_acknowledged(cloud: Cloud) -> None:
    mine = running(cloud)
    with (
        scripted_server(responding("503 No")) as poyo,
        load_handler("worker", cloud, POYO_BASE_URL=poyo.url) as door,
    ):
        assert rung(door, bell(mine)) == []

    assert TestEnvironment(cloud).read(mine).polls == 1


def test_no_log_line_tells_a_secret(
    cloud: Cloud, door: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = running(cloud)
    with captured_logs() as log:
        rung(door, bell(mine), PROMPT, f'{{"{PROMPT}": 1}}')

    said = log.getvalue() + "".join(capsys.readouterr())
    assert mine.task_id in said
    for canary in (PROMPT, POYO_KEY, "http://"):
        assert canary not in said


@pytest.mark.parametrize("body", POISON, ids=range(len(POISON)))
def test_what_is_no_ring_raises(body: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        TaskMessage.from_json(body)


@pytest.mark.parametrize("poyo_id", [None, POYO_ID])
def test_a_ring_is_read_as_it_was_rung(poyo_id: str | None) -> None:
    said = json.dumps({"task_id": "t", "source": "sweep", "poyo_id": poyo_id})

    assert TaskMessage.from_json(said) == TaskMessage(task_id="t", source="sweep", poyo_id=poyo_id)
