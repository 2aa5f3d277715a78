"""`cli.reconcile`: usage of a period, PoYo's balance compared with the charges, and unresolved tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cli import snapshots
from imagetasks.clock import wall_clock_ms
from imagetasks.tasks import transition_writes
from imagetasks.tasks.task import Task
from imagetasks.tasks.usage import day_of
from tests.support import booked_tasks
from tests.support.emulated_aws import aws
from tests.support.environment import TestEnvironment
from tests.support.fakes import finished_response
from tests.support.operator_stack import Command, create_stack
from tests.support.scripted_server import scripted_server

DAY_MS = snapshots.DAY_MS


@dataclass
class Account:
    """PoYo's answer to a request for the balance."""

    credits: float = 1000
    status: str = "200 OK"

    def __call__(self, connection: Any, _: bytes) -> None:
        body = json.dumps({"code": 200, "data": {"credits_amount": self.credits}}).encode()
        connection.sendall(
            f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def env(account: Account) -> Iterator[TestEnvironment]:
    with aws() as cloud, scripted_server(account) as poyo:
        create_stack(cloud, PoyoBaseUrl=poyo.url)
        environment = TestEnvironment(cloud)
        environment.time.now = wall_clock_ms()
        yield environment


def report(command: Command, line: str = "") -> Any:
    status, out, err = command(f"reconcile --json {line}")
    assert status == 0, err
    return json.loads(out)


def finish(env: TestEnvironment, key: str, charged: float, **changed: Any) -> Task:
    poyo_id = f"POYO-{key}"
    answer = finished_response(task_id=poyo_id, credits_amount=charged)
    env.fake_poyo.respond_with("GET", answer)
    return env.reconcile(booked_tasks.running(env, key, poyo_id, **changed))


def test_first_run_stores_the_starting_point_and_says_so(
    env: TestEnvironment, command: Command, account: Account
) -> None:
    status, out, _ = command("reconcile")

    assert status == 0
    assert "PoYo's balance: 1000 credits" in out
    assert "This is the first run. It is stored as the starting point" in out
    assert report(command)["balance"]["before"] == account.credits


def test_usage_is_listed_by_key_owner_and_model_with_its_total(
    env: TestEnvironment, command: Command
) -> None:
    finish(env, "one", 2)
    finish(env, "two", 3, owner="owner/ann")
    booked_tasks.running(env, "three", "POYO3", owner="other", model="gpt-image-2-edit")

    period = report(command)["period"]

    assert period["total"] == {"tasks": 3, "estimated": 6, "reserved": 2, "charged": 5}
    assert period["by"]["key"]["owner"] == {
        "tasks": 2, "estimated": 4, "reserved": 0, "charged": 5,
    }  # fmt: skip
    assert list(period["by"]["owner"]) == ["owner/ann", "other", "owner"]
    assert period["by"]["model"]["gpt-image-2-edit"]["reserved"] == 2
    assert "owner/ann" in command("reconcile")[1]


def test_only_orders_of_the_days_asked_for_are_listed(
    env: TestEnvironment, command: Command
) -> None:
    now = env.time.now
    for days, key in ((0, "today"), (1, "yesterday"), (30, "last-month")):
        env.time.now = now - days * DAY_MS
        finish(env, key, 2)
    day = day_of(now - DAY_MS)

    assert report(command, f"--from {day} --to {day}")["period"]["total"]["tasks"] == 1
    assert report(command)["period"]["total"]["tasks"] == 2
    older = day_of(now - 60 * DAY_MS)
    assert report(command, f"--from {older}")["period"]["total"]["tasks"] == 3


def test_more_rows_than_a_page_are_all_added_up(env: TestEnvironment, command: Command) -> None:
    for n in range(103):
        booked_tasks.create(env, f"key-{n}", owner=f"owner/user-{n}")

    assert report(command)["period"]["total"]["tasks"] == 103
    assert "83 more by owner" in command("reconcile")[1]


def test_usage_of_a_removed_key_counts_when_it_is_named_and_is_remembered(
    env: TestEnvironment, command: Command
) -> None:
    finish(env, "one", 2, owner="removed")

    assert report(command)["period"]["total"]["tasks"] == 0
    assert report(command, "--key removed")["period"]["total"]["tasks"] == 1
    assert report(command)["period"]["total"]["tasks"] == 1


def test_balance_that_fell_by_the_charges_is_explained(
    env: TestEnvironment, command: Command, account: Account
) -> None:
    finish(env, "before", 7)
    report(command)
    finish(env, "one", 2)
    finish(env, "two", 3)
    account.credits = 995

    balance = report(command)["balance"]

    assert (balance["before"], balance["credits"]) == (1000, 995)
    assert (balance["charged"], balance["unexplained"]) == (5, 0)


def test_credits_that_left_without_a_charge_are_unexplained(
    env: TestEnvironment, command: Command, account: Account
) -> None:
    report(command)
    finish(env, "one", 2)
    booked_tasks.running(env, "two", "POYO2")
    account.credits = 990

    out = command("reconcile")[1]

    assert "since then 2 charged, 2 more reserved" in out
    assert "unexplained: 6 (since the first run: 6)" in out
    assert "More left than tasks have taken" in out
    account.credits = 989
    balance = report(command)["balance"]
    assert (balance["unexplained"], balance["unexplained_since_first_run"]) == (1, 7)


def test_top_up_is_shown_as_such(env: TestEnvironment, command: Command, account: Account) -> None:
    report(command)
    finish(env, "one", 2)
    account.credits = 1498

    out = command("reconcile")[1]

    assert "unexplained: -500" in out
    assert "a top-up, credits that PoYo gave back" in out
    assert "A top-up cannot be told apart" in out


def test_charge_of_a_task_that_was_ordered_before_the_last_run_counts_between_the_runs(
    env: TestEnvironment, command: Command, account: Account
) -> None:
    env.time.now -= 3 * DAY_MS
    before = booked_tasks.running(env)
    account.credits = 998  # PoYo takes the credits when it accepts a task
    report(command)
    write = transition_writes.fail(before, env.clock.stamp(), reason="bad_result", detail="")
    env.updater.apply(write)

    balance = report(command)["balance"]

    assert (balance["charged"], balance["reserved"], balance["unexplained"]) == (2, -2, 0)


@pytest.mark.parametrize(("kept", "decision"), [(2, "charge"), (0, "release")])
def test_right_decision_leaves_nothing_unexplained_since_the_first_run(
    env: TestEnvironment, command: Command, account: Account, kept: int, decision: str
) -> None:
    report(command)
    task = booked_tasks.timed_out(env)
    account.credits -= kept
    assert report(command)["balance"]["unexplained"] == kept - 2
    command(f"reconcile {decision} {task.task_id} --yes")

    assert report(command)["balance"]["unexplained_since_first_run"] == 0


def test_without_a_balance_nothing_is_stored(
    env: TestEnvironment, command: Command, account: Account
) -> None:
    account.status = "503 Service Unavailable"

    status, out, err = command("reconcile")

    assert (status, out) == (1, "")
    assert "PoYo responds 503 without a balance" in err
    assert snapshots.latest(env.table) is None


def test_unresolved_tasks_are_listed_with_what_they_reserve_and_whether_they_are_polled(
    env: TestEnvironment, command: Command
) -> None:
    env.time.now -= 5 * DAY_MS
    lost = booked_tasks.unconfirmed(env, "one", owner="owner/ann")
    late = booked_tasks.timed_out(env, "two", "POYO2")
    polled = env.updater.reschedule(late, due_at=env.time.now).task
    booked_tasks.running(env, "open", "POYO3")

    found = report(command)

    assert found["period"]["total"]["reserved"] == 6
    assert found["unresolved"]["credits"] == 4
    by_id = {each["task_id"]: each for each in found["unresolved"]["tasks"]}
    assert set(by_id) == {lost.task_id, late.task_id}
    assert by_id[polled.task_id]["polled"] is True
    assert by_id[polled.task_id]["poyo_id"] == "POYO2"
    first = by_id[lost.task_id]
    assert (first["owner"], first["reason"], first["reserved"]) == ("owner/ann", "unconfirmed", 2)
    assert first["polled"] is False
    assert first["age_s"] // 86400 == 5
    out = command("reconcile")[1]
    assert f"{lost.task_id}  2 credits, gpt-image-2, owner/ann, unconfirmed, 5 days old" in out
    assert "no longer polled, no PoYo id" in out
    assert "still polled, POYO2" in out


def test_more_unresolved_tasks_than_a_page_are_all_listed_with_progress(
    env: TestEnvironment, command: Command
) -> None:
    for n in range(101):
        booked_tasks.timed_out(env, f"key-{n}", f"POYO-{n}")

    status, out, err = command("reconcile --json")

    assert status == 0
    assert len(json.loads(out)["unresolved"]["tasks"]) == 101
    assert "100 unresolved tasks read" in err


def test_decided_task_is_listed_no_longer(env: TestEnvironment, command: Command) -> None:
    task = booked_tasks.timed_out(env)
    command(f"reconcile charge {task.task_id} --yes")

    assert report(command)["unresolved"] == {"credits": 0, "tasks": []}


@pytest.mark.parametrize("line", ["--from yesterday", "--to 2026-13-01"])
def test_impossible_day_is_refused(env: TestEnvironment, command: Command, line: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        command(f"reconcile {line}")

    assert exit_.value.code == 2


@pytest.mark.usefixtures("env")
def test_period_that_ends_before_it_begins_is_refused(command: Command) -> None:
    status, _, err = command("reconcile --from 2026-02-02 --to 2026-02-01")

    assert (status, err) == (1, "failed: 2026-02-02 is after 2026-02-01\n")
