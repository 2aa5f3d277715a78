"""Budgets in DynamoDB Local: 500 orders at once, and how the accepted ones end, to the last hundredth.

Nothing here depends on luck: which orders are accepted is open, but how many, and what each costs, is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.aws.token_repository import TokenRepository
from imagetasks.errors import BudgetExhausted, TokenRevoked
from imagetasks.tasks import transition_writes
from imagetasks.tasks.budgets import Budget
from imagetasks.tasks.caller import SCOPES, Caller, Token, token_pk
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.spending import SpendingDefaults
from tests.support.booked_credits import Credits, expected_sums, false_items
from tests.support.budgeted_orders import BudgetedOrders, Stopped
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.environment import order
from tests.support.fakes import FILE_URL, START
from tests.support.threads import concurrently

PRICE = Decimal("2.37")
MAX_ROUNDS = 60
KEY = Caller(key="owner", owner="owner")
OTHER = Caller(key="owner", owner="owner/bob")


@dataclass(frozen=True)
class End:
    """One way in which an accepted order ends: PoYo's answer to its submit, its result there, and the
    credits that are charged for it in the end. `settled`: the operator says so."""

    submit: str
    result: Mapping[str, Any] | None
    charged: Decimal
    settled: bool = False


def finished(**facts: object) -> Mapping[str, Any]:
    return {"status": "finished", "files": [{"file_url": FILE_URL, "file_type": "image"}]} | facts


FAILED = {"status": "failed", "files": [], "error_message": "Server exception"}
NEVER_SENT = End("stops_before", None, Decimal(0), settled=True)
ENDS = (
    End("accepted", finished(credits_amount=2.5), Decimal("2.5")),
    End("accepted", finished(credits_amount="2.24"), Decimal("2.24")),
    End("accepted", finished(), PRICE),
    End("accepted", FAILED, Decimal(0)),
    End("accepted", FAILED | {"credits_amount": 0.11}, Decimal("0.11")),
    End("answer_lost", finished(credits_amount=1.99), Decimal("1.99")),
    End("answer_lost", FAILED, Decimal(0)),
    End("stops_after", finished(credits_amount=3.01), Decimal("3.01")),
    NEVER_SENT,
    End("answer_lost", None, Decimal("2.37"), settled=True),
    End("accepted", None, Decimal("1.07"), settled=True),
)


def end_of(n: int) -> End:
    return ENDS[n % len(ENDS)]


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture
def new_orders(engine: str) -> Callable[..., BudgetedOrders]:
    """Makes orders under the deployment's own limits, each of which ends as `end_of` says."""

    def make(**defaults: Any) -> BudgetedOrders:
        orders = BudgetedOrders(create_table(engine), SpendingDefaults(**defaults))
        orders.poyo.outcomes = {f"order {n}": end_of(n).submit for n in range(500)}
        results = {f"order {n}": end_of(n).result for n in range(500)}
        orders.poyo.results = {prompt: each for prompt, each in results.items() if each}
        return orders

    return make


def place(orders: BudgetedOrders, n: int, caller: Caller = KEY) -> str:
    """What the caller of order `n` gets, who repeats it with the same key until a process answers: `accepted`,
    or the scope of the refusal. The first process stops at one of its writes; PoYo ends some, too."""
    made = order(
        f"key {n}",
        owner=caller.owner,
        input={"prompt": f"order {n}"},
        estimated_credits=PRICE,
    )
    for table in (orders.stopping_table(seed=n), orders.table, orders.table):
        with suppress(Stopped):
            try:
                orders.place(made, caller, table=table)
            except BudgetExhausted as refused:
                return refused.scope
            return "accepted"
    raise AssertionError("a replay of an order has stopped")


def outcome(orders: BudgetedOrders, task: Task) -> End:
    """How the task ends: the one that never reached PoYo, because its process stopped, costs nothing."""
    return end_of(number_of(task)) if task.task_id in orders.poyo.ids else NEVER_SENT


def number_of(task: Task) -> int:
    return int(task.input["prompt"].removeprefix("order "))


def end_all(orders: BudgetedOrders) -> None:
    """Let time pass until every task has ended, with workers that stop halfway; the operator settles
    the tasks of which nobody else will say what PoYo kept."""
    with ThreadPoolExecutor(12) as pool:
        for round_ in range(MAX_ROUNDS):
            left = [each for each in orders.tasks() if has_step(orders, each)]
            if not left:
                break
            pass_time(orders, left)
            due = [each for each in left if (each.due_at or 0) <= orders.time.now]
            list(pool.map(lambda task, n=round_: reconcile(orders, task, n), due))
            assert false_items(orders.items()) == []
    for task in orders.tasks():
        if outcome(orders, task).settled:
            assert settle(orders, task, outcome(orders, task).charged)


