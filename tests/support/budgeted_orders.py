"""Orders under budgets on a real engine: many callers, workers that stop halfway, and a PoYo that keeps
accounts of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from threading import Lock
from typing import Any, cast

from boto3.dynamodb.types import TypeDeserializer

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.order_repository import OrderRepository
from imagetasks.aws.secrets import CachedSecret, CallbackKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.rate_limit import Slot
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.caller import Caller
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import StoredImage, Task
from imagetasks.tasks.task_item import from_item
from imagetasks.workflows.order import Order
from imagetasks.workflows.place_order import OrderPlacement
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.spending import Spending, SpendingDefaults
from imagetasks.workflows.submit import Placement, Submitter
from imagetasks.workflows.task_updater import TaskUpdater
from tests.support.fakes import (
    FakeNotificationQueue,
    FakeSecretsClient,
    ManualClock,
    make_clock,
    poyo_response,
    submit_response,
)

IMAGE = StoredImage(
    key="images/x/0", content_type="image/png", bytes=9, width=3, height=4, sha256="0" * 64
)


WRITES = ("put_item", "update_item", "transact_write_items")
MOST_WRITES = 4  # of an order, or of a step of a task


class Stopped(BaseException):
    """The process ends here: nothing of it runs any more."""


@dataclass
class AccountingPoyo:
    """PoYo: `outcomes` says by prompt what becomes of a submit (`accepted`; `answer_lost`; `stops_before` and
    `stops_after`: the process that sends it ends before PoYo has the order, or before it has the
    answer), `results` how PoYo's task ends; one without a result runs for ever."""

    outcomes: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by prompt
    ids: dict[str, str] = field(default_factory=dict)  # by our task id
    prompts: dict[str, str] = field(default_factory=dict)  # by PoYo's id
    _lock: Lock = field(default_factory=Lock)

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, **_: Any
    ) -> HttpResponse:
        if method == "GET":
            poyo_id = url.rpartition("/")[2]
            running = {"status": "running", "files": []}
            result = self.results.get(self.prompts[poyo_id], running)
            data = {"task_id": poyo_id} | dict(result)
            return poyo_response({"code": 200, "data": data})
        task_id, prompt = headers["Idempotency-Key"], _prompt(body)
        outcome = self.outcomes.get(prompt, "accepted")
        if outcome == "stops_before":
            raise Stopped
        with self._lock:
            assert task_id not in self.ids, "paid twice"
            self.ids[task_id] = f"POYO{len(self.ids):012}"
            self.prompts[self.ids[task_id]] = prompt
        if outcome == "stops_after":
            raise Stopped
        if outcome == "answer_lost":
            return HttpResponse(502, b"<html>")
        return submit_response(self.ids[task_id])


def _prompt(body: bytes | None) -> str:
    return str(json.loads(body or b"{}")["input"]["prompt"])


class StoppingClient:
    """A client of DynamoDB whose process stops before or after its `step`th write, if it makes so many."""

    def __init__(self, client: Any, *, step: int, after: bool) -> None:
        self._client, self._left, self._after = client, step, after

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._client, operation)
        return partial(self._write, call) if operation in WRITES else call

    def _write(self, call: Callable[..., Any], **arguments: Any) -> Any:
        self._left -= 1
        if self._left:
            return call(**arguments)
        if self._after:
            call(**arguments)
        raise Stopped


class KeptImages:
    """A bucket that has every image already."""

    def find(self, task_id: str, n: int) -> StoredImage:
        return IMAGE

    def delete_all(self, task_id: str) -> None:
        """Nothing is left of the task's images."""


class FreeSlots:
    """A PoYo that takes any number of submits at once."""

    def reserve(self, *_: Any, **__: Any) -> Slot:
        return Slot(number=1, not_before=None)

    def await_start(self, _: Slot) -> float:
        """Every slot starts at once."""
        return 0

    def record_outcome(self, *, succeeded: bool) -> None:
        """No breaker opens."""


