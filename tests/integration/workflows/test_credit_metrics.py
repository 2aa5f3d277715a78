"""The metrics of credits and the alarm of a charge that differs: at each transition that changes money, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.errors import DownloadFailed
from imagetasks.tasks import transition_writes
from imagetasks.tasks.task import Task
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, START, finished_response, status_response, task
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import DAY_S, LIMITS, put_failed, put_running

CREDITS = ("CreditsReserved", "CreditsCharged", "CreditsReleased", "ChargeDifference")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


class Counted:
    """The metrics of credits that were emitted since the last reading, each as the list of its values."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def read(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for line in self._capsys.readouterr().out.splitlines():
            entry: dict[str, Any] = json.loads(line)
            for name in CREDITS:
                found.setdefault(name, []).extend(entry.get(name, []))
        return {name: values for name, values in found.items() if values}


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Counted:
    return Counted(capsys)


def put_failing(env: TestEnvironment, **changed: Any) -> Task:
    """A running task whose failure a first poll has seen long enough ago."""
    seen_at = env.time.now - LIMITS.failure_confirm_s * 1000
    return put_running(env, failure_seen_at=seen_at, **changed)


def alarms(log: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.splitlines()]
    return [line for line in lines if line["message"] == "charge_differs"]


def test_accepted_order_is_counted_as_reserved_and_its_replay_is_not(
    env: TestEnvironment, counted: Counted
) -> None:
    env.updater.create(task())
    assert counted.read() == {"CreditsReserved": [2]}

    env.updater.create(task(write_token="1" * 24))
    assert counted.read() == {}


@pytest.mark.parametrize(
    ("named", "metrics"),
    [
        (None, {"CreditsCharged": [2]}),
        (2, {"CreditsCharged": [2]}),
        (5, {"CreditsCharged": [5], "CreditsReserved": [3], "ChargeDifference": [3]}),
        (0.5, {"CreditsCharged": [0.5], "CreditsReleased": [1.5], "ChargeDifference": [1.5]}),
        (0, {"CreditsReleased": [2], "ChargeDifference": [2]}),
    ],
)
def test_finished_task_is_counted_with_what_poyo_charged(
    env: TestEnvironment, counted: Counted, named: float | None, metrics: dict[str, list[float]]
) -> None:
    facts = {} if named is None else {"credits_amount": named}
    env.fake_poyo.respond_with("GET", finished_response(**facts))

    after = env.reconcile(put_running(env))

    assert after.state == "finished"
    assert counted.read() == metrics


def test_charge_that_differs_is_logged_with_the_task_and_both_amounts(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=5))

    with captured_logs() as log:
        after = env.reconcile(put_running(env))

    [line] = alarms(log.getvalue())
    assert (line["level"], line["task_id"]) == ("ERROR", after.task_id)
    assert (line["charged"], line["estimated"]) == (5, 2)


@pytest.mark.parametrize("named", [None, 0])
def test_failure_without_a_charge_is_counted_as_released_and_raises_no_alarm(
    env: TestEnvironment, counted: Counted, named: int | None
) -> None:
    facts = {} if named is None else {"credits_amount": named}
    env.fake_poyo.respond_with("GET", status_response("failed", **facts))

    assert env.reconcile(put_failing(env)).state == "failed"
    assert counted.read() == {"CreditsReleased": [2]}


def test_charged_failure_raises_the_alarm_if_the_charge_differs(
    env: TestEnvironment, counted: Counted
) -> None:
    env.fake_poyo.respond_with("GET", status_response("failed", credits_amount=5))

    assert env.reconcile(put_failing(env)).state == "failed"
    metrics = {"CreditsCharged": [5], "CreditsReserved": [3], "ChargeDifference": [3]}
    assert counted.read() == metrics


def test_failure_of_an_unknown_charge_is_neither_charged_nor_released(
    env: TestEnvironment, counted: Counted
) -> None:
    env.fake_poyo.respond_with("GET", status_response("running"))
    before = put_running(env)
    env.time.forward(DAY_S)

    assert env.reconcile(before).reason == "timed_out"
    assert counted.read() == {}


def test_late_charge_of_a_failed_task_takes_back_what_was_released(
    env: TestEnvironment, counted: Counted
) -> None:
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=2))

    after = env.reconcile(put_failed(env, "upstream", poyo_id=POYO_ID), source="callback")

    assert after.state == "finished"
    assert counted.read() == {"CreditsReserved": [2], "CreditsCharged": [2]}


def test_charge_that_differs_raises_one_alarm_however_often_the_copy_is_retried(
    env: TestEnvironment, counted: Counted
) -> None:
    """PoYo names the credits while its file host fails, again when the image comes."""
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=5))
    env.file_host.respond_with(DownloadFailed("unreachable"))
    before = put_running(env)

    with captured_logs() as log:
        env.reconcile(before)
        env.reconcile(before, source="callback")
        env.time.forward(LIMITS.file_lost_after_s + 1)
        assert env.reconcile(before, source="callback").reason == "result_expired"
        env.file_host.respond_with(b"")
        env.reconcile(before, source="callback")

    assert len(alarms(log.getvalue())) == 1
    assert counted.read()["ChargeDifference"] == [3]


def test_reopened_task_moves_its_charge_back_to_reserved(
    env: TestEnvironment, counted: Counted
) -> None:
    before = put_failed(env, "result_expired", poyo_id=POYO_ID)

    env.updater.apply(transition_writes.reopen(before, env.clock.stamp(), due_at=START))

    assert counted.read() == {"CreditsCharged": [-2]}


def test_transition_that_lost_to_a_concurrent_write_counts_no_credits(
    env: TestEnvironment, counted: Counted
) -> None:
    before = put_running(env)
    stamp = env.clock.stamp()
    five = Decimal(5)
    lost = transition_writes.finish(before, env.clock.stamp(), files=(), charged_credits=five)
    env.updater.apply(
        transition_writes.fail(before, stamp, reason="upstream", detail="", charged_credits=five)
    )
    counted.read()

    with captured_logs() as log:
        assert not env.updater.apply(lost).applied

    assert counted.read() == {}
    assert alarms(log.getvalue()) == []
