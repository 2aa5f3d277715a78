"""The operator's decision about a charge as a conditional write: only for a task whose charge is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.tasks import transition_writes
from tests.support.environment import TestEnvironment, new_environment
from tests.support.stored_tasks import put_failed


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


@pytest.mark.parametrize("reason", ["unconfirmed", "timed_out"])
def test_unknown_charge_is_decided(env: TestEnvironment, reason: str) -> None:
    before = put_failed(env, reason)

    write = transition_writes.settle(before, env.clock.stamp(), charged_credits=Decimal(2))

    assert env.repository.apply(write).applied
    assert env.read(before).charged_credits == 2


@pytest.mark.parametrize(
    "known",
    [
        {"reason": "timed_out", "charged_credits": Decimal(3)},
        {"reason": "timed_out", "charged_credits": Decimal(0)},
        {"reason": "upstream"},
        {"reason": "bad_result"},
        {"reason": "rejected"},
    ],
)
def test_known_charge_is_never_decided(env: TestEnvironment, known: dict[str, Any]) -> None:
    before = put_failed(env, **known)

    write = transition_writes.settle(before, env.clock.stamp(), charged_credits=Decimal(2))

    assert not env.repository.apply(write).applied
    assert env.read(before) == before


@pytest.mark.parametrize("state", ["submitting", "pending", "unknown", "running", "finished"])
def test_task_that_has_not_failed_is_never_decided(env: TestEnvironment, state: str) -> None:
    before = put_failed(env, "timed_out", state=state)

    write = transition_writes.settle(before, env.clock.stamp(), charged_credits=Decimal(2))

    assert not env.repository.apply(write).applied
    assert env.read(before) == before
