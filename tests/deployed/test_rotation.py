"""Keys are rotated as docs/operating.md describes while eight instances work, and no request is lost.

The tests run the operator's commands on a stack of two secrets in the emulated cloud. The instances
consist of the functions' classes, each with a separate copy of each secret, as running functions have. The
clock is set by the tests, so that minutes pass at once. Reads of a secret are counted.
"""

from __future__ import annotations

import io
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

import pytest

from cli import keys
from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.task_queue import NotificationQueue, TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.clock import Clock
from imagetasks.limits import Limits
from imagetasks.outbound.download import ImageDownloader
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.receive_callback import CallbackRequest, receive_callback
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import TaskUpdater
from local.system import System
from tests.support.dynamodb_engines import create_table
from tests.support.environment import order
from tests.support.fakes import FakeFileHost, FakeNotificationQueue, ManualClock, poyo_response
from tests.support.template import table_arguments

INSTANCES = 8
OLD, NEW = "sk-canary-the-old-one", "sk-canary-the-new-one"
THIRTY_S, FIFTEEN_MINUTES_S = 30, 900  # as docs/operating.md says
THREE_DAYS_S = 3 * 24 * 60 * 60
TEMPLATE = {
    "Resources": {
        name: {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": text}}
        for name, text in {
            "ApiSecret": json.dumps({"poyo_api_key": OLD, "server_keys": {}}),
            "CallbackSecret": json.dumps({"current": "k1", "k1": "canary-first"}),
        }.items()
    }
    | {
        "TasksTable": {  # `keys poyo` closes the circuit breaker, whose state is in the table
            "Type": "AWS::DynamoDB::Table",
            "Properties": table_arguments(),
        }
    },
    "Outputs": {
        "ApiSecretArn": {"Value": {"Ref": "ApiSecret"}},
        "CallbackSecretArn": {"Value": {"Ref": "CallbackSecret"}},
        "TasksTableName": {"Value": {"Ref": "TasksTable"}},
    },
}


@dataclass
class Operator:
    """Runs the commands; `outputs` are those of the stack with the secrets."""

    system: System
    run: Callable[..., str]
    outputs: Mapping[str, str]

    def secret(self, output: str, clock: ManualClock) -> CachedSecret:
        """An instance's copy of a secret, with a client that counts the reads."""
        counting = CountingSecretsManager(self.system.client("secretsmanager"))
        return CachedSecret(cast(Any, counting), self.outputs[output], clock.seconds)


@dataclass
class CountingSecretsManager:
    """Secrets Manager, with a count of its reads."""

    client: Any
    reads: int = 0

    def get_secret_value(self, **request: str) -> Any:
        self.reads += 1
        return self.client.get_secret_value(**request)


def max_reads(secrets: list[CachedSecret]) -> int:
    """The highest number of reads of one instance."""
    return max(cast(CountingSecretsManager, secret.client).reads for secret in secrets)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def operator(
    stack: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Operator]:
    name = f"rotation-{uuid.uuid4().hex[:8]}"
    for variable, value in stack.cloud.environment().items():
        if variable.startswith("AWS_"):
            monkeypatch.setenv(variable, value)

    def run(line: str, standard_input: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["keys", "--stack", name, *line.split()])
        monkeypatch.setattr(sys, "stdin", io.StringIO(standard_input))
        status = keys.main()
        output = capsys.readouterr()
        assert status == 0, output.err
        return output.out.splitlines()[0]

    formation = stack.client("cloudformation")
    formation.create_stack(StackName=name, TemplateBody=json.dumps(TEMPLATE))
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    [created] = formation.describe_stacks(StackName=name)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in created["Outputs"]}
    yield Operator(stack, run, outputs)
    formation.delete_stack(StackName=name)
    formation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


