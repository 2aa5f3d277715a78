"""Our workflows and clients on an emulated AWS, with a manual clock and a fake PoYo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.limits import Limits
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task, fingerprint, task_pk
from imagetasks.tasks.task_item import to_item
from imagetasks.workflows.notify_caller import CallerNotifier
from imagetasks.workflows.order import Order
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.sweep import SweepResult, sweep
from imagetasks.workflows.task_updater import TaskUpdater
from tests.simulation.table_state import InMemoryTable
from tests.support.emulated_aws import Cloud, aws
from tests.support.fakes import (
    PROMPT,
    FakeFileHost,
    FakeNotificationQueue,
    FakeNotificationSender,
    FakePoyo,
    ManualClock,
    finished_response,
    make_clock,
    poyo_client,
    submit_response,
)


@dataclass
class TestEnvironment:
    """Our workflows and clients with a clock that stands still, a fake PoYo and a fake file host."""

    __test__ = False  # pytest would collect it for its name

    cloud: Cloud
    memory: InMemoryTable | None = None  # takes the place of the emulated DynamoDB
    limits: Limits = field(default_factory=Limits)
    time: ManualClock = field(default_factory=ManualClock)
    fake_poyo: FakePoyo = field(default_factory=FakePoyo)
    file_host: FakeFileHost = field(default_factory=FakeFileHost)
    notifications: FakeNotificationSender = field(default_factory=FakeNotificationSender)
    notification_queue: FakeNotificationQueue = field(default_factory=FakeNotificationQueue)

    def __post_init__(self) -> None:
        cloud = self.cloud
        self.clock = make_clock(self.time, self.limits)
        emulated = Table(cloud.client("dynamodb"), cloud.table_name)
        self.table = cast(Table, self.memory) if self.memory else emulated
        self.repository = TaskRepository(self.table)
        self.slots = SubmitSlots(self.table, self.clock, self.time.forward)
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
        repository = replaced.pop("repository", self.repository)
        clients: dict[str, Any] = {
            "slots": self.slots,
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
            "notifications": self.notification_queue,
            "updater": updater,
            "clock": self.clock,
        }
        return TaskReconciler(**clients | replaced)

    def notifier(self) -> CallerNotifier:
        """The notifier, which sends to the current `notifications`."""
        return CallerNotifier(
            sender=cast(NotificationSender, self.notifications),
            keys=self.keys,
            repository=self.repository,
            updater=self.updater,
            clock=self.clock,
        )

    def reconcile(self, task: Task, source: str = "sweep", poyo_id: str | None = None) -> Task:
        """Reconcile once, deliver the notification message that this sent, and return the task as it
        is afterwards."""
        self.reconciler.reconcile(TaskMessage(task_id=task.task_id, source=source, poyo_id=poyo_id))
        self.deliver_notifications()
        return self.read(task)

    def deliver_notifications(self) -> None:
        """Run the notify function's workflow for each message in its queue."""
        while self.notification_queue.sent:
            self.notifier().notify(self.notification_queue.sent.popleft().task_id)

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


@contextmanager
def new_finishing_environment() -> Iterator[TestEnvironment]:
    """A new environment whose PoYo accepts every submit and has finished every task."""
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", finished_response(credits_amount=5.0))
        environment.fake_poyo.respond_with("POST", submit_response())
        yield environment


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
    values |= changed
    named = ("model", "input", "metadata", "notification_url")
    ordered = {name: values[name] for name in named if name in values}
    return Order(**{"fingerprint": fingerprint(ordered)} | values)
