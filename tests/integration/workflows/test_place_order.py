"""Placing an order: what it reads, and what a concurrent request with the same key means to an order
whose limits have no room."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.order_repository import OrderRepository
from imagetasks.aws.submit_account import ACCOUNT_PK
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.errors import BudgetExhausted, IdempotencyKeyReused, OrdersPaused
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.tasks.budgets import Budget
from imagetasks.tasks.caller import Caller
from imagetasks.tasks.task import State
from imagetasks.workflows.order import Order
from imagetasks.workflows.place_order import OrderPlacement
from imagetasks.workflows.spending import Spending, SpendingDefaults
from imagetasks.workflows.submit import Placement
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import submit_response
from tests.support.lambdas import recorded_aws_calls

CALLER = Caller(key="owner", owner="owner")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as env:
        env.fake_poyo.respond_with("POST", submit_response())
        yield env


def placement_of(env: TestEnvironment) -> OrderPlacement:
    """The workflow as the API builds it."""
    spending = Spending(
        repository=BudgetRepository(env.table), defaults=SpendingDefaults(), clock=env.clock
    )
    return OrderPlacement(
        submitter=env.submitter,
        spending=spending,
        orders=OrderRepository(env.table),
        uploads=UploadBucket(env.images.client, env.images.bucket),
        notifications=cast(NotificationSender, env.notifications),
        own_file=cast(Any, None),
        shared_file=cast(Any, None),
    )


def place(env: TestEnvironment, placed: Order) -> Placement:
    """Place an order as its route does."""
    placement = placement_of(env)
    return placement.place(placed, CALLER, placement.read(CALLER, placed.idempotency_key))


def leave_room_for_one(env: TestEnvironment) -> None:
    BudgetRepository(env.table).put(Budget(scope="owner:owner", max_credits=Decimal(2)))


def pause(env: TestEnvironment) -> None:
    BudgetRepository(env.table).pause(paused=True, now=env.clock.now_ms())


def test_concurrent_request_with_the_key_of_the_order_that_took_the_last_credits_gets_its_task(
    env: TestEnvironment,
) -> None:
    leave_room_for_one(env)
    placement = placement_of(env)
    read_before = placement.read(CALLER, order().idempotency_key)
    first = place(env, order())

    second = placement.place(order(), CALLER, read_before)

    assert (first.replayed, second.replayed) == (False, True)
    assert second.task.task_id == first.task.task_id
    assert env.fake_poyo.request_count("POST") == 1


def test_concurrent_request_with_the_key_of_an_order_gets_its_task_although_orders_are_paused_now(
    env: TestEnvironment,
) -> None:
    first = place(env, order())
    pause(env)

    second = place(env, order())

    assert (second.replayed, second.task.task_id) == (True, first.task.task_id)


def test_other_order_is_refused(env: TestEnvironment) -> None:
    leave_room_for_one(env)
    place(env, order())

    with pytest.raises(BudgetExhausted):
        place(env, order("another"))
    with pytest.raises(IdempotencyKeyReused):
        place(env, order(fingerprint="another body"))
    pause(env)
    with pytest.raises(OrdersPaused):
        place(env, order("another"))
    assert env.fake_poyo.request_count("POST") == 1


def test_order_reads_the_table_once_and_writes_it_four_times(env: TestEnvironment) -> None:
    place(env, order("first"))
    calls = recorded_aws_calls(env.table.client)

    place(env, order("second"))

    operations = ("BatchGetItem", "PutItem", "TransactWriteItems", "PutItem", "UpdateItem")
    assert calls == [f"DynamoDB.{each}" for each in operations]


def test_orders_that_read_the_same_account_submit_one_after_another(env: TestEnvironment) -> None:
    place(env, order("first"))
    placement = placement_of(env)
    read_before = placement.read(CALLER, "third")
    place(env, order("second"))

    placement.place(order("third"), CALLER, read_before)

    account = env.table.get(ACCOUNT_PK)
    assert (account["issued"], len(account["starts"]), len(account["sent"])) == (3, 3, 3)


def test_order_that_read_the_account_before_the_circuit_breaker_opened_waits(
    env: TestEnvironment,
) -> None:
    place(env, order("first"))
    placement = placement_of(env)
    read_before = placement.read(CALLER, "second")
    for _ in range(env.limits.breaker_threshold):
        env.slots.record_outcome(succeeded=False)

    second = placement.place(order("second"), CALLER, read_before)

    assert second.task.state == State.PENDING
    assert env.fake_poyo.request_count("POST") == 1


def test_task_of_a_key_is_read_together_with_the_rules_of_now(
    env: TestEnvironment,
) -> None:
    leave_room_for_one(env)
    placed = place(env, order()).task
    pause(env)

    basis = placement_of(env).read(CALLER, order().idempotency_key)

    assert basis.earlier == env.read(placed)
    assert (basis.rules.paused, [*basis.rules.budgets]) == (True, ["owner:owner"])
    assert placement_of(env).read(CALLER, None).earlier is None
