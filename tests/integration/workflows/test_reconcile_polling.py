"""Polling a running task: every status and every error of PoYo, and when the next poll is due."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from imagetasks.errors import DownloadFailed, RequestNotSent, ResponseLost
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import Task
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import (
    NOT_FOUND,
    POYO_ID,
    START,
    finished_response,
    status_response,
)
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import (
    DAY_S,
    LIMITS,
    put_failed,
    put_running,
    seconds_until_due,
)


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", status_response("running"))
        yield environment


def test_estimated_credits_are_charged_if_poyo_names_no_amount(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())

    assert env.reconcile(put_running(env)).charged_credits == Decimal(2)


def test_finished_task_is_neither_polled_nor_copied_again(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    after = env.reconcile(put_running(env))
    requests = len(env.fake_poyo.requests)

    again = env.reconcile(after, source="callback", poyo_id=POYO_ID)

    assert again == after
    assert len(env.fake_poyo.requests) == requests
    assert len(env.file_host.fetched) == 1


def put_failing(env: TestEnvironment) -> Task:
    """A running task whose failure a first poll has seen long enough ago."""
    return put_running(env, failure_seen_at=env.time.now - LIMITS.failure_confirm_s * 1000)


@pytest.mark.parametrize("named", [None, 0, 2.5])
def test_failed_task_keeps_the_credits_and_the_message_that_poyo_named(
    env: TestEnvironment, named: float | None
) -> None:
    facts: dict[str, object] = {"error_message": "Server exception"}
    if named is not None:
        facts["credits_amount"] = named
    env.fake_poyo.respond_with("GET", status_response("failed", **facts))

    after = env.reconcile(put_failing(env))

    charged = None if named is None else Decimal(str(named))
    assert (after.state, after.reason, after.charged_credits) == ("failed", "upstream", charged)
    assert after.detail == "Server exception"
    assert not env.is_due(after)


def test_zero_credits_that_poyo_named_are_charged(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())

    assert env.reconcile(put_running(env, charged_credits=Decimal(0))).charged_credits == 0


@pytest.mark.parametrize("answer", [NOT_FOUND, status_response("running"), ResponseLost("x")])
def test_result_that_poyo_showed_after_two_days_is_awaited_for_a_day(
    env: TestEnvironment, answer: HttpResponse | Exception
) -> None:
    """PoYo was away for two days; one poll that does not show the result again ends nothing."""
    env.fake_poyo.respond_with("GET", answer)
    seen_at = START + 2 * DAY_S * 1000
    before = put_running(env, result_seen_at=seen_at)
    env.time.now = seen_at + (DAY_S - 1) * 1000
    assert env.reconcile(before).state == "running"
    env.time.forward(1)

    assert env.reconcile(before).reason == "timed_out"


def test_result_that_a_clock_a_year_ahead_saw_keeps_no_task_open(env: TestEnvironment) -> None:
    before = put_running(env, result_seen_at=START + 365 * DAY_S * 1000)
    env.fake_poyo.respond_with("GET", status_response("running"))
    env.time.forward(DAY_S)

    assert env.reconcile(before).reason == "timed_out"


def test_task_that_the_content_policy_refused_fails_as_moderated(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with(
        "GET", status_response("failed", error_message="violates our content policy")
    )

    assert env.reconcile(put_failing(env)).reason == "moderated"


@pytest.mark.parametrize(
    ("second", "state"), [("failed", "failed"), ("running", "running"), ("finished", "finished")]
)
def test_failed_status_is_believed_when_a_poll_seconds_later_says_the_same(
    env: TestEnvironment, second: str, state: str
) -> None:
    env.fake_poyo.respond_with("GET", status_response("failed"))
    before = env.reconcile(put_running(env))
    assert (before.state, before.failure_seen_at) == ("running", START)
    assert seconds_until_due(before, env) == LIMITS.failure_confirm_s + LIMITS.sweep_fallback_s
    assert env.cloud.messages() == [{"delayed": True}]
    assert env.reconcile(before).state == "running"  # a duplicate message at once proves nothing
    responses = {"finished": finished_response()}
    env.fake_poyo.respond_with("GET", responses.get(second, status_response(second)))
    env.time.forward(LIMITS.failure_confirm_s)

    after = env.reconcile(before, source="retry")

    assert (after.state, after.failure_seen_at) == (state, None)


@pytest.mark.parametrize("reason", ["upstream", "moderated"])
def test_callback_corrects_a_failure_that_poyo_no_longer_reports(
    env: TestEnvironment, reason: str
) -> None:
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=4))
    before = put_failed(env, reason, poyo_id=POYO_ID, charged_credits=Decimal(0))

    after = env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert (after.state, after.reason, after.charged_credits) == ("finished", None, Decimal(4))


@pytest.mark.parametrize("status", ["not_started", "running", "a status of a newer API"])
def test_unfinished_task_is_polled_again_later(env: TestEnvironment, status: str) -> None:
    env.fake_poyo.respond_with("GET", status_response(status, progress=40.5))

    after = env.reconcile(put_running(env))

    assert (after.state, after.polls, after.progress) == ("running", 1, Decimal("40.5"))
    assert 0 <= seconds_until_due(after, env) <= 120
    assert env.is_due(after)


POYO_ERRORS: dict[str, HttpResponse | Exception] = {
    "connection refused": RequestNotSent("x"),
    "response lost": ResponseLost("x"),
    "500": HttpResponse(500, b""),
    "429": HttpResponse(429, b""),
    "401": HttpResponse(401, b""),
    "html": HttpResponse(502, b"<html>"),
    "not UTF-8": HttpResponse(200, b"\xff"),
}


@pytest.mark.parametrize("response", POYO_ERRORS.values(), ids=POYO_ERRORS)
def test_error_of_poyo_is_not_raised_and_the_task_is_polled_again_later(
    env: TestEnvironment, response: HttpResponse | Exception
) -> None:
    env.fake_poyo.respond_with("GET", response)

    after = env.reconcile(put_running(env, confirmed_at=START - (DAY_S - 1) * 1000))

    assert (after.state, after.polls) == ("running", 1)
    assert env.is_due(after)


@pytest.mark.parametrize("response", POYO_ERRORS.values(), ids=POYO_ERRORS)
def test_task_that_poyo_does_not_answer_for_times_out_after_a_day_and_is_still_polled(
    env: TestEnvironment, response: HttpResponse | Exception
) -> None:
    env.fake_poyo.respond_with("GET", response)

    after = env.reconcile(put_running(env, confirmed_at=START - DAY_S * 1000))

    assert (after.state, after.reason) == ("failed", "timed_out")
    assert env.is_due(after)
    env.fake_poyo.respond_with("GET", finished_response())
    assert env.reconcile(after).state == "finished"


def test_rejected_api_key_raises_an_alarm(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", HttpResponse(401, b""))
    with captured_logs() as log:
        env.reconcile(put_running(env))

    assert "poyo_account_rejected" in log.getvalue()


def test_task_alarms_of_a_rejected_account_once_in_six_hours(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", HttpResponse(403, b'{"code": 403}'))
    before = put_running(env)
    with captured_logs() as log:
        for _ in range(20):
            env.time.forward(30 * 60)
            env.reconcile(before)

    assert log.getvalue().count("poyo_account_rejected") == 2


def test_status_of_another_task_raises_an_alarm_and_stores_nothing(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response(task_id="SOMEBODYELSES001"))
    with captured_logs() as log:
        after = env.reconcile(put_running(env))

    assert (after.state, after.files) == ("running", ())
    assert log.getvalue().count("poyo_answer_mismatch") == 1
    assert env.file_host.fetched == []


def test_delay_between_polls_grows_to_half_an_hour(env: TestEnvironment) -> None:
    delays_s = [
        seconds_until_due(env.reconcile(put_running(env, polls=polls)), env)
        for polls in (0, 2, 5, 40)
    ]

    for delay_s, max_s in zip(delays_s, (120, 240, 1800, 1800), strict=True):
        assert 0 <= delay_s <= max_s + LIMITS.sweep_fallback_s


def test_next_poll_after_a_callback_is_within_seconds(env: TestEnvironment) -> None:
    after = env.reconcile(put_running(env), source="callback")

    assert seconds_until_due(after, env) - LIMITS.sweep_fallback_s == pytest.approx(
        LIMITS.fast_retry_s[0], rel=0.21
    )
    assert env.cloud.messages() == [{"delayed": True}]


def test_unfinished_task_times_out_after_a_day(env: TestEnvironment) -> None:
    before = put_running(env)
    env.time.forward(DAY_S - 1)
    assert env.reconcile(before).state == "running"
    before = put_running(env)
    env.time.forward(1)

    after = env.reconcile(before)

    assert (after.state, after.reason) == ("failed", "timed_out")


def test_callback_keeps_a_task_running_for_another_day_at_most(env: TestEnvironment) -> None:
    before = put_running(env)
    env.time.forward(2 * DAY_S - LIMITS.callback_gap_s)
    assert env.reconcile(before, source="callback").state == "running"
    env.time.forward(LIMITS.callback_gap_s)

    assert env.reconcile(before, source="callback").reason == "timed_out"


def test_time_out_is_counted_from_the_confirmation_of_poyos_id(env: TestEnvironment) -> None:
    before = put_running(env, created_at=START - DAY_S * 1000, attempted_at=START - DAY_S * 1000)

    assert env.reconcile(before).state == "running"


def test_result_that_poyo_has_shown_outlasts_a_status_that_forgets_it(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(DownloadFailed("unreachable"))
    before = put_running(env)
    env.time.forward(DAY_S - 60)
    seen = env.reconcile(before)
    assert seen.result_seen_at == env.time.now
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    env.time.forward(60)

    assert env.reconcile(seen).state == "running"


def test_task_whose_id_poyo_does_not_know_times_out_after_a_day(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    before = put_running(env)
    assert env.reconcile(before).state == "running"
    before = put_running(env)
    env.time.forward(DAY_S)

    assert env.reconcile(before).reason == "timed_out"
