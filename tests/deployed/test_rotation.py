"""Keys are rotated as docs/operating.md says while eight instances work, and no request is lost.

The commands are the operator's own, on a stack of two secrets in the emulated cloud. The instances are
made of the functions' parts, each with its own copy of each secret, as running functions have; the
clock is held, so that minutes pass at once. What is read of a secret is counted.
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
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.clock import Clock
from imagetasks.limits import Limits
from imagetasks.outbound.download import ImageDownloader
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.notify_caller import CallerNotifier
from imagetasks.workflows.receive_callback import CallbackRequest, receive_callback
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import TaskUpdater
from local.system import System
from tests.support.dynamodb_engines import create_table
from tests.support.environment import order
from tests.support.fakes import FakeFileHost, FakeNotificationSender, ManualClock, poyo_response

INSTANCES = 8
OLD, NEW = "sk-canary-the-old-one", "sk-canary-the-new-one"
A_MINUTE_S, FIVE_MINUTES_S, TEN_MINUTES_S = 60, 300, 600  # as docs/operating.md says
THREE_DAYS_S = 3 * 24 * 60 * 60
TEMPLATE = {
    "Resources": {
        name: {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": text}}
        for name, text in {
            "ApiSecret": json.dumps({"poyo_api_key": OLD, "server_keys": {}}),
            "CallbackSecret": json.dumps({"current": "k1", "k1": "canary-first"}),
        }.items()
    },
    "Outputs": {
        "ApiSecretArn": {"Value": {"Ref": "ApiSecret"}},
        "CallbackSecretArn": {"Value": {"Ref": "CallbackSecret"}},
    },
}


@dataclass
class Operator:
    """Who types the commands, and where the secrets are that they change."""

    system: System
    type: Callable[..., str]
    outputs: Mapping[str, str]

    def secret(self, output: str, clock: ManualClock) -> CachedSecret:
        """One instance's own copy of a secret; its client counts what is read."""
        counting = Counting(self.system.client("secretsmanager"))
        return CachedSecret(cast(Any, counting), self.outputs[output], clock.seconds)


@dataclass
class Counting:
    """Secrets Manager, and how often it was read."""

    client: Any
    reads: int = 0

    def get_secret_value(self, **asked: str) -> Any:
        self.reads += 1
        return self.client.get_secret_value(**asked)


def reads(secrets: list[CachedSecret]) -> int:
    """What the busiest of the instances read."""
    return max(cast(Counting, secret.client).reads for secret in secrets)


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

    def typed(line: str, answered: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["keys", "--stack", name, *line.split()])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answered))
        status = keys.main()
        said = capsys.readouterr()
        assert status == 0, said.err
        return said.out.splitlines()[0]

    formation = stack.client("cloudformation")
    formation.create_stack(StackName=name, TemplateBody=json.dumps(TEMPLATE))
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    [made] = formation.describe_stacks(StackName=name)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}
    yield Operator(stack, typed, outputs)
    formation.delete_stack(StackName=name)
    formation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


class Load:
    """How often each instance has asked, and what it was answered, each time that it was another."""

    def __init__(self) -> None:
        self.asked = [0] * INSTANCES
        self.answers: list[list[Any]] = [[] for _ in range(INSTANCES)]
        self.over = threading.Event()

    def work(self, n: int, ask: Callable[[int], Any]) -> None:
        while not self.over.wait(0.002):
            answer = ask(n)
            if self.answers[n][-1:] != [answer]:
                self.answers[n].append(answer)
            self.asked[n] += 1

    def passes(self) -> None:
        """Returns when every instance has asked twice more: once it began after this was called."""
        enough = [asked + 2 for asked in self.asked]
        deadline = time.monotonic() + 30
        while any(asked < wanted for asked, wanted in zip(self.asked, enough, strict=True)):
            assert time.monotonic() < deadline, "an instance stands still"
            time.sleep(0.002)

    @property
    def kinds(self) -> set[Any]:
        return {answer for had in self.answers for answer in had}


@contextmanager
def load(ask: Callable[[int], Any]) -> Iterator[Load]:
    """Every instance asks over and over, all at the same time, while the block lasts."""
    under = Load()
    with ThreadPoolExecutor(INSTANCES) as pool:
        working = [pool.submit(under.work, n, ask) for n in range(INSTANCES)]
        try:
            under.passes()
            yield under
            under.passes()
        finally:
            under.over.set()
    for each in working:
        each.result()  # an error of an instance is an error here


# A caller's key


def test_a_callers_key_rotates_and_no_request_of_the_caller_is_refused(
    operator: Operator, clock: ManualClock
) -> None:
    first = operator.type("server add website")
    secrets = [operator.secret("ApiSecretArn", clock) for _ in range(INSTANCES)]
    fleet = [ApiKeys(secret) for secret in secrets]

    with load(lambda n: fleet[n].owner_for_key(first)) as before:
        second = operator.type("server rotate website")
        before.passes()
        clock.forward(A_MINUTE_S + 1)
    with load(lambda n: (fleet[n].owner_for_key(second), fleet[n].owner_for_key(first))) as moving:
        clock.forward(FIVE_MINUTES_S + 1)
    with load(lambda n: fleet[n].owner_for_key(second)) as after:
        operator.type("server retire website")
        after.passes()
        clock.forward(FIVE_MINUTES_S + 1)

    assert before.kinds == {"website"}
    assert moving.kinds == {("website", "website")}  # the new one within a minute
    assert after.kinds == {"website"}
    assert [each.owner_for_key(first) for each in fleet] == [None] * INSTANCES
    # The first time, the new key's minute, two times five minutes, and the old one's last try.
    assert reads(secrets) <= 5


