"""The bell: what is rung is what is heard, and a dumb one says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.aws.task_queue import TaskQueue
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks.message import TaskMessage
from tests.support.environment import Cloud, aws

RING = TaskMessage(task_id="t", source="callback", poyo_id="ABC")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as made:
        yield made


def test_a_ring_is_heard_as_it_was_rung(cloud: Cloud) -> None:
    TaskQueue(cloud.client("sqs"), cloud.queue_url).send(RING)

    [heard] = cloud.messages()
    assert TaskMessage(**heard) == RING


@pytest.mark.parametrize(
    ("delay_s", "seconds"),
    [(0, 0), (-5, 0), (0.4, 0), (0.6, 1), (59.5, 60), (900, 900), (1e9, 900)],
)
def test_a_delay_is_whole_seconds_within_what_the_queue_allows(
    cloud: Cloud, delay_s: float, seconds: int
) -> None:
    client = cloud.client("sqs")
    asked: list[Any] = []
    client.meta.events.register(
        "provide-client-params.sqs.SendMessage", lambda params, **_: asked.append(params)
    )

    TaskQueue(client, cloud.queue_url).send(RING, delay_s=delay_s)

    assert [each["DelaySeconds"] for each in asked] == [seconds]


def test_a_queue_that_is_away_says_so(cloud: Cloud) -> None:
    gone = TaskQueue(cloud.client("sqs"), cloud.queue_url + "-gone")

    with pytest.raises(QueueUnavailable):
        gone.send(RING)