class SilentQueue:
    """A queue whose messages are all lost: the tests reconcile by themselves."""

    def send(self, *_: Any, **__: Any) -> None:
        """Lose the message."""


class BudgetedOrders:
    """The workflows that spend, on the table of a real engine."""

    def __init__(self, table: Table, defaults: SpendingDefaults) -> None:
        self.table, self.time, self.poyo = table, ManualClock(), AccountingPoyo()
        self.clock = make_clock(self.time)
        self.repository = TaskRepository(table)
        self.budgets = BudgetRepository(table)
        self.spending = Spending(repository=self.budgets, defaults=defaults, clock=self.clock)

    def place(self, order: Order, caller: Caller, *, table: Table | None = None) -> Placement:
        """Find the order's task or create it, reserve its credits and submit it, as a process of its own
        that uses `table`."""
        table = table or self.table
        placement = OrderPlacement(
            submitter=self.submitter(table),
            spending=replace(self.spending, repository=BudgetRepository(table)),
            orders=OrderRepository(table),
            uploads=cast(Any, None),
            notifications=cast(Any, None),
            own_file=cast(Any, None),
            shared_file=cast(Any, None),
        )
        basis = placement.read(caller, order.idempotency_key)
        if basis.earlier is not None:
            return placement.replay(basis.earlier, order.fingerprint)
        return placement.place(order, caller, basis)

    def submitter(self, table: Table) -> Submitter:
        """A submitter on `table`; no message is sent and no order has an upload."""
        secret = CachedSecret(
            cast(Any, FakeSecretsClient({"current": "k1", "k1": "key"})), "callback"
        )
        return Submitter(
            slots=cast(Any, FreeSlots()),
            poyo=self.client(),
            callback_keys=CallbackKeys(secret),
            uploads=cast(Any, None),
            updater=self.updater(table),
            clock=self.clock,
        )

    def client(self) -> PoyoClient:
        """A client of PoYo."""
        return PoyoClient(
            send=self.poyo,
            base_url="https://api.poyo.test",
            key=lambda: "sk",
            refresh_key=lambda _: False,
        )

    def updater(self, table: Table) -> TaskUpdater:
        """An updater on `table`."""
        return TaskUpdater(
            repository=TaskRepository(table), queue=cast(Any, SilentQueue()), clock=self.clock
        )

    def reconcile(self, message: TaskMessage, *, table: Table | None = None) -> None:
        """Process one message, on another `table` if there is one."""
        table = table or self.table
        reconciler = TaskReconciler(
            repository=TaskRepository(table),
            poyo=self.client(),
            images=cast(Any, KeptImages()),
            downloader=cast(Any, None),
            submitter=self.submitter(table),
            notifications=cast(Any, FakeNotificationQueue()),
            updater=self.updater(table),
            clock=self.clock,
        )
        reconciler.reconcile(message)

    def stopping_table(self, *, seed: int) -> Table:
        """The table of a process that stops before or after one of its writes."""
        rng = random.Random(seed)  # noqa: S311  # repeatable, not secret
        step, after = rng.randint(1, MOST_WRITES), rng.random() < 0.5
        client = StoppingClient(self.table.client, step=step, after=after)
        return Table(cast(Any, client), self.table.name)

    def tasks(self) -> list[Task]:
        """Every task of the table."""
        return [from_item(each) for pk, each in self.items().items() if pk.startswith("task#")]

    def items(self) -> dict[str, dict[str, Any]]:
        """Every item of the table, by pk."""
        read = TypeDeserializer().deserialize
        pages = self.table.client.get_paginator("scan").paginate(
            TableName=self.table.name, ConsistentRead=True
        )
        found = (
            {name: read(value) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        )
        return {each["pk"]: each for each in found}


def decimal(cents: int) -> Decimal:
    """Credits of so many hundredths."""
    return Decimal(cents) / 100
