"""Placing an order while its limits have no room: what a concurrent request with the same key means."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.errors import BudgetExhausted, IdempotencyKeyReused, OrdersPaused
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.tasks.budgets import Budget
from imagetasks.tasks.caller import Caller
from imagetasks.workflows.place_order import OrderPlacement
from imagetasks.workflows.spending import Spending, SpendingDefaults
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import submit_response

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
        repository=env.repository,
        uploads=UploadBucket(env.images.client, env.images.bucket),
        notifications=cast(NotificationSender, env.notifications),
        own_file=cast(Any, None),
        shared_file=cast(Any, None),
    )


def leave_room_for_one(env: TestEnvironment) -> None:
    BudgetRepository(env.table).put(Budget(scope="owner:owner", max_credits=Decimal(2)))


def pause(env: TestEnvironment) -> None:
    BudgetRepository(env.table).pause(paused=True, now=env.clock.now_ms())


def test_concurrent_request_with_the_key_of_the_order_that_took_the_last_credits_gets_its_task(
    env: TestEnvironment,
) -> None:
    leave_room_for_one(env)
    first = placement_of(env).place(order(), CALLER)

    second = placement_of(env).place(order(), CALLER)

    assert (first.replayed, second.replayed) == (False, True)
    assert second.task.task_id == first.task.task_id
    assert env.fake_poyo.request_count("POST") == 1


def test_concurrent_request_with_the_key_of_an_order_gets_its_task_although_orders_are_paused_now(
    env: TestEnvironment,
) -> None:
    first = placement_of(env).place(order(), CALLER)
    pause(env)

    second = placement_of(env).place(order(), CALLER)

    assert (second.replayed, second.task.task_id) == (True, first.task.task_id)


def test_other_order_is_refused(env: TestEnvironment) -> None:
    leave_room_for_one(env)
    placement_of(env).place(order(), CALLER)

    with pytest.raises(BudgetExhausted):
        placement_of(env).place(order("another"), CALLER)
    with pytest.raises(IdempotencyKeyReused):
        placement_of(env).place(order(fingerprint="another body"), CALLER)
    pause(env)
    with pytest.raises(OrdersPaused):
        placement_of(env).place(order("another"), CALLER)
    assert env.fake_poyo.request_count("POST") == 1