class Load:
    """The number of requests of each instance, and its results without consecutive repetitions."""

    def __init__(self) -> None:
        self.requests = [0] * INSTANCES
        self.results: list[list[Any]] = [[] for _ in range(INSTANCES)]
        self.over = threading.Event()

    def work(self, n: int, act: Callable[[int], Any]) -> None:
        while not self.over.wait(0.002):
            result = act(n)
            if self.results[n][-1:] != [result]:
                self.results[n].append(result)
            self.requests[n] += 1

    def wait(self) -> None:
        """Return after two more requests of every instance: the second began after this call."""
        enough = [count + 2 for count in self.requests]
        deadline = time.monotonic() + 30
        while any(count < wanted for count, wanted in zip(self.requests, enough, strict=True)):
            assert time.monotonic() < deadline, "an instance makes no progress"
            time.sleep(0.002)

    @property
    def distinct(self) -> set[Any]:
        return {result for results in self.results for result in results}


@contextmanager
def load(act: Callable[[int], Any]) -> Iterator[Load]:
    """Let every instance call `act` repeatedly and concurrently while the block runs."""
    running = Load()
    with ThreadPoolExecutor(INSTANCES) as pool:
        working = [pool.submit(running.work, n, act) for n in range(INSTANCES)]
        try:
            running.wait()
            yield running
            running.wait()
        finally:
            running.over.set()
    for each in working:
        each.result()  # raises the error of an instance


# The key of a caller


def test_no_request_is_rejected_while_a_callers_key_is_rotated(
    operator: Operator, clock: ManualClock
) -> None:
    first = operator.run("server add website")
    secrets = [operator.secret("ApiSecretArn", clock) for _ in range(INSTANCES)]
    fleet = [ApiKeys(secret) for secret in secrets]

    with load(lambda n: fleet[n].owner_for_key(first)) as before:
        second = operator.run("server rotate website")
        before.wait()
        clock.forward(THIRTY_S + 1)
    with load(lambda n: (fleet[n].owner_for_key(second), fleet[n].owner_for_key(first))) as moving:
        clock.forward(THIRTY_S + 1)
    with load(lambda n: fleet[n].owner_for_key(second)) as after:
        operator.run("server retire website")
        after.wait()
        clock.forward(THIRTY_S + 1)

    assert before.distinct == {"website"}
    assert moving.distinct == {("website", "website")}  # the new key works within 30 s
    assert after.distinct == {"website"}
    assert [each.owner_for_key(first) for each in fleet] == [None] * INSTANCES
    assert max_reads(secrets) == 4  # the first read, and one after each 30 seconds


# The callback key


@dataclass
class RecordingQueue:
    """A queue that accepts every task message."""

    messages: list[TaskMessage] = field(default_factory=list)

    def send(self, message: TaskMessage) -> None:
        self.messages.append(message)


@dataclass
class Callbacks:
    """Instances that create callback URLs and instances that verify them, each with a copy of the keys."""

    creating: list[CallbackKeys]
    verifying: list[CallbackKeys]
    open_urls: list[tuple[str, str, str]] = field(default_factory=list)

    def submit_and_receive(self, n: int) -> bool:
        """Create the URL of a new task, and receive a callback for one of the open tasks."""
        kid, key = self.creating[n].current()
        task_id = uuid.uuid4().hex[:26]
        self.open_urls.append((kid, task_id, signed_urls.callback_token(key, task_id)))
        return self.receive(n, random.choice(self.open_urls))  # noqa: S311  # which one does not matter

    def receive(self, n: int, url: tuple[str, str, str]) -> bool:
        kid, task_id, token = url
        request = CallbackRequest(kid=kid, task_id=task_id, token=token, headers={}, body=b"{}")
        return receive_callback(
            request, keys=self.verifying[n], queue=cast(TaskQueue, RecordingQueue())
        )

    @property
    def kids(self) -> set[str]:
        return {kid for kid, _, _ in self.open_urls}


