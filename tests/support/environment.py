"""Our code on an AWS emulated in this process, created from the template's own properties."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import boto3
import boto3.session
import pytest
import yaml
from moto import mock_aws

from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.limits import Limits
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task, task_pk, to_item
from imagetasks.workflows.notify_caller import CallerNotifier
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.submit import Order, Submitter
from imagetasks.workflows.sweep import SweepResult, sweep
from imagetasks.workflows.task_updater import TaskUpdater
from tests.support.fakes import (
    POYO_KEY,
    PROMPT,
    FakeFileHost,
    FakeNotificationSender,
    FakePoyo,
    ManualClock,
    make_clock,
    poyo_client,
)

REGION: Final = "eu-west-1"
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
SERVER_KEY = "canary-server-key"
CALLBACK_KEY = "canary-callback-key"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags; each tag is dropped and its value is kept."""


def _untagged(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)


_Loader.add_multi_constructor("!", _untagged)


@cache
def template() -> dict[str, Any]:
    """template.yaml, its intrinsic functions as plain values."""
    return cast(dict[str, Any], yaml.load(TEMPLATE.read_text(), Loader=_Loader))  # noqa: S506


def properties(logical_id: str) -> dict[str, Any]:
    """Properties of one resource of the template."""
    return cast(dict[str, Any], template()["Resources"][logical_id]["Properties"])


def table_arguments() -> dict[str, Any]:
    """The template's table as arguments of CreateTable."""
    declared = properties("TasksTable")
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {name: declared[name] for name in names}


@dataclass
class Cloud:
    """The emulated AWS: names and addresses of its resources, and clients that read them."""

    table_name: str
    bucket: str
    queue_url: str
    api_secret: str
    callback_secret: str
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
            "API_SECRET_ARN": self.api_secret,
            "CALLBACK_SECRET_ARN": self.callback_secret,
            "POYO_BASE_URL": "http://127.0.0.1:9",
            "PUBLIC_URL": "https://img.example",
            "DOWNLOAD_HOSTS": "cdn.doculator.org",
            "NOTIFICATION_HOSTS": "*",
            "FIRST_POLL_SECONDS": "90",
            "POYO_SUBMITS_PER_10S": "20",
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
        secrets = clients["secretsmanager"] = boto3.client("secretsmanager")
        hashes = {
            name: hashlib.sha256(key.encode()).hexdigest()
            for name, key in {"owner": SERVER_KEY, "other": "another-server-key"}.items()
        }
        api = {"poyo_api_key": POYO_KEY, "server_keys": hashes}
        callbacks = {"current": "k1", "k1": CALLBACK_KEY}
        yield Cloud(
            table_name="tasks",
            bucket="images",
            queue_url=queue["QueueUrl"],
            api_secret=secrets.create_secret(Name="api", SecretString=json.dumps(api))["ARN"],
            callback_secret=secrets.create_secret(
                Name="callbacks", SecretString=json.dumps(callbacks)
            )["ARN"],
            clients=clients,
        )


