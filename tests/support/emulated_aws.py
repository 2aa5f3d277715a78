"""An AWS emulated in this process, with the table, bucket, queue and secrets of the template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, cast

import boto3
import boto3.session
import pytest
from moto import mock_aws

from tests.support.fakes import POYO_KEY
from tests.support.template import properties, table_arguments

REGION: Final = "eu-west-1"
SERVER_KEY = "canary-server-key"  # of `owner`
OTHER_SERVER_KEY = "another-server-key"  # of `other`
CALLBACK_KEY = "canary-callback-key"
TOKEN_KEYS = {
    "current": "k1",
    "k1": "canary-token-key-" + "1" * 32,
    "k2": "canary-token-key-" + "2" * 32,
}


@dataclass
class Cloud:
    """The emulated AWS: names and addresses of its resources, and clients that read them."""

    table_name: str
    bucket: str
    queue_url: str
    notification_queue_url: str
    api_secret: str
    callback_secret: str
    token_secret: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.client(cast(Any, service), region_name=REGION)
        return self.clients[service]

    def environment(self, **further: str) -> dict[str, str]:
        """Environment variables of the functions, as in the template."""
        return {
            "TABLE_NAME": self.table_name,
            "BUCKET_NAME": self.bucket,
            "QUEUE_URL": self.queue_url,
            "NOTIFICATION_QUEUE_URL": self.notification_queue_url,
            "API_SECRET_ARN": self.api_secret,
            "CALLBACK_SECRET_ARN": self.callback_secret,
            "TOKEN_SECRET_ARN": self.token_secret,
            "POYO_BASE_URL": "http://127.0.0.1:9",
            "PUBLIC_URL": "https://img.example",
            "DOWNLOAD_HOSTS": "cdn.doculator.org",
            "NOTIFICATION_HOSTS": "*",
            "WAITING_CONCURRENCY": "5",
            "STACK_DAILY_CREDITS": "0",
            "OWNER_DAILY_CREDITS": "0",
            "ORDERS_PAUSED": "false",
            "PLAYGROUND": "false",
            "MODELS": "gpt-image-*",
            "FIRST_POLL_SECONDS": "90",
            "POYO_SUBMITS_PER_10S": "20",
            "IMAGE_RETENTION_DAYS": "0",
        } | further

    def messages(self) -> list[dict[str, Any]]:
        """Receive and delete every task message; a delayed one cannot be received: `{"delayed": True}`."""
        sqs = self.client("sqs")
        attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        bodies: list[dict[str, Any]] = []
        while received := sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            bodies += [json.loads(each["Body"]) for each in received]
            for each in received:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=each["ReceiptHandle"])
        counted = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=attributes)
        delayed = int(counted["Attributes"]["ApproximateNumberOfMessagesDelayed"])
        return bodies + [{"delayed": True}] * delayed

    def items(self) -> list[dict[str, Any]]:
        """All items of the table."""
        return cast(
            list[dict[str, Any]],
            self.client("dynamodb").scan(TableName=self.table_name)["Items"],
        )

    def due_pks(self) -> set[str]:
        """Partition keys of all items in the index `due`."""
        found = self.client("dynamodb").scan(TableName=self.table_name, IndexName="due")
        return {item["pk"]["S"] for item in found["Items"]}


@cache
def _session() -> boto3.session.Session:
    """One session for all tests: loading the descriptions of the services takes long."""
    return boto3.session.Session(region_name=REGION)


@contextmanager
def aws() -> Iterator[Cloud]:
    """An empty cloud with the template's table, bucket, queue and secrets."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        environment.delenv("AWS_PROFILE", raising=False)
        environment.setattr(boto3, "DEFAULT_SESSION", _session())
        clients: dict[str, Any] = {
            name: boto3.client(cast(Any, name)) for name in ("dynamodb", "s3", "sqs")
        }
        clients["dynamodb"].create_table(TableName="tasks", **table_arguments())
        clients["s3"].create_bucket(
            Bucket="images", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        queue = clients["sqs"].create_queue(
            QueueName="task-messages",
            Attributes={"VisibilityTimeout": str(properties("TaskQueue")["VisibilityTimeout"])},
        )
        notifications = clients["sqs"].create_queue(QueueName="notifications")
        secrets = clients["secretsmanager"] = boto3.client("secretsmanager")
        hashes = {
            name: hashlib.sha256(key.encode()).hexdigest()
            for name, key in {"owner": SERVER_KEY, "other": OTHER_SERVER_KEY}.items()
        }
        api = {"poyo_api_key": POYO_KEY, "server_keys": hashes}
        callbacks = {"current": "k1", "k1": CALLBACK_KEY}
        yield Cloud(
            table_name="tasks",
            bucket="images",
            queue_url=queue["QueueUrl"],
            notification_queue_url=notifications["QueueUrl"],
            api_secret=secrets.create_secret(Name="api", SecretString=json.dumps(api))["ARN"],
            callback_secret=secrets.create_secret(
                Name="callbacks", SecretString=json.dumps(callbacks)
            )["ARN"],
            token_secret=secrets.create_secret(Name="tokens", SecretString=json.dumps(TOKEN_KEYS))[
                "ARN"
            ],
            clients=clients,
        )