def has_step(orders: BudgetedOrders, task: Task) -> bool:
    """Whether anything more happens to the task without the operator."""
    return task.due_at is not None or is_called_back(orders, task)


def is_called_back(orders: BudgetedOrders, task: Task) -> bool:
    """Whether the task failed without PoYo's id, which a late callback names."""
    lost = task.state == "failed" and task.poyo_id is None and not task.candidate_poyo_ids
    return lost and outcome(orders, task).result is not None


def pass_time(orders: BudgetedOrders, left: list[Task]) -> None:
    """Forward the clock to the next step; a day if PoYo works on all of the tasks for ever."""
    steps = [each.due_at or 0 for each in left]
    orders.time.now = max(orders.time.now, min(steps)) + 300_000
    if all(each.state == "running" and not outcome(orders, each).result for each in left):
        orders.time.forward(25 * 3600)


def reconcile(orders: BudgetedOrders, task: Task, round_: int) -> None:
    """Reconcile a task in a process that stops before or after one of its writes, and then in one that does
    not."""
    message = TaskMessage(task_id=task.task_id, source="sweep", due_since=task.due_since)
    if is_called_back(orders, task):
        poyo_id = orders.poyo.ids[task.task_id]
        message = TaskMessage(task_id=task.task_id, source="callback", poyo_id=poyo_id)
    stopping = orders.stopping_table(seed=round_ * 1000 + number_of(task))
    for table in (stopping, orders.table):
        with suppress(Stopped):
            orders.reconcile(message, table=table)


def settle(orders: BudgetedOrders, task: Task, credits_: Decimal) -> bool:
    write = transition_writes.settle(task, orders.clock.stamp(), charged_credits=credits_)
    return orders.updater(orders.table).apply(write).applied


def assert_all_is_settled(orders: BudgetedOrders) -> None:
    """Nothing is reserved any more, and each item was charged what its tasks cost at PoYo or by the
    operator's word."""
    items, tasks = orders.items(), orders.tasks()
    assert false_items(items) == []
    assert {each.state for each in tasks} <= {"finished", "failed"}
    charged: dict[str, Decimal] = {}
    for task in tasks:
        for pk in task.spend_pks:
            charged[pk] = charged.get(pk, Decimal(0)) + outcome(orders, task).charged
    for pk, credits_ in charged.items():
        assert (items[pk]["charged"], items[pk]["reserved"]) == (credits_, 0), pk
        assert items[pk]["committed"] == credits_


def test_of_500_orders_at_once_a_budget_for_37_accepts_37_and_all_are_settled(
    new_orders: Callable[..., BudgetedOrders],
) -> None:
    orders = new_orders(stack_daily=37 * PRICE)

    outcomes = concurrently(lambda n: place(orders, n), threads=500)

    assert outcomes.count("accepted") == 37
    assert Counter(outcomes)["stack"] == 463
    assert len(orders.tasks()) == 37
    [(pk, sums)] = [each for each in _sums(orders).items() if each[0].startswith("spend#")]
    assert sums == Credits(37, 37 * PRICE, 37 * PRICE, Decimal(0), 37), pk
    assert false_items(orders.items()) == []

    end_all(orders)

    assert_all_is_settled(orders)


def _sums(orders: BudgetedOrders) -> dict[str, Credits]:
    return expected_sums(each for pk, each in orders.items().items() if pk.startswith("task#"))


def token(orders: BudgetedOrders, name: str, **limits: Any) -> Caller:
    """A caller with a browser token of owner/ann."""
    values: dict[str, Any] = {
        "token_id": name,
        "key": "owner",
        "key_id": "i",
        "owner": "owner/ann",
        "scopes": SCOPES,
        "max_credits": 1000 * PRICE,
        "ends_at": START + 900_000,
    }
    made = Token(**values | limits)
    TokenRepository(orders.table).create(made)
    return Caller(key=made.key, owner=made.owner, token=made)


def with_limits_inside_each_other(orders: BudgetedOrders) -> None:
    """29 orders for owner/ann; the stack's limit is the deployment's."""
    orders.budgets.put(Budget(scope="owner:owner/ann", max_credits=29 * PRICE, duration="1h"))


