"""The SQS queue of task messages, each of which says *reconcile this task*."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from imagetasks.aws import CLIENT_CONFIG, translated
from imagetasks.errors import QueueUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from imagetasks.tasks.message import TaskMessage

MAX_DELAY_S = 900  # SQS allows no longer delay


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TaskQueue:
    """The queue that the worker reads."""

    client: SQSClient
    queue_url: str

    @classmethod
    def from_env(cls) -> TaskQueue:
        """The queue named by QUEUE_URL."""
        return cls(boto3.client("sqs", config=CLIENT_CONFIG), os.environ["QUEUE_URL"])

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        """Send a message that is delivered `delay_s` seconds later (15 minutes at most), never earlier:
        a task that is not due yet would ignore it. Raises QueueUnavailable."""
        try:
            self.client.send_message(
                QueueUrl=self.queue_url,
                MessageBody=json.dumps(asdict(message)),
                DelaySeconds=min(MAX_DELAY_S, max(0, math.ceil(delay_s))),
            )
        except (ClientError, BotoCoreError) as error:
            raise translated(error, QueueUnavailable) from error
