"""The queue: messages arrive as they were sent, delays are bounded, errors raise QueueUnavailable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.aws.task_queue import NotificationQueue, TaskQueue
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks.message import TaskMessage
from tests.support.emulated_aws import Cloud, aws
from tests.support.fakes import task

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


def test_notification_message_names_the_task_and_its_group_is_the_receivers_host(
    cloud: Cloud,
) -> None:
    """SQS then delivers other groups first while one group takes most of the time (fair queues)."""
    client = cloud.client("sqs")
    queue = NotificationQueue(client, cloud.notification_queue_url)
    urls = ("https://slow.example/a", "https://slow.example/b?c", "https://other.example/a")
    for n, url in enumerate(urls):
        queue.send(task(f"{n}", state="finished", notification_url=url))

    received = client.receive_message(
        QueueUrl=cloud.notification_queue_url,
        MaxNumberOfMessages=10,
        MessageSystemAttributeNames=["MessageGroupId"],
    )["Messages"]
    by_task = {
        TaskMessage.from_json(each["Body"]).task_id: each["Attributes"]["MessageGroupId"]
        for each in received
    }
    first, second, other = (by_task[task(f"{n}").task_id] for n in range(3))
    assert first == second != other
    assert "example" not in first


def test_several_messages_are_sent_with_one_request(cloud: Cloud) -> None:
    client, requests = cloud.client("sqs"), []
    client.meta.events.register("before-call.sqs.*", lambda model, **_: requests.append(model.name))
    messages = [TaskMessage(task_id=f"t{n}", source="sweep", due_since=n) for n in range(10)]

    TaskQueue(client, cloud.queue_url).send_all(messages)

    assert requests == ["SendMessageBatch"]
    received = [TaskMessage(**each) for each in cloud.messages()]
    assert sorted(received, key=lambda each: each.task_id) == messages


@pytest.mark.parametrize("sender_fault", [True, False])
def test_message_that_sqs_refuses_among_others_raises_queue_unavailable(
    cloud: Cloud, *, sender_fault: bool
) -> None:
    client = cloud.client("sqs")
    failed = {"Id": "1", "Code": "InternalError", "SenderFault": sender_fault}
    client.meta.events.register(
        "after-call.sqs.SendMessageBatch", lambda parsed, **_: parsed.update(Failed=[failed])
    )

    with pytest.raises(QueueUnavailable) as raised:
        TaskQueue(client, cloud.queue_url).send_all([MESSAGE, MESSAGE])

    assert (raised.value.code, raised.value.passing) == ("InternalError", not sender_fault)


def test_missing_queue_raises_queue_unavailable(cloud: Cloud) -> None:
    missing = TaskQueue(cloud.client("sqs"), cloud.queue_url + "-missing")

    with pytest.raises(QueueUnavailable) as raised:
        missing.send(MESSAGE)
    with pytest.raises(QueueUnavailable):
        missing.send_all([MESSAGE])

    assert not raised.value.passing
    with pytest.raises(QueueUnavailable):
        NotificationQueue(missing.client, missing.queue_url).send(task())
