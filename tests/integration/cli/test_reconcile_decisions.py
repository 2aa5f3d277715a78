"""`cli.reconcile charge` and `release`: the operator decides a charge that nobody knows, once, and PoYo's later
word still wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from cli import unresolved
from cli.stack import CommandError
from imagetasks.tasks import transition_writes
from imagetasks.tasks.bookings import Booking, booking
from imagetasks.tasks.task import Task
from imagetasks.tasks.usage import usage_pk
from tests.support import booked_tasks
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, finished_response
from tests.support.operator_stack import INTERRUPT, Command, create_stack

MakeTask = Callable[[TestEnvironment], Task]
UNRESOLVED: list[MakeTask] = [booked_tasks.timed_out, booked_tasks.unconfirmed]


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        create_stack(environment.cloud)
        yield environment


def sums(env: TestEnvironment, task: Task) -> tuple[Any, Any]:
    """What the task's item of usage has reserved and charged."""
    item = env.table.get(usage_pk(task))
    return item["reserved"], item.get("charged", Decimal(0))


def listed(env: TestEnvironment) -> list[dict[str, Any]]:
    """The keys of the index that lists unresolved tasks."""
    return env.table.query_page("by_owner", "/unresolved", limit=10, after=None)


@pytest.mark.parametrize("make", UNRESOLVED)
@pytest.mark.parametrize(
    ("line", "charged"),
    [
        ("charge {id} --yes", "2"),
        ("charge {id} --credits 1.6 --yes", "1.6"),
        ("release {id} --yes", "0"),
    ],
)
def test_decision_books_the_credits_and_takes_the_task_off_the_list(
    env: TestEnvironment, command: Command, make: MakeTask, line: str, charged: str
) -> None:
    before = make(env)
    assert sums(env, before) == (2, 0)
    assert len(listed(env)) == 1

    status, out, _ = command(f"reconcile {line.format(id=before.task_id)}")

    after = env.read(before)
    assert status == 0
    assert "before: 2 credits reserved, 0 charged" in out
    assert f"now:    0 credits reserved, {charged} charged" in out
    assert booking(after) == Booking(charged=Decimal(charged))
    assert sums(env, before) == (0, Decimal(charged))
    assert listed(env) == []
    assert (after.state, after.reason) == (before.state, before.reason)


@pytest.mark.parametrize("decision", ["charge", "release"])
def test_decision_can_be_repeated_and_counts_once(
    env: TestEnvironment, command: Command, decision: str
) -> None:
    before = booked_tasks.timed_out(env)
    command(f"reconcile {decision} {before.task_id} --yes")
    decided = sums(env, before)

    status, out, _ = command(f"reconcile {decision} {before.task_id}")

    assert status == 0
    assert "was decided so already" in out
    assert sums(env, before) == decided


def test_second_and_other_decision_is_refused(env: TestEnvironment, command: Command) -> None:
    before = booked_tasks.timed_out(env)
    command(f"reconcile charge {before.task_id} --yes")

    status, _, err = command(f"reconcile release {before.task_id} --yes")

    assert status == 1
    assert "nothing is to be decided" in err
    assert "2 charged" in err
    assert sums(env, before) == (0, 2)


def finished(env: TestEnvironment) -> Task:
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=2))
    return env.reconcile(booked_tasks.running(env))


def released(env: TestEnvironment) -> Task:
    before = booked_tasks.running(env)
    write = transition_writes.fail(before, env.clock.stamp(), reason="upstream", detail="")
    return env.updater.apply(write).task


def charged_failure(env: TestEnvironment) -> Task:
    before = booked_tasks.running(env)
    write = transition_writes.fail(before, env.clock.stamp(), reason="bad_result", detail="")
    return env.updater.apply(write).task


def named_charge(env: TestEnvironment) -> Task:
    before = booked_tasks.running(env)
    write = transition_writes.fail(
        before, env.clock.stamp(), reason="timed_out", detail="", charged_credits=Decimal(3)
    )
    return env.updater.apply(write).task


@pytest.mark.parametrize(
    "make",
    [booked_tasks.create, booked_tasks.running, finished, released, charged_failure, named_charge],
)
@pytest.mark.parametrize("decision", ["charge", "release"])
def test_task_that_is_not_unresolved_is_refused_and_left_alone(
    env: TestEnvironment, command: Command, make: MakeTask, decision: str
) -> None:
    before = make(env)
    booked = sums(env, before)

    status, out, err = command(f"reconcile {decision} {before.task_id} --yes")

    assert (status, out) == (1, "")
    assert f"nothing is to be decided: {before.task_id} is {before.state}" in err
    assert env.read(before) == before
    assert sums(env, before) == booked


