"""Every accepted task ends in bounded time, whatever one of the other servers answers for ever.

The tasks are in the simulated table, because a task is written up to a hundred times before it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.errors import (
    DownloadFailed,
    DownloadForbidden,
    NotAnImage,
    NotificationFailed,
    ResponseLost,
)
from imagetasks.limits import Limits
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import Task
from tests.fixtures.images import png
from tests.simulation.table_state import InMemoryTable
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import (
    NOT_FOUND,
    POYO_ID,
    START,
    finished_response,
    poyo_response,
    status_response,
    task,
)
from tests.support.stored_tasks import CALLER_URL, DAY_S, LIMITS

BACKOFF_S = (60 * 60, 6 * 60 * 60)  # longer than in production: fewer polls, the same bounds
SLACK_S = 2 * BACKOFF_S[1]
ANSWERS: dict[str, HttpResponse | Exception] = {
    **{str(code): poyo_response({"code": code}, code) for code in (400, 403, 410, 500)},
    "404": NOT_FOUND,
    "html": HttpResponse(502, b"<html>"),
    "lost": ResponseLost("x"),
    "running": status_response("running"),
    "failed": status_response("failed"),
    "finished without files": status_response("finished"),
}
COPIES: dict[str, Exception] = {
    "unreachable": DownloadFailed("unreachable"),
    "gone": DownloadFailed("http_404", gone=True),
    "html": NotAnImage("not_an_image"),
    "host not allowed": DownloadForbidden("host_not_listed"),
}
RUNNING: dict[str, Any] = {"state": "running", "poyo_id": POYO_ID, "confirmed_at": START}
WITHOUT_POYO_ID: dict[str, dict[str, Any]] = {
    "submitting": {"state": "submitting"},
    "submitting, called back": {"state": "submitting", "callback_at": START},
    "pending": {"state": "pending", "not_before": START},
    "unknown": {"state": "unknown"},
}


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    limits = Limits(poll_backoff_s=BACKOFF_S)
    with new_environment(limits=limits, memory=InMemoryTable()) as environment:
        environment.fake_poyo.respond_with("POST", HttpResponse(429, b""))
        yield environment


def run_sweeps(env: TestEnvironment, before: Task) -> tuple[float, float]:
    """Hours until the task ended, and until it was at rest: a sweep takes it whenever it is due."""
    ended_h, current = None, before
    while current.due_at is not None:
        claimed_at = max(env.time.now, current.due_at)
        env.time.now = claimed_at
        current = env.reconcile(before)
        if current.due_at is not None and current.due_at <= claimed_at:
            env.time.now = claimed_at + LIMITS.claim_s * 1000
        hours = (env.time.now - START) / 3_600_000
        ended_h = hours if ended_h is None and current.is_final else ended_h
        assert hours < 24 * 30, f"due again and again: {current.state}"
    assert ended_h is not None
    return ended_h, (env.time.now - START) / 3_600_000


@pytest.mark.parametrize("changed", WITHOUT_POYO_ID.values(), ids=WITHOUT_POYO_ID)
def test_task_that_no_submit_confirms_ends(env: TestEnvironment, changed: dict[str, Any]) -> None:
    ended_h, _ = run_sweeps(env, env.put(task(**changed)))

    assert ended_h * 3600 <= LIMITS.unconfirmed_after_s + LIMITS.claim_s


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_running_task_ends_whatever_poyos_status_answers_for_ever(
    env: TestEnvironment, answer: HttpResponse | Exception
) -> None:
    env.fake_poyo.respond_with("GET", answer)

    ended_h, at_rest_h = run_sweeps(env, env.put(task(**RUNNING, result_seen_at=START)))

    assert ended_h * 3600 <= LIMITS.timed_out_after_s + SLACK_S
    assert at_rest_h * 3600 <= LIMITS.reopen_within_s + SLACK_S


@pytest.mark.parametrize("error", COPIES.values(), ids=COPIES)
def test_task_ends_whatever_the_file_host_answers_for_ever(
    env: TestEnvironment, error: Exception
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(error)

    ended_h, _ = run_sweeps(env, env.put(task(**RUNNING)))

    assert ended_h * 3600 <= LIMITS.file_lost_after_s + SLACK_S


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_task_is_at_rest_although_its_caller_never_accepts_the_notification(
    env: TestEnvironment, state: str
) -> None:
    env.notifications.respond_with(NotificationFailed("http_503"))
    env.fake_poyo.respond_with("GET", status_response(state), finished_response())
    env.file_host.respond_with(png())

    _, at_rest_h = run_sweeps(env, env.put(task(**RUNNING, notification_url=CALLER_URL)))

    assert at_rest_h * 3600 <= DAY_S + SLACK_S


def test_callback_every_hour_does_not_keep_a_task_open(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", status_response("running"))
    before = env.put(task(**RUNNING))
    hours = 0
    while not env.reconcile(before, source="callback").is_final:
        env.time.forward(3600)
        hours += 1
        assert hours * 3600 <= LIMITS.callback_extends_s
