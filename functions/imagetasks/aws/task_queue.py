"""SQS queues of task messages: the worker's and the notify function's, and how these read theirs."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from imagetasks import telemetry
from imagetasks.aws import translated
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks.message import TaskMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        SendMessageBatchRequestEntryTypeDef,
        SendMessageRequestTypeDef,
    )

    from imagetasks.tasks.task import Task

MAX_DELAY_S = 900  # SQS allows no longer delay


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TaskQueue:
    """The queue that the worker reads: each message says *reconcile this task*."""

    client: SQSClient
    queue_url: str

    @classmethod
    def from_env(cls, client: SQSClient) -> TaskQueue:
        """The queue named by QUEUE_URL."""
        return cls(client, os.environ["QUEUE_URL"])

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        """Send a message that is delivered `delay_s` seconds later (15 minutes at most), never earlier:
        a task that is not due yet would ignore it. Raises QueueUnavailable."""
        seconds = min(MAX_DELAY_S, max(0, math.ceil(delay_s)))
        _send(
            self.client,
            QueueUrl=self.queue_url,
            MessageBody=json.dumps(asdict(message)),
            DelaySeconds=seconds,
        )

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        """Send up to ten messages (`MAX_BATCH`) with one request, which is billed as one. Raises
        QueueUnavailable if SQS did not take each of them."""
        bodies = [json.dumps(asdict(message)) for message in messages]
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)
        ]
        with _translated():
            response = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        for failed in response.get("Failed", ()):
            raise QueueUnavailable(failed["Code"], passing=not failed["SenderFault"])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NotificationQueue:
    """The queue that the notify function reads: each message says *notify this task's caller*."""

    client: SQSClient
    queue_url: str

    @classmethod
    def from_env(cls, client: SQSClient) -> NotificationQueue:
        """The queue named by NOTIFICATION_QUEUE_URL."""
        return cls(client, os.environ["NOTIFICATION_QUEUE_URL"])

    def send(self, task: Task) -> None:
        """Send a message about `task`. Raises QueueUnavailable.

        Its group is the receiver's host: SQS delivers other groups first while the messages of one
        group take most of the processing time (fair queues), so a slow host delays its own callers.
        """
        host = urlsplit(str(task.notification_url)).netloc
        _send(
            self.client,
            QueueUrl=self.queue_url,
            MessageBody=json.dumps(asdict(TaskMessage(task_id=task.task_id, source="notify"))),
            MessageGroupId=hashlib.sha256(host.encode()).hexdigest(),
        )


def process_batch(
    event: Mapping[str, Any], process: Callable[[TaskMessage], None], *, alarm: str
) -> dict[str, Any]:
    """Process each message of an SQS event, independently of the others, and return Lambda's response. It
    names the messages that failed: SQS repeats them, then moves them to the dead-letter queue. An
    exception of `process` raises `alarm`."""
    failed = [
        each["messageId"] for each in event["Records"] if not _processed(each, process, alarm)
    ]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _processed(
    record: Mapping[str, Any], process: Callable[[TaskMessage], None], alarm: str
) -> bool:
    try:
        message = TaskMessage.from_json(record["body"])
    except (ValueError, KeyError, TypeError):
        return False  # none of ours; the dead-letter queue's alarm tells the operator
    telemetry.bind_task(message.task_id)
    try:
        process(message)
    except Exception as error:  # noqa: BLE001  # one message must not take the others with it
        telemetry.alarm(alarm, **telemetry.described(error))
        return False
    return True


def _send(client: SQSClient, **request: Unpack[SendMessageRequestTypeDef]) -> None:
    with _translated():
        client.send_message(**request)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise QueueUnavailable for every error of SQS in the block."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translated(error, QueueUnavailable) from error
