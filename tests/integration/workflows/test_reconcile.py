"""Reconciling: late results of failed tasks, unavailable services, duplicate messages and the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagetasks.errors import (
    DatabaseUnavailable,
    DownloadFailed,
    DownloadForbidden,
    NotAnImage,
    ResponseLost,
)
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.failure_reasons import REASONS, RECOVERABLE
from imagetasks.tasks.message import TaskMessage
from tests.fixtures.images import png
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import (
    NOT_FOUND,
    POYO_ID,
    POYO_KEY,
    PROMPT,
    START,
    finished_response,
    poyo_response,
    status_response,
    task,
)
from tests.support.lambdas import captured_logs, recorded_aws_calls
from tests.support.stored_tasks import LIMITS, put_failed, put_running
from tests.support.unavailable import UnavailableQueue


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", status_response("running"))
        yield environment


@pytest.mark.parametrize("reason", ["timed_out", "result_expired"])
def test_late_result_finishes_a_recoverable_failure(env: TestEnvironment, reason: str) -> None:
    env.fake_poyo.respond_with("GET", finished_response())

    after = env.reconcile(put_failed(env, reason, poyo_id=POYO_ID), source="callback")

    assert (after.state, after.reason) == ("finished", None)
    assert len(after.files) == 1


def test_recoverable_failure_is_reopened_when_its_late_image_cannot_be_copied_yet(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(DownloadFailed("unreachable"), png())
    before = put_failed(env, "timed_out", poyo_id=POYO_ID)

    after = env.reconcile(before, source="callback")
    assert (after.state, after.reason, after.finished_at) == ("running", None, None)
    assert env.is_due(after)

    assert env.reconcile(before).state == "finished"


def test_recoverable_failure_without_a_result_stays_failed(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", status_response("running"))
    before = put_failed(env, "timed_out", poyo_id=POYO_ID, due_at=START, due_shard="1")

    after = env.reconcile(before)

    assert (after.state, after.reason) == ("failed", "timed_out")
    assert not env.is_due(after)
    assert env.reconcile(after) == after


@pytest.mark.parametrize("image", [True, False])
def test_one_poll_that_says_failed_does_not_hide_the_image_that_a_callback_announced(
    env: TestEnvironment, image: bool
) -> None:
    last = finished_response() if image else status_response("failed")
    env.fake_poyo.respond_with("GET", status_response("failed"), last)
    env.file_host.respond_with(png())
    before = put_failed(env, "timed_out", poyo_id=POYO_ID)

    after = env.reconcile(before, source="callback")
    assert (after.state, after.reason) == ("failed", "timed_out")
    assert env.is_due(after)
    env.time.forward(LIMITS.failure_confirm_s)
    after = env.reconcile(after)

    assert after.state == ("finished" if image else "failed")
    assert not env.is_due(after)


def test_every_callback_for_a_failed_task_gets_two_polls(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", status_response("failed"))
    running = put_running(env)
    for _ in range(2):  # PoYo says `failed` twice, and again after each callback but the last
        for _ in range(2):
            after = env.reconcile(running, source="callback")
            env.time.forward(LIMITS.callback_gap_s)
        assert (after.reason, env.is_due(after)) == ("upstream", False)

    env.fake_poyo.respond_with("GET", status_response("failed"), finished_response())
    assert env.is_due(env.reconcile(running, source="callback"))
    env.time.forward(LIMITS.failure_confirm_s)

    assert env.reconcile(running).state == "finished"


def test_recoverable_failure_is_polled_for_a_week_while_poyo_does_not_answer(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", ResponseLost("x"))
    before = put_failed(env, "timed_out", poyo_id=POYO_ID)
    assert env.is_due(env.reconcile(before, source="callback"))
    env.time.forward(LIMITS.reopen_within_s)

    after = env.reconcile(before)

    assert after.reason == "timed_out"
    assert not env.is_due(after)


@pytest.mark.parametrize("reason", sorted(set(REASONS) - set(RECOVERABLE)))
def test_final_failure_is_unchanged_and_not_polled(env: TestEnvironment, reason: str) -> None:
    before = put_failed(env, reason, poyo_id=POYO_ID)

    assert env.reconcile(before, source="callback") == before
    assert env.fake_poyo.requests == []


def test_message_for_a_missing_task_is_no_error(env: TestEnvironment) -> None:
    with captured_logs() as log:
        env.reconciler.reconcile(TaskMessage(task_id="missing", source="callback", poyo_id=POYO_ID))

    assert "task_not_found" in log.getvalue()
    assert env.fake_poyo.requests == []


def test_state_of_a_newer_version_is_left_alone(env: TestEnvironment) -> None:
    before = env.put(task(state="upscaling", poyo_id=POYO_ID))

    assert env.reconcile(before, source="callback") == before
    assert env.fake_poyo.requests == []


def test_task_stays_due_for_the_sweep_when_sqs_is_unavailable(env: TestEnvironment) -> None:
    before = put_running(env)
    env.reconciler_with(queue=UnavailableQueue()).reconcile(
        TaskMessage(task_id=before.task_id, source="callback")
    )

    assert env.is_due(env.read(before))


def test_database_error_is_raised_so_that_sqs_delivers_the_message_again(
    env: TestEnvironment,
) -> None:
    before = put_running(env)
    unavailable = TestEnvironment(replace(env.cloud, table_name="no-such-table"))

    with pytest.raises(DatabaseUnavailable):
        unavailable.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="sweep"))


def test_duplicate_callback_causes_no_second_download(env: TestEnvironment) -> None:
    before = put_running(env)

    def concurrent() -> HttpResponse:
        env.fake_poyo.respond_with("GET", finished_response())
        env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="callback"))
        return finished_response()

    env.fake_poyo.respond_with("GET", concurrent)
    after = env.reconcile(before, source="callback")

    assert after.state == "finished"
    assert [entry["event"] for entry in after.history].count("finished") == 1
    assert len(env.file_host.fetched) == 1


def test_poll_reads_the_item_once_and_writes_it_once(env: TestEnvironment) -> None:
    before = put_running(env)
    requests = recorded_aws_calls(env.table.client)

    env.reconcile(before)

    assert requests[:2] == ["DynamoDB.GetItem", "DynamoDB.UpdateItem"]


@pytest.mark.parametrize(
    "response",
    [
        finished_response(f"https://cdn.doculator.org/{PROMPT}.png"),
        status_response("failed", error_message=f"{PROMPT} {POYO_KEY} https://evil.example"),
        poyo_response({"code": 401, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 401),
        poyo_response({"code": 500, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 500),
        NOT_FOUND,
    ],
)
@pytest.mark.parametrize(
    "file",
    [png(), DownloadForbidden("host_not_listed", f"{PROMPT}.example"), NotAnImage("x", PROMPT)],
)
@pytest.mark.parametrize("poyo_id", [POYO_ID, None])
def test_no_log_line_of_a_reconcile_contains_a_secret(
    env: TestEnvironment,
    response: HttpResponse,
    file: bytes | Exception,
    poyo_id: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env.fake_poyo.respond_with("GET", response)
    env.file_host.respond_with(file)
    before = put_running(env) if poyo_id else env.put(task(state="unknown"))
    with captured_logs() as log:
        env.reconcile(before, source="callback", poyo_id=POYO_ID)

    output = log.getvalue() + capsys.readouterr().out
    assert before.task_id in output
    for canary in (PROMPT, POYO_KEY, "https://", "doculator"):
        assert canary not in output