@dataclass
class TestEnvironment:
    """Our workflows and clients with a clock that stands still, a fake PoYo and a fake file host."""

    __test__ = False  # pytest would collect it for its name

    cloud: Cloud
    limits: Limits = field(default_factory=Limits)
    time: ManualClock = field(default_factory=ManualClock)
    fake_poyo: FakePoyo = field(default_factory=FakePoyo)
    file_host: FakeFileHost = field(default_factory=FakeFileHost)
    notifications: FakeNotificationSender = field(default_factory=FakeNotificationSender)

    def __post_init__(self) -> None:
        cloud = self.cloud
        self.clock = make_clock(self.time, self.limits)
        self.table = Table(cloud.client("dynamodb"), cloud.table_name)
        self.repository = TaskRepository(self.table)
        self.images = ImageBucket(cloud.client("s3"), cloud.bucket)
        self.queue = TaskQueue(cloud.client("sqs"), cloud.queue_url)
        secret = CachedSecret(
            cloud.client("secretsmanager"), cloud.callback_secret, self.time.seconds
        )
        self.callback_keys = CallbackKeys(secret)
        self.poyo = poyo_client(self.fake_poyo)
        self.keys = ApiKeys(CachedSecret(cloud.client("secretsmanager"), cloud.api_secret))
        self.updater = self.updater_with()
        self.submitter = self.submitter_with()
        self.reconciler = self.reconciler_with()

    def updater_with(self, **replaced: Any) -> TaskUpdater:
        """The updater, with its repository or its queue replaced."""
        clients: dict[str, Any] = {"repository": self.repository, "queue": self.queue}
        return TaskUpdater(**clients | replaced, clock=self.clock)

    def submitter_with(self, **replaced: Any) -> Submitter:
        """The submitter, with some of its clients replaced, or its updater's queue."""
        queue = {"queue": replaced.pop("queue")} if "queue" in replaced else {}
        repository = replaced.get("repository", self.repository)
        clients: dict[str, Any] = {
            "repository": repository,
            "poyo": self.poyo,
            "callback_keys": self.callback_keys,
            "uploads": UploadBucket(self.images.client, self.images.bucket),
            "updater": self.updater_with(repository=repository, **queue),
            "clock": self.clock,
        }
        return Submitter(**clients | replaced)

    def reconciler_with(self, **replaced: Any) -> TaskReconciler:
        """The reconciler, with some of its clients replaced, or its updater's queue."""
        queue = {"queue": replaced.pop("queue")} if "queue" in replaced else {}
        updater = self.updater_with(**queue)
        clients: dict[str, Any] = {
            "repository": self.repository,
            "poyo": self.poyo,
            "images": self.images,
            "downloader": self.file_host,
            "submitter": self.submitter,
            "notifier": self.notifier(),
            "updater": updater,
            "clock": self.clock,
        }
        return TaskReconciler(**clients | replaced)

    def notifier(self) -> CallerNotifier:
        """The notifier, which sends to the current `notifications`."""
        return CallerNotifier(
            sender=cast(NotificationSender, self.notifications),
            keys=self.keys,
            updater=self.updater,
            clock=self.clock,
        )

    def reconcile(self, task: Task, source: str = "sweep", poyo_id: str | None = None) -> Task:
        """Reconcile once and return the task as it is afterwards."""
        self.reconciler.reconcile(TaskMessage(task_id=task.task_id, source=source, poyo_id=poyo_id))
        return self.read(task)

    def read(self, task: Task) -> Task:
        return self.repository.get(task.task_id)

    def put(self, task: Task) -> Task:
        """Write the task unconditionally, and return it."""
        always_true = Condition((absent("never"),))
        self.table.put(PutItem(item=to_item(task), condition=always_true))
        return task

    def sweep(self, time_left_s: float = 100) -> SweepResult:
        return sweep(
            repository=self.repository,
            queue=self.queue,
            clock=self.clock,
            time_left_s=lambda: time_left_s,
        )

    def is_due(self, task: Task) -> bool:
        """Whether the task is in the index `due`, so that the sweep finds it."""
        return task_pk(task.task_id) in self.cloud.due_pks()


@contextmanager
def new_environment(**options: Any) -> Iterator[TestEnvironment]:
    """A new environment on an empty cloud."""
    with aws() as cloud:
        yield TestEnvironment(cloud, **options)


def order(key: str = "key", **changed: Any) -> Order:
    """A valid order."""
    values: dict[str, Any] = {
        "owner": "owner",
        "idempotency_key": key,
        "model": "gpt-image-2",
        "input": {"prompt": PROMPT, "quality": "low", "size": "auto", "resolution": "1K"},
        "metadata": {},
        "estimated_credits": Decimal(2),
        "public_base_url": "https://img.example",
    }
    return Order(**values | changed)