def test_decision_about_a_task_that_changed_meanwhile_is_not_made(env: TestEnvironment) -> None:
    stale = booked_tasks.timed_out(env)
    due_at = env.time.now
    env.updater.reschedule(stale, due_at=due_at, charged_credits=Decimal(3))

    with pytest.raises(CommandError, match="has changed meanwhile and was left alone: failed"):
        unresolved.decide(env.repository, env.clock, stale, Decimal(0))

    assert sums(env, stale) == (0, 3)


@pytest.mark.usefixtures("env")
def test_unknown_task_is_named(command: Command) -> None:
    status, _, err = command("reconcile release nothing --yes")

    assert (status, err) == (1, "failed: there is no task nothing\n")


@pytest.mark.parametrize(
    ("typed", "decided"), [("y\n", True), ("yes\n", True), ("n\n", False), ("", False)]
)
def test_decision_is_made_only_if_the_operator_confirms_it(
    env: TestEnvironment, command: Command, typed: str, decided: bool
) -> None:
    before = booked_tasks.timed_out(env)

    status, _, err = command(f"reconcile release {before.task_id}", typed=typed)

    assert "2 credits reserved" in err
    assert "release all of them? [y/N]" in err
    assert (status == 0) is decided
    assert sums(env, before)[0] == (0 if decided else 2)


def test_interrupted_decision_changes_nothing(env: TestEnvironment, command: Command) -> None:
    before = booked_tasks.timed_out(env)

    status, _, err = command(f"reconcile release {before.task_id}", typed=INTERRUPT)

    assert status == 130
    assert "run the same command again" in err
    assert sums(env, before) == (2, 0)


@pytest.mark.parametrize("text", ["0", "-1", "NaN", "Infinity", "1000001", "two"])
def test_impossible_amount_is_refused(env: TestEnvironment, command: Command, text: str) -> None:
    before = booked_tasks.timed_out(env)

    with pytest.raises(SystemExit) as exit_:
        command(f"reconcile charge {before.task_id} --yes", f"--credits={text}")

    assert exit_.value.code == 2
    assert sums(env, before) == (2, 0)


@pytest.mark.parametrize("decision", ["charge", "release", "charge --credits 1"])
@pytest.mark.parametrize(("named", "charged"), [(5, 5), (0, 0)])
def test_later_word_of_poyo_wins_over_the_decision(
    env: TestEnvironment, command: Command, decision: str, named: int, charged: int
) -> None:
    before = booked_tasks.timed_out(env)
    command(f"reconcile {decision} {before.task_id} --yes")
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=named))

    after = env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert after.state == "finished"
    assert sums(env, before) == (0, charged)


def finish_directly(env: TestEnvironment, task: Task) -> Task:
    return env.reconcile(task, source="callback", poyo_id=POYO_ID)


def finish_after_reopening(env: TestEnvironment, task: Task) -> Task:
    due_at = env.time.now
    reopened = transition_writes.reopen(env.read(task), env.clock.stamp(), due_at=due_at)
    return env.reconcile(env.updater.apply(reopened).task)


def finish_after_confirming(env: TestEnvironment, task: Task) -> Task:
    confirmed = env.updater.confirm_submission(env.read(task), poyo_id=POYO_ID, source="answer")
    return env.reconcile(confirmed.task)


@pytest.mark.parametrize(
    ("make", "finish"),
    [
        (booked_tasks.timed_out, finish_directly),
        (booked_tasks.timed_out, finish_after_reopening),
        (booked_tasks.unconfirmed, finish_after_confirming),
    ],
)
def test_result_of_a_released_task_costs_its_estimate_if_poyo_names_no_amount(
    env: TestEnvironment,
    command: Command,
    make: MakeTask,
    finish: Callable[[TestEnvironment, Task], Task],
) -> None:
    before = make(env)
    command(f"reconcile release {before.task_id} --yes")
    env.fake_poyo.respond_with("GET", finished_response())

    assert finish(env, before).state == "finished"
    assert sums(env, before) == (0, 2)
    assert listed(env) == []


def test_deleted_task_can_be_decided(env: TestEnvironment, command: Command) -> None:
    before = booked_tasks.timed_out(env)
    env.updater.apply(transition_writes.delete(before, env.clock.stamp()))

    assert command(f"reconcile release {before.task_id} --yes")[0] == 0
    assert sums(env, before) == (0, 0)