# The callback key


@dataclass
class Heard:
    """A queue of bells that takes every one."""

    rings: list[TaskMessage] = field(default_factory=list)

    def send(self, message: TaskMessage) -> None:
        self.rings.append(message)


@dataclass
class Callbacks:
    """Instances that order callbacks and instances that hear them, each with its own copy of the keys."""

    ordering: list[CallbackKeys]
    hearing: list[CallbackKeys]
    under_way: list[tuple[str, str, str]] = field(default_factory=list)

    def one_more(self, n: int) -> bool:
        """A task is submitted, and a callback comes for one of the tasks under way."""
        kid, key = self.ordering[n].current()
        task_id = uuid.uuid4().hex[:26]
        self.under_way.append((kid, task_id, signed_urls.callback_token(key, task_id)))
        return self.rung(n, random.choice(self.under_way))  # noqa: S311  # any will do

    def rung(self, n: int, url: tuple[str, str, str]) -> bool:
        kid, task_id, mac = url
        said = CallbackRequest(kid=kid, task_id=task_id, token=mac, headers={}, body=b"{}")
        return receive_callback(said, keys=self.hearing[n], queue=cast(TaskQueue, Heard()))

    @property
    def kids(self) -> set[str]:
        return {kid for kid, _, _ in self.under_way}


def test_the_callback_key_rotates_while_tasks_are_under_way_and_every_callback_is_heard(
    operator: Operator, clock: ManualClock
) -> None:
    secrets = [operator.secret("CallbackSecretArn", clock) for _ in range(2 * INSTANCES)]
    instances = [CallbackKeys(secret) for secret in secrets]
    callbacks = Callbacks(instances[:INSTANCES], instances[INSTANCES:])

    with load(callbacks.one_more) as whole:
        assert operator.type("callback add").startswith("k2 ")
        whole.passes()
        assert callbacks.kids == {"k1"}
        clock.forward(TEN_MINUTES_S)
        whole.passes()
        operator.type("callback use k2")
        whole.passes()
        clock.forward(FIVE_MINUTES_S + 1)
        whole.passes()
    assert callbacks.kids == {"k1", "k2"}
    last_of_the_old = next(url for url in callbacks.under_way if url[0] == "k1")
    clock.forward(THREE_DAYS_S)
    callbacks.under_way = [callbacks.under_way[-1]]
    with load(callbacks.one_more) as later:
        operator.type("callback remove k1")
        later.passes()
        clock.forward(FIVE_MINUTES_S + 1)

    assert whole.kinds == later.kinds == {True}
    assert callbacks.kids == {"k2"}
    assert [callbacks.rung(n, last_of_the_old) for n in range(INSTANCES)] == [False] * INSTANCES
    assert reads(secrets) <= 5  # the first time, and each time that five minutes were over


def test_who_cannot_wait_ten_minutes_is_saved_by_the_miss(
    operator: Operator, clock: ManualClock
) -> None:
    secrets = [operator.secret("CallbackSecretArn", clock) for _ in range(2)]
    ordering, hearing = (CallbackKeys(secret) for secret in secrets)
    callbacks = Callbacks([ordering], [hearing])
    hearing.all()
    clock.forward(A_MINUTE_S + 1)

    operator.type("callback add")
    operator.type("callback use k2")

    assert callbacks.one_more(0)
    assert callbacks.kids == {"k2"}
    assert reads(secrets) == 2


# What a caller's callbacks are signed with


def test_a_callers_callbacks_are_signed_with_the_old_key_none_or_the_new_one_in_this_order(
    operator: Operator, clock: ManualClock
) -> None:
    operator.type("server add website")
    old = operator.type("webhook add website")
    secrets = [operator.secret("ApiSecretArn", clock) for _ in range(INSTANCES)]
    fleet = [ApiKeys(secret) for secret in secrets]

    with load(lambda n: fleet[n].notification_signing_key("website/ann")) as made:
        operator.type("webhook remove website")
        made.passes()
        clock.forward(FIVE_MINUTES_S + 1)
        made.passes()
        new = operator.type("webhook add website")
        made.passes()
        clock.forward(FIVE_MINUTES_S + 1)

    assert made.answers == [[old, "", new]] * INSTANCES
    assert reads(secrets) <= 3


# PoYo's key


