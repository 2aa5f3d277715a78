"""What budgets cost: requests and capacity units in the life of one image, as a table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.aws.token_repository import TokenRepository
from imagetasks.clock import WriteStamp
from imagetasks.tasks import transition_writes
from imagetasks.tasks.budgets import Budget
from imagetasks.tasks.caller import SCOPES, Caller, Token
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.task import Task
from imagetasks.tasks.task_item import to_item
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.tasks.usage import usage_pk
from imagetasks.workflows.spending import Spending, SpendingDefaults
from tests.support.documented_capacity import CountingTable
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.fakes import START, ManualClock, make_clock
from tests.support.fakes import task as new_task
from tests.support.transition_cases import STORED_IMAGE

MANY = Decimal(1000)
DAILY = SpendingDefaults(stack_daily=MANY, owner_daily=MANY)
OWNER = Caller(key="owner", owner="owner/customer-12345")
LONG = "A heron in the morning mist " * 24  # with it the item of a task has between 1 and 2 KB
PROMPT = LONG[:200]  # with it, less than 1 KB until its image is stored
NAMES: dict[str, Any] = {  # as long as on AWS
    "owner": "owner/customer-12345",
    "owner_key": "owner/customer-12345",
    "owner_status_key": "open#owner/customer-12345",
    "public_base_url": "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
}
STEPS = ("admit", "create", "confirm", "callback", "finish")
# Requests, transactions, read units and write units of each step; decision 96 documents the sums. The order's
# place among the account's submits is one write more.
EXPECTED = {
    "no credits": ((0, 0, 0, 0), (1, 0, 0, 4), (2, 0, 0, 2), (1, 0, 0, 1), (1, 0, 0, 5)),
    "no budget": ((1, 0, 4, 0), (1, 1, 0, 7), (2, 0, 0, 2), (1, 0, 0, 1), (2, 1, 1, 9)),
    "stack, owner": ((2, 0, 6, 0), (1, 1, 0, 11), (2, 0, 0, 2), (1, 0, 0, 1), (2, 1, 1, 13)),
    "stack, key, owner, token": (
        (2, 0, 8, 0),
        (1, 1, 0, 15),
        (2, 0, 0, 2),
        (1, 0, 0, 1),
        (2, 1, 1, 17),
    ),
}


class WithoutCredits(TaskRepository):
    """A repository that books no credits: the yardstick."""

    def create(self, task: Task, limits: object = ()) -> WriteResult:
        self.table.put(PutItem(item=to_item(task), condition=Condition((absent("pk"),))))
        return WriteResult(True, task)

    def apply(self, write: TransitionWrite) -> WriteResult:
        return TaskRepository.apply(self, replace(write, bookings=()))


def life(
    repository: TaskRepository, table: CountingTable, spending: Spending | None, caller: Caller
) -> tuple[tuple[int, int, int, int], ...]:
    """Requests, transactions and units of each step of an image's life, after another one: the items of
    the period exist."""
    for key in ("first", "second"):
        table.take()
        limits = spending.admit(caller, Decimal(2)) if spending else ()
        admitted = table.take()
        made = new_task(key, input={"prompt": PROMPT}, **NAMES)
        pks = (*(each.pk for each in limits), usage_pk(made)) if spending else ()
        task = replace(made, spend_pks=pks)
        repository.create(task, limits)
        created = table.take()
        confirm = transition_writes.confirm_submission(
            task, WriteStamp(START, "1"), poyo_id=key, due_at=None, source="answer"
        )
        task = repository.confirm_submission(confirm, key).task
        confirmed = table.take()
        called_back = transition_writes.reschedule(
            task, WriteStamp(START, "1"), due_at=task.due_at, callback_poll_at=START
        )
        task = repository.apply(called_back).task
        heard = table.take()
        finish = transition_writes.finish(
            task, WriteStamp(START, "2"), files=[STORED_IMAGE], charged_credits=Decimal("2.5")
        )
        assert repository.apply(finish).applied
    return admitted, created, confirmed, heard, table.take()


def lives() -> dict[str, tuple[tuple[int, int, int, int], ...]]:
    """What each step costs, by what counts an order."""
    found = {}
    for name, defaults, key, token in (
        ("no budget", SpendingDefaults(), False, False),
        ("stack, owner", DAILY, False, False),
        ("stack, key, owner, token", DAILY, True, True),
    ):
        table: Any = CountingTable()
        budgets = BudgetRepository(table)
        if key:
            budgets.put(Budget(scope="key:owner", max_credits=MANY))
        caller = replace(OWNER, token=_token(table)) if token else OWNER
        spending = Spending(repository=budgets, defaults=defaults, clock=make_clock(ManualClock()))
        found[name] = life(TaskRepository(table), table, spending, caller)
    table = CountingTable()
    return {"no credits": life(WithoutCredits(table), table, None, OWNER)} | found


def _token(table: Any) -> Token:
    token = Token(
        token_id="t",
        key="owner",
        key_id="i",
        owner=OWNER.owner,
        scopes=SCOPES,
        max_credits=MANY,
        ends_at=START,
    )
    TokenRepository(table).create(token)
    return token


def test_life_of_an_image_costs_the_documented_units() -> None:
    costs = lives()
    for name, steps in costs.items():
        units = [f"{step} {cost}" for step, cost in zip(STEPS, steps, strict=True)]
        total = [sum(each) for each in zip(*steps, strict=True)]
        sys.stdout.write(f"{name:<26}{'  '.join(units)}  total {total}\n")

    assert costs == EXPECTED


def test_order_path_has_no_transaction_but_that_of_its_credits() -> None:
    transactions = {name: sum(cost[1] for cost in steps[:-1]) for name, steps in lives().items()}

    assert transactions.pop("no credits") == 0
    assert set(transactions.values()) == {1}


@pytest.fixture
def engine() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


def test_units_of_single_writes_are_those_that_the_engine_reports(engine: str) -> None:
    real, counting = create_table(engine), CountingTable()
    reported: list[float] = []
    events: Any = real.client.meta.events
    events.register("provide-client-params.dynamodb.*", _request_capacity)
    events.register(
        "after-call.dynamodb.*",
        lambda parsed, **_: reported.append(parsed["ConsumedCapacity"]["CapacityUnits"]),
    )
    computed: list[float] = []
    pending = replace(new_task(input={"prompt": LONG}), state="pending", not_before=START)
    retry = transition_writes.retry(pending, WriteStamp(START, "1"), due_at=START + 5)

    for table in (real, counting):
        repository = WithoutCredits(cast(Any, table))
        repository.create(pending)
        computed.append(counting.take()[3])
        repository.apply(retry)
        computed.append(counting.take()[3])
        repository.get(pending.task_id)
        computed.append(counting.take()[2])

    assert computed[3:] == reported
    assert all(reported)


def _request_capacity(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, "ReturnConsumedCapacity": "TOTAL"}
