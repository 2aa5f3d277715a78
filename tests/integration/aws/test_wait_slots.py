"""The slots of waiting requests: each is taken once at a time, and none for long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.wait_slots import LEASE_S, WaitSlots
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import START
from tests.support.template import properties


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


def slots(env: TestEnvironment, count: int) -> WaitSlots:
    return WaitSlots(table=env.table, clock=env.clock, count=count)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_as_many_slots_are_taken_as_there_are(env: TestEnvironment, count: int) -> None:
    taken = [slots(env, count).take() for _ in range(5)]

    assert [each is not None for each in taken] == [True] * count + [False] * (5 - count)


def test_freed_slot_can_be_taken_again(env: TestEnvironment) -> None:
    first = slots(env, 1).take()
    assert first is not None
    slots(env, 1).free(first)

    assert slots(env, 1).take() == first


def test_slot_of_a_killed_function_is_free_when_the_function_would_have_timed_out(
    env: TestEnvironment,
) -> None:
    slots(env, 1).take()

    env.time.forward(LEASE_S - 1)
    assert slots(env, 1).take() is None
    env.time.forward(1)
    assert slots(env, 1).take() is not None
    assert properties("ApiFunction")["Timeout"] <= LEASE_S


def test_late_release_does_not_free_a_slot_that_another_request_took(env: TestEnvironment) -> None:
    late = slots(env, 1).take()
    assert late is not None
    env.time.forward(LEASE_S)
    assert slots(env, 1).take() is not None

    slots(env, 1).free(late)

    assert slots(env, 1).take() is None


def test_clock_that_was_far_ahead_takes_no_slot_away(env: TestEnvironment) -> None:
    year_s = 365 * 24 * 3600
    env.time.forward(year_s)
    slots(env, 1).take()
    env.time.forward(-year_s)

    assert slots(env, 1).take() is not None


def test_of_two_requests_that_saw_a_slot_free_one_gets_it(env: TestEnvironment) -> None:
    class RacingTable(Table):
        """Lets another request take the slot between the read and the write."""

        def get(self, pk: str) -> dict[str, object]:
            found = super().get(pk)
            item = {"pk": pk, "held_until": START + 1000}
            super().put(PutItem(item=item, condition=Condition((absent("never"),))))
            return found

    racing = RacingTable(env.table.client, env.table.name)

    assert replace(slots(env, 1), table=racing).take() is None


def test_without_dynamodb_no_slot_is_free_and_nothing_is_raised(env: TestEnvironment) -> None:
    taken = slots(env, 1).take()
    assert taken is not None
    missing = replace(slots(env, 1), table=Table(env.table.client, "no-such-table"))

    assert missing.take() is None
    missing.free(taken)


@pytest.mark.parametrize(("spare_s", "taken"), [(0.1, True), (-0.1, False)])
def test_slot_is_taken_only_with_time_for_that_and_for_a_last_read(
    env: TestEnvironment, spare_s: float, taken: bool
) -> None:
    env.clock.begin(lambda: (3 * env.limits.aws_call_s + spare_s) * 1000)

    assert (slots(env, 1).take() is not None) == taken


def test_slot_that_took_long_to_find_is_not_looked_for_again(env: TestEnvironment) -> None:
    class SlowTable(Table):
        """Answers each read after the longest time that a call may take; every slot is taken."""

        def get(self, pk: str) -> dict[str, object]:
            reads.append(pk)
            env.time.forward(env.limits.aws_call_s)
            return {"pk": pk, "held_until": env.time.now + 1000}

    reads: list[str] = []
    ends_at = START + int(properties("ApiFunction")["Timeout"]) * 1000
    env.clock.begin(lambda: ends_at - env.time.now)

    slow = replace(slots(env, 9), table=SlowTable(env.table.client, env.table.name))

    assert slow.take() is None
    assert len(reads) == 2
    assert env.clock.time_left_s() > 2 * env.limits.aws_call_s


def test_slot_is_left_to_its_lease_when_no_time_is_left_to_free_it(env: TestEnvironment) -> None:
    slot = slots(env, 1).take()
    assert slot is not None
    env.clock.begin(lambda: (env.limits.aws_call_s - 0.1) * 1000)
    slots(env, 1).free(slot)
    env.clock.begin(lambda: 60_000)

    assert slots(env, 1).take() is None
    env.time.forward(LEASE_S)
    assert slots(env, 1).take() is not None