@pytest.mark.parametrize(
    "limits", [{"max_credits": 23 * PRICE}, {"max_tasks": 23}], ids=["credits", "tasks"]
)
def test_limit_of_a_token_lies_inside_its_owners_inside_the_stacks(
    new_orders: Callable[..., BudgetedOrders], limits: Mapping[str, Any]
) -> None:
    orders = new_orders(stack_daily=37 * PRICE)
    with_limits_inside_each_other(orders)
    by_token, ann = token(orders, "t", **limits), Caller(key="owner", owner="owner/ann")
    waves = ((by_token, 0, 23), (ann, 100, 6), (OTHER, 200, 8))

    for caller, first, room in waves:
        outcomes = concurrently(lambda n: place(orders, first + n, caller), threads=60)  # noqa: B023
        assert outcomes.count("accepted") == room
    assert place(orders, 400, by_token) != "accepted"
    assert place(orders, 401, KEY) == "stack"
    end_all(orders)

    assert_all_is_settled(orders)
    items = orders.items()
    counts = {
        pk.rpartition("#")[2]: int(item["tasks"]) for pk, item in items.items() if "tasks" in item
    }
    assert (counts["t"], counts["owner:owner/ann"], counts["stack"]) == (23, 29, 37)


def test_no_limit_is_passed_by_500_orders_of_all_callers_at_once(
    new_orders: Callable[..., BudgetedOrders],
) -> None:
    orders = new_orders(stack_daily=37 * PRICE)
    with_limits_inside_each_other(orders)
    callers = (
        token(orders, "t", max_credits=23 * PRICE),
        token(orders, "few", max_tasks=3),
        Caller(key="owner", owner="owner/ann"),
        OTHER,
    )

    outcomes = concurrently(lambda n: place(orders, n, callers[n % 4]), threads=500)

    items = orders.items()
    counts = {
        pk.rpartition("#")[2]: int(item["tasks"]) for pk, item in items.items() if "tasks" in item
    }
    assert outcomes.count("accepted") == counts["stack"] == 37  # the others alone would fill it
    assert counts["t"] <= 23
    assert counts["few"] <= 3
    assert counts["owner:owner/ann"] <= 29
    assert false_items(items) == []


def test_revoked_token_orders_nothing_even_if_the_order_was_admitted_before(
    new_orders: Callable[..., BudgetedOrders],
) -> None:
    orders = new_orders()
    caller = token(orders, "t")
    limits = orders.spending.admit(caller, PRICE)
    TokenRepository(orders.table).revoke("t", key="owner", now=orders.time.now)

    with pytest.raises(TokenRevoked):
        orders.submitter(orders.table).submit(order(owner="owner/ann"), limits)

    assert orders.tasks() == []
    assert orders.table.get(token_pk("t"))["tasks"] == 0


def test_twenty_workers_that_end_one_task_at_once_charge_it_once(
    new_orders: Callable[..., BudgetedOrders],
) -> None:
    orders = new_orders(stack_daily=37 * PRICE)
    assert place(orders, 0) == "accepted"
    orders.time.forward(100)
    [task] = orders.tasks()
    message = TaskMessage(task_id=task.task_id, source="sweep")

    concurrently(lambda _: orders.reconcile(message), threads=20)

    assert_all_is_settled(orders)


def test_twenty_operators_who_settle_one_task_at_once_charge_it_once(
    new_orders: Callable[..., BudgetedOrders],
) -> None:
    orders = new_orders(stack_daily=37 * PRICE)
    unknown = next(n for n in range(500) if end_of(n).submit == "answer_lost")
    assert place(orders, unknown) == "accepted"
    orders.time.forward(3700)
    [task] = orders.tasks()
    orders.reconcile(TaskMessage(task_id=task.task_id, source="sweep"))
    [task] = orders.tasks()
    assert (task.state, task.reason) == ("failed", "unconfirmed")

    settled = concurrently(lambda n: settle(orders, task, Decimal(n) / 100), threads=20)

    assert settled.count(True) == 1
    [sums] = {each for pk, each in _sums(orders).items() if pk.startswith("spend#")}
    assert (sums.charged, sums.reserved) == (
        Decimal(settled.index(True)) / 100,
        Decimal(0),
    )
    assert false_items(orders.items()) == []


def test_period_begins_with_the_whole_budget_and_settles_the_tasks_of_the_last(
    new_orders: Callable[..., BudgetedOrders],
) -> None:
    orders = new_orders(stack_daily=2 * PRICE)
    assert [place(orders, n) for n in (0, 11, 22)] == ["accepted", "accepted", "stack"]
    orders.time.forward(24 * 3600)

    assert [place(orders, n) for n in (33, 44, 55)] == ["accepted", "accepted", "stack"]
    end_all(orders)

    assert_all_is_settled(orders)
    assert sum(pk.startswith("spend#") for pk in orders.items()) == 2