def test_every_callback_is_accepted_while_the_callback_key_is_rotated(
    operator: Operator, clock: ManualClock
) -> None:
    secrets = [operator.secret("CallbackSecretArn", clock) for _ in range(2 * INSTANCES)]
    instances = [CallbackKeys(secret) for secret in secrets]
    callbacks = Callbacks(instances[:INSTANCES], instances[INSTANCES:])

    with load(callbacks.submit_and_receive) as rotation:
        assert operator.run("callback add").startswith("k2 ")
        rotation.wait()
        assert callbacks.kids == {"k1"}
        clock.forward(FIFTEEN_MINUTES_S)
        rotation.wait()
        operator.run("callback use k2")
        rotation.wait()
        clock.forward(THIRTY_S + 1)
        rotation.wait()
    assert callbacks.kids == {"k1", "k2"}
    last_old_url = next(url for url in callbacks.open_urls if url[0] == "k1")
    clock.forward(THREE_DAYS_S)
    callbacks.open_urls = [callbacks.open_urls[-1]]
    with load(callbacks.submit_and_receive) as later:
        operator.run("callback remove k1")
        later.wait()
        clock.forward(THIRTY_S + 1)

    assert rotation.distinct == later.distinct == {True}
    assert callbacks.kids == {"k2"}
    assert [callbacks.receive(n, last_old_url) for n in range(INSTANCES)] == [False] * INSTANCES
    assert max_reads(secrets) <= 5  # the first read, and one after each wait


def test_callback_key_that_is_used_at_once_is_accepted_after_thirty_seconds(
    operator: Operator, clock: ManualClock
) -> None:
    secrets = [operator.secret("CallbackSecretArn", clock) for _ in range(2)]
    creating, verifying = (CallbackKeys(secret) for secret in secrets)
    callbacks = Callbacks([creating], [verifying])
    verifying.all()

    operator.run("callback add")
    operator.run("callback use k2")
    assert not callbacks.submit_and_receive(0)
    clock.forward(THIRTY_S + 1)

    assert callbacks.submit_and_receive(0)
    assert callbacks.kids == {"k2"}
    assert max_reads(secrets) == 2


# The key that signs a caller's notifications


def test_notifications_are_signed_with_the_old_key_then_no_key_then_the_new_key(
    operator: Operator, clock: ManualClock
) -> None:
    operator.run("server add website")
    old = operator.run("webhook add website")
    secrets = [operator.secret("ApiSecretArn", clock) for _ in range(INSTANCES)]
    fleet = [ApiKeys(secret) for secret in secrets]

    with load(lambda n: fleet[n].notification_signing_key("website/ann")) as rotation:
        operator.run("webhook remove website")
        rotation.wait()
        clock.forward(THIRTY_S + 1)
        rotation.wait()
        new = operator.run("webhook add website")
        rotation.wait()
        clock.forward(THIRTY_S + 1)

    assert rotation.results == [[old, "", new]] * INSTANCES
    assert max_reads(secrets) <= 3


# PoYo's key


@dataclass
class Account:
    """A PoYo for concurrent requests: it accepts one key, and every submit creates a task."""

    key: str = OLD
    orders: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    submits: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _scheduled: tuple[int, Callable[[], None]] | None = None

    def call_during(self, submit: int, act: Callable[[], None]) -> None:
        """Call `act` during the submit with that number from now, before its key is checked."""
        self._scheduled = (self.submits + submit, act)

    def __call__(self, method: str, url: str, **request: Any) -> HttpResponse:
        with self._lock:
            if method == "POST":
                self._count()
            if request["headers"]["Authorization"] != f"Bearer {self.key}":
                self.rejected += 1
                return poyo_response({"code": 401, "message": "Invalid API key"}, 401)
            if method == "POST":
                return self._accepted(request["headers"]["Idempotency-Key"])
        files = [{"file_url": "https://cdn.doculator.org/1.png", "file_type": "image"}]
        named = {"task_id": url.rpartition("/")[2], "status": "finished", "files": files}
        return poyo_response({"code": 200, "data": named})

    def _count(self) -> None:
        self.submits += 1
        if self._scheduled and self.submits == self._scheduled[0]:
            self._scheduled[1]()

    def _accepted(self, idempotency_key: str) -> HttpResponse:
        self.orders[idempotency_key] += 1
        poyo_id = f"POYO{sum(self.orders.values())}"
        return poyo_response({"code": 200, "data": {"task_id": poyo_id, "status": "not_started"}})


