"""Our house on an emulated AWS inside this process, made from the template's own properties."""

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

from imagetasks.aws.image_bucket import Images
from imagetasks.aws.secrets import ApiKeys, CallbackKeys, Secret
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import Doorbell
from imagetasks.aws.task_repository import Store
from imagetasks.aws.upload_bucket import Uploads
from imagetasks.limits import Limits
from imagetasks.outbound.notifications import Deliveries
from imagetasks.tasks.conditional_write import Condition, Put, absent
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import Task, row_key, to_row
from imagetasks.workflows.notify_caller import Aftercare
from imagetasks.workflows.reconcile import Looker
from imagetasks.workflows.submit import Order, Submitter
from imagetasks.workflows.sweep import Swept, sweep
from imagetasks.workflows.task_updater import Steps
from tests.support.fakes import POYO_KEY, PROMPT, Clock, Files, Post, Upstream, pace, poyo

REGION: Final = "eu-west-1"
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
SERVER_KEY = "canary-server-key"
CALLBACK_KEY = "canary-callback-key"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, each kept as what it says."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)


_Loader.add_multi_constructor("!", _tagged)


@cache
def template() -> dict[str, Any]:
    """template.yaml, its intrinsic functions as plain values."""
    return cast(dict[str, Any], yaml.load(TEMPLATE.read_text(), Loader=_Loader))  # noqa: S506


def properties(logical_id: str) -> dict[str, Any]:
    """What the template says of one resource."""
    return cast(dict[str, Any], template()["Resources"][logical_id]["Properties"])


def table_arguments() -> dict[str, Any]:
    """The template's table as arguments of CreateTable."""
    declared = properties("TasksTable")
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {name: declared[name] for name in names}


@dataclass
class Cloud:
    """The emulated AWS: where things are, and what to look into them with."""

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
        """Variables as the template hands them to the functions."""
        return {
            "TABLE_NAME": self.table_name,
            "BUCKET_NAME": self.bucket,
            "QUEUE_URL": self.queue_url,
            "API_SECRET_ARN": self.api_secret,
            "CALLBACK_SECRET_ARN": self.callback_secret,
            "POYO_BASE_URL": "http://127.0.0.1:9",
            "PUBLIC_URL": "https://img.example",
            "FILE_HOSTS": "cdn.doculator.org",
            "CALLBACK_HOSTS": "*",
            "FIRST_LOOK_SECONDS": "90",
            "SUBMITS_PER_10S": "20",
        } | further

    def rings(self) -> list[dict[str, Any]]:
        """Every ring on the queue, taken off it; of delayed ones, which stay, only that they are."""
        sqs = self.client("sqs")
        attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        said: list[dict[str, Any]] = []
        while found := sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            said += [json.loads(each["Body"]) for each in found]
            for each in found:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=each["ReceiptHandle"])
        counted = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=attributes)
        delayed = int(counted["Attributes"]["ApproximateNumberOfMessagesDelayed"])
        return said + [{"delayed": True}] * delayed

    def rows(self) -> list[dict[str, Any]]:
        """The whole table."""
        return cast(
            list[dict[str, Any]],
            self.client("dynamodb").scan(TableName=self.table_name)["Items"],
        )

    def indexed(self) -> set[str]:
        """Partition keys of all that is in the due index."""
        found = self.client("dynamodb").scan(TableName=self.table_name, IndexName="due")
        return {item["pk"]["S"] for item in found["Items"]}


@cache
def _session() -> boto3.session.Session:
    """One session for all: it has read the descriptions of the services, which takes long."""
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
            QueueName="rings",
            Attributes={"VisibilityTimeout": str(properties("TaskQueue")["VisibilityTimeout"])},
        )
        secrets = clients["secretsmanager"] = boto3.client("secretsmanager")
        hashes = {
            name: hashlib.sha256(key.encode()).hexdigest()
            for name, key in {"owner": SERVER_KEY, "stranger": "another-server-key"}.items()
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
class World:
    """Everything a task meets: our verbs and edges, a held clock, a faked PoYo and file host."""

    cloud: Cloud
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=Clock)
    upstream: Upstream = field(default_factory=Upstream)
    files: Files = field(default_factory=Files)
    deliveries: Post = field(default_factory=Post)

    def __post_init__(self) -> None:
        cloud, held = self.cloud, pace(self.clock, self.limits)
        self.pace = held
        self.table = Table(cloud.client("dynamodb"), cloud.table_name)
        self.store = Store(self.table)
        self.images = Images(cloud.client("s3"), cloud.bucket)
        self.doorbell = Doorbell(cloud.client("sqs"), cloud.queue_url)
        secret = Secret(cloud.client("secretsmanager"), cloud.callback_secret, self.clock.seconds)
        self.callback_keys = CallbackKeys(secret)
        self.poyo = poyo(self.upstream)
        self.submitter = Submitter(
            store=self.store,
            poyo=self.poyo,
            doorbell=self.doorbell,
            callback_keys=self.callback_keys,
            uploads=Uploads(self.images.client, self.images.bucket),
            pace=held,
        )
        self.keys = ApiKeys(Secret(cloud.client("secretsmanager"), cloud.api_secret))
        self.steps = Steps(store=self.store, doorbell=self.doorbell, pace=held)
        self.looker = self.looking()

    def looking(self, **replaced: Any) -> Looker:
        """The looker, with some of its edges replaced."""
        edges: dict[str, Any] = {
            "store": self.store,
            "poyo": self.poyo,
            "images": self.images,
            "downloads": self.files,
            "doorbell": self.doorbell,
            "submitter": self.submitter,
            "steps": self.steps,
            "pace": self.pace,
        }
        edges |= replaced
        edges["aftercare"] = Aftercare(
            images=edges["images"],
            deliveries=cast(Deliveries, self.deliveries),
            keys=self.keys,
            steps=self.steps,
            pace=self.pace,
        )
        return Looker(**edges)

    def look(self, task: Task, by: str = "sweep", poyo_id: str | None = None) -> Task:
        """One look, and the task as it is afterwards."""
        self.looker.look(Ring(task_id=task.task_id, by=by, poyo_id=poyo_id))
        return self.read(task)

    def read(self, task: Task) -> Task:
        return self.store.read(task.task_id)

    def put(self, task: Task) -> Task:
        """The task in the table, just so."""
        anyway = Condition((absent("never"),))
        self.table.put(Put(row=to_row(task), condition=anyway))
        return task

    def sweep(self, time_left_s: float = 100) -> Swept:
        return sweep(
            store=self.store,
            doorbell=self.doorbell,
            pace=self.pace,
            time_left_s=lambda: time_left_s,
        )

    def due(self, task: Task) -> bool:
        """Whether the task is on the to-do list."""
        return row_key(task.task_id) in self.cloud.indexed()


@contextmanager
def world(**options: Any) -> Iterator[World]:
    """A fresh world."""
    with aws() as cloud:
        yield World(cloud, **options)


def order(key: str = "key", **changed: Any) -> Order:
    """A valid order."""
    values: dict[str, Any] = {
        "owner": "owner",
        "idempotency_key": key,
        "model": "gpt-image-2",
        "input": {"prompt": PROMPT, "quality": "low", "size": "auto", "resolution": "1K"},
        "metadata": {},
        "estimate": Decimal(2),
        "origin": "https://img.example",
    }
    return Order(**values | changed)
