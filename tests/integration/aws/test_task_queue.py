"""The queue: messages arrive as they were sent, delays are bounded, errors raise QueueUnavailable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.aws.task_queue import TaskQueue
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks.message import TaskMessage
from tests.support.emulated_aws import Cloud, aws

MESSAGE = TaskMessage(task_id="t", source="callback", poyo_id="ABC")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


def test_message_is_received_as_it_was_sent(cloud: Cloud) -> None:
    TaskQueue(cloud.client("sqs"), cloud.queue_url).send(MESSAGE)

    [received] = cloud.messages()
    assert TaskMessage(**received) == MESSAGE


@pytest.mark.parametrize(
    ("delay_s", "seconds"),
    [(0, 0), (-5, 0), (0.4, 1), (0.6, 1), (59.5, 60), (900, 900), (1e9, 900)],
)
def test_delay_is_rounded_up_to_seconds_and_bounded(
    cloud: Cloud, delay_s: float, seconds: int
) -> None:
    client = cloud.client("sqs")
    requests: list[Any] = []
    client.meta.events.register(
        "provide-client-params.sqs.SendMessage", lambda params, **_: requests.append(params)
    )

    TaskQueue(client, cloud.queue_url).send(MESSAGE, delay_s=delay_s)

    assert [each["DelaySeconds"] for each in requests] == [seconds]


def test_missing_queue_raises_queue_unavailable(cloud: Cloud) -> None:
    missing = TaskQueue(cloud.client("sqs"), cloud.queue_url + "-missing")

    with pytest.raises(QueueUnavailable) as raised:
        missing.send(MESSAGE)

    assert not raised.value.passing