@dataclass
class Account:
    """PoYo behind `send`, for many at once: one key opens it, each order is a task of its own."""

    key: str = OLD
    orders: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    met: int = 0
    _one: threading.RLock = field(default_factory=threading.RLock)
    _then: tuple[int, Callable[[], None]] | None = None

    def after(self, submits: int, then: Callable[[], None]) -> None:
        """Do `then` while the submit with that number is under way, before it is looked at."""
        self._then = (self.met + submits, then)

    def __call__(self, method: str, url: str, **request: Any) -> HttpResponse:
        with self._one:
            if method == "POST":
                self._count()
            if request["headers"]["Authorization"] != f"Bearer {self.key}":
                self.refused += 1
                return poyo_response({"code": 401, "message": "Invalid API key"}, 401)
            if method == "POST":
                return self._accepted(request["headers"]["Idempotency-Key"])
        files = [{"file_url": "https://cdn.doculator.org/1.png", "file_type": "image"}]
        return poyo_response({"code": 200, "data": {"status": "finished", "files": files}})

    def _count(self) -> None:
        self.met += 1
        if self._then and self.met == self._then[0]:
            self._then[1]()

    def _accepted(self, idempotency_key: str) -> HttpResponse:
        self.orders[idempotency_key] += 1
        poyo_id = f"POYO{sum(self.orders.values())}"
        return poyo_response({"code": 200, "data": {"task_id": poyo_id, "status": "not_started"}})


@dataclass
class Place:
    """What all instances share in the emulated cloud: table, bucket, queue."""

    table: Any
    s3: Any
    bucket: str
    sqs: Any
    queue: str


@pytest.fixture
def place(stack: System) -> Place:
    s3, sqs = stack.client("s3"), stack.client("sqs")
    name = f"rotation-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name}
    )
    return Place(
        create_table(stack.cloud_url), s3, name, sqs, sqs.create_queue(QueueName=name)["QueueUrl"]
    )


class Instance:
    """API and worker in one: its own copy of both secrets, and what the functions are made of."""

    def __init__(
        self, operator: Operator, place: Place, time: ManualClock, account: Account
    ) -> None:
        self.secret = operator.secret("ApiSecretArn", time)
        api_keys = ApiKeys(self.secret)
        many = Limits(window_submits=1000)
        clock = Clock(now_ms=time.ms, rng=random.SystemRandom(), limits=many)
        repository = TaskRepository(place.table)
        images = ImageBucket(place.s3, place.bucket)
        queue = TaskQueue(place.sqs, place.queue)
        updater = TaskUpdater(repository=repository, queue=queue, clock=clock)
        poyo = PoyoClient(
            send=account,
            base_url="https://api.poyo.test",
            key=api_keys.poyo_key,
            refresh_key=api_keys.refresh_key,
        )
        self.submitter = Submitter(
            repository=repository,
            poyo=poyo,
            callback_keys=CallbackKeys(operator.secret("CallbackSecretArn", time)),
            uploads=UploadBucket(place.s3, place.bucket),
            updater=updater,
            clock=clock,
        )
        post = cast(NotificationSender, FakeNotificationSender())
        self.reconciler = TaskReconciler(
            repository=repository,
            poyo=poyo,
            images=images,
            downloader=cast(ImageDownloader, FakeFileHost()),
            submitter=self.submitter,
            notifier=CallerNotifier(sender=post, keys=api_keys, updater=updater, clock=clock),
            updater=updater,
            clock=clock,
        )

    def order(self, key: str) -> Task:
        return self.submitter.submit(order(key)).task

    def reconcile(self, task: Task) -> Task:
        self.reconciler.reconcile(TaskMessage(task_id=task.task_id, source="retry"))
        return self.submitter.repository.get(task.task_id)


def test_poyos_key_rotates_refused_at_once_and_every_order_ends_with_its_image(
    operator: Operator, place: Place, clock: ManualClock
) -> None:
    account = Account()
    fleet = [Instance(operator, place, clock, account) for _ in range(INSTANCES)]

    def ordered(n: int) -> list[Task]:
        return [fleet[n].order(f"{n}-{turn}") for turn in range(5)]

    def looked_at(n: int, task: Task) -> Task:
        return fleet[n % INSTANCES].reconcile(task)

    def rotated() -> None:
        """The new key is put in place, and the old one deleted at PoYo without waiting."""
        operator.type("poyo", NEW)
        account.key = NEW

    under_way = [instance.order(f"{n}-earlier") for n, instance in enumerate(fleet)]
    assert reads([instance.secret for instance in fleet]) == 1
    account.after(2 * INSTANCES, rotated)
    with ThreadPoolExecutor(INSTANCES) as pool:
        tasks = [*under_way, *chain(*pool.map(ordered, range(INSTANCES)))]
        assert Counter(task.state for task in tasks).keys() == {"running", "pending"}
        assert INSTANCES // 2 <= account.refused <= INSTANCES
        for _ in range(4):
            clock.forward(60)
            tasks = list(pool.map(looked_at, *zip(*enumerate(tasks), strict=True)))

    assert {task.state for task in tasks} == {"finished"}
    assert account.orders == Counter({task.task_id: 1 for task in tasks})
    # Once at first, once when PoYo would not have the old key any more; no more in five minutes.
    assert [cast(Counting, one.secret.client).reads for one in fleet] == [2] * INSTANCES
