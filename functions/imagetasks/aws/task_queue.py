"""The bell: a queue on which all that is ever said is *look at this task*."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from imagetasks.errors import QueueUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from imagetasks.tasks.message import TaskMessage

LONGEST_DELAY_S = 900  # what SQS allows
CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


@dataclass(frozen=True, slots=True)
class TaskQueue:
    """The queue of rings. Raises QueueUnavailable when a ring could not be handed over."""

    client: SQSClient
    queue_url: str

    @classmethod
    def from_env(cls) -> TaskQueue:
        """The queue named by QUEUE_URL."""
        return cls(boto3.client("sqs", config=CONFIG), os.environ["QUEUE_URL"])

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        """Ring once, heard after `delay_s` seconds (15 minutes at most)."""
        try:
            self.client.send_message(
                QueueUrl=self.queue_url,
                MessageBody=json.dumps(asdict(message)),
                DelaySeconds=min(LONGEST_DELAY_S, max(0, round(delay_s))),
            )
        except (ClientError, BotoCoreError) as error:
            raise QueueUnavailable(type(error).__name__) from error