@dataclass
class SharedServices:
    """The table, the bucket and the queue that all instances use."""

    table: Any
    s3: Any
    bucket: str
    sqs: Any
    queue: str


@pytest.fixture
def services(stack: System) -> SharedServices:
    s3, sqs = stack.client("s3"), stack.client("sqs")
    name = f"rotation-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name}
    )
    return SharedServices(
        create_table(stack.cloud_url), s3, name, sqs, sqs.create_queue(QueueName=name)["QueueUrl"]
    )


class Instance:
    """The API and the worker in one object, with a separate copy of both secrets."""

    def __init__(
        self, operator: Operator, services: SharedServices, time: ManualClock, account: Account
    ) -> None:
        self.secret = operator.secret("ApiSecretArn", time)
        api_keys = ApiKeys(self.secret)
        limits = Limits(window_submits=1000)
        clock = Clock(now_ms=time.ms, rng=random.SystemRandom(), limits=limits)
        repository = TaskRepository(services.table)
        images = ImageBucket(services.s3, services.bucket)
        queue = TaskQueue(services.sqs, services.queue)
        updater = TaskUpdater(repository=repository, queue=queue, clock=clock)
        poyo = PoyoClient(
            send=account,
            base_url="https://api.poyo.test",
            key=api_keys.poyo_key,
            refresh_key=api_keys.refresh_key,
        )
        self.repository = repository
        self.submitter = Submitter(
            slots=SubmitSlots(services.table, clock),
            poyo=poyo,
            callback_keys=CallbackKeys(operator.secret("CallbackSecretArn", time)),
            uploads=UploadBucket(services.s3, services.bucket),
            updater=updater,
            clock=clock,
        )
        self.reconciler = TaskReconciler(
            repository=repository,
            poyo=poyo,
            images=images,
            downloader=cast(ImageDownloader, FakeFileHost()),
            submitter=self.submitter,
            notifications=cast(NotificationQueue, FakeNotificationQueue()),
            updater=updater,
            clock=clock,
        )

    def order(self, key: str) -> Task:
        return self.submitter.submit(order(key)).task

    def reconcile(self, task: Task) -> Task:
        self.reconciler.reconcile(TaskMessage(task_id=task.task_id, source="retry"))
        return self.repository.get(task.task_id)


def test_every_order_ends_with_its_image_although_poyos_old_key_is_rejected_at_once(
    operator: Operator, services: SharedServices, clock: ManualClock
) -> None:
    account = Account()
    fleet = [Instance(operator, services, clock, account) for _ in range(INSTANCES)]

    def place_orders(n: int) -> list[Task]:
        return [fleet[n].order(f"{n}-{turn}") for turn in range(5)]

    def reconcile(n: int, task: Task) -> Task:
        return fleet[n % INSTANCES].reconcile(task)

    def rotate() -> None:
        """Store the new key, and delete the old one at PoYo without waiting."""
        operator.run("poyo", NEW)
        account.key = NEW

    earlier = [instance.order(f"{n}-earlier") for n, instance in enumerate(fleet)]
    assert max_reads([instance.secret for instance in fleet]) == 1
    account.call_during(2 * INSTANCES, rotate)
    with ThreadPoolExecutor(INSTANCES) as pool:
        tasks = [*earlier, *chain(*pool.map(place_orders, range(INSTANCES)))]
        assert Counter(task.state for task in tasks).keys() == {"running", "pending"}
        assert INSTANCES // 2 <= account.rejected <= INSTANCES
        # One read at first, and one after PoYo rejected the old key.
        assert [cast(CountingSecretsManager, one.secret.client).reads for one in fleet] == [
            2
        ] * INSTANCES
        for _ in range(4):
            clock.forward(60)
            tasks = list(pool.map(reconcile, *zip(*enumerate(tasks), strict=True)))

    assert {task.state for task in tasks} == {"finished"}
    assert account.orders == Counter({task.task_id: 1 for task in tasks})
