"""Applying transitions: what is written, logged, counted and enqueued, also after a lost race."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.clock import WriteStamp
from imagetasks.errors import PoyoIdConflict, TaskNotFound
from imagetasks.tasks import transition_writes
from imagetasks.tasks.task import Task, poyo_pk
from imagetasks.tasks.transition_write import TransitionWrite
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, START, task
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import CALLER_URL, LIMITS, owner_tasks, put_running
from tests.support.unavailable import UnavailableQueue, UnavailableRepository


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


def log_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def retry_message(after: Task) -> dict[str, Any]:
    """The message for the step that is scheduled now."""
    message = {"task_id": after.task_id, "source": "retry", "poyo_id": None}
    return message | {"due_since": after.due_at}


def finish(before: Task, stamp: WriteStamp) -> TransitionWrite:
    return transition_writes.finish(before, stamp, files=(), charged_credits=Decimal(2))


def fail(before: Task, stamp: WriteStamp) -> TransitionWrite:
    return transition_writes.fail(before, stamp, reason="upstream", detail="")


ENDS = {"finish": finish, "fail": fail}


def mark_unknown(before: Task, stamp: WriteStamp) -> TransitionWrite:
    return transition_writes.mark_unknown(before, stamp, expires_at=START + 9, detail="lost")


@pytest.mark.parametrize(
    ("due_in_s", "polled_in_s"), [(90, 90), (67, 67), (66, 90), (91, 90), (-1, 90)]
)
def test_confirmed_task_is_first_polled_when_it_is_due_if_that_is_about_then(
    env: TestEnvironment, due_in_s: int, polled_in_s: int
) -> None:
    before = env.put(task(state="submitting", due_at=START + due_in_s * 1000))

    result = env.updater.confirm_submission(before, poyo_id=POYO_ID, source="answer")

    assert result.task.due_at == START + polled_in_s * 1000


def test_create_writes_a_new_task_once_and_returns_the_existing_one(env: TestEnvironment) -> None:
    first = task(write_token="first")
    with captured_logs() as log:
        created = env.updater.create(first)
        replayed = env.updater.create(task(write_token="second"))

    assert (created.applied, created.task) == (True, first)
    assert (replayed.applied, replayed.task) == (False, first)
    assert [line["transition"] for line in log_lines(log.getvalue())] == ["submit"]
    assert env.cloud.messages() == []


@pytest.mark.parametrize("end", ENDS)
def test_end_of_a_task_that_is_still_due_is_enqueued_at_once(
    env: TestEnvironment, end: str
) -> None:
    before = put_running(env, notification_url=CALLER_URL)

    result = env.updater.apply(ENDS[end](before, env.clock.stamp()))

    assert result.applied
    assert result.task == env.read(before)
    assert result.task.due_at == START
    assert env.cloud.messages() == [retry_message(result.task)]


def test_end_of_a_deleted_task_is_enqueued_so_that_its_images_are_erased(
    env: TestEnvironment,
) -> None:
    before = put_running(env, deleted_at=START, owner_key=None, owner_status_key=None)

    after = env.updater.apply(finish(before, env.clock.stamp())).task

    assert env.cloud.messages() == [retry_message(after)]


@pytest.mark.parametrize("end", ENDS)
def test_end_of_a_task_that_is_not_due_enqueues_nothing(env: TestEnvironment, end: str) -> None:
    before = put_running(env)

    result = env.updater.apply(ENDS[end](before, env.clock.stamp()))

    assert result.task.due_at is None
    assert env.cloud.messages() == []


def test_other_transition_enqueues_nothing_although_its_task_is_due(env: TestEnvironment) -> None:
    before = env.put(task())
    env.time.now = START + 10

    result = env.updater.apply(mark_unknown(before, env.clock.stamp()))

    assert (result.applied, result.task.due_at) == (True, START + 9)
    assert env.cloud.messages() == []


def test_transition_that_lost_to_a_concurrent_write_enqueues_and_counts_nothing(
    env: TestEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    before = put_running(env, notification_url=CALLER_URL)
    current = env.put(replace(before, poyo_id="OTHER"))
    with captured_logs() as log:
        result = env.updater.apply(finish(before, env.clock.stamp()))

    assert (result.applied, result.task) == (False, current)
    assert env.cloud.messages() == []
    [line] = log_lines(log.getvalue())
    assert (line["transition"], line["applied"], line["state"]) == ("finish", False, "running")
    assert '"Finished"' not in capsys.readouterr().out


@pytest.mark.parametrize(("end", "metric"), [("finish", "Finished"), ("fail", "FailedUpstream")])
def test_end_of_a_task_is_logged_and_counted(
    env: TestEnvironment, end: str, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = put_running(env)
    with captured_logs() as log:
        env.updater.apply(ENDS[end](before, env.clock.stamp()))

    [line] = log_lines(log.getvalue())
    assert (line["message"], line["transition"], line["applied"]) == ("transition", end, True)
    assert f'"{metric}"' in capsys.readouterr().out


def test_end_is_kept_for_the_sweep_when_sqs_is_unavailable(env: TestEnvironment) -> None:
    before = put_running(env, notification_url=CALLER_URL)
    updater = env.updater_with(queue=UnavailableQueue())
    with captured_logs() as log:
        result = updater.apply(finish(before, env.clock.stamp()))

    assert result.applied
    assert env.is_due(before)
    assert "enqueue_failed" in log.getvalue()


def test_apply_to_a_missing_task_raises_task_not_found(env: TestEnvironment) -> None:
    with pytest.raises(TaskNotFound):
        env.updater.apply(mark_unknown(task(), env.clock.stamp()))


def test_settle_writes_the_outcome_and_returns_the_task(env: TestEnvironment) -> None:
    before = env.put(task())

    after = env.updater.settle(before, mark_unknown)

    assert after == env.read(before)
    assert (after.state, after.detail) == ("unknown", "lost")


def test_settle_returns_the_task_unchanged_when_dynamodb_is_unavailable(
    env: TestEnvironment,
) -> None:
    before = env.put(task())
    updater = env.updater_with(repository=UnavailableRepository(env.table))
    with captured_logs() as log:
        after = updater.settle(before, mark_unknown)

    assert after == before == env.read(before)
    assert env.is_due(before), "the sweep finds it when its submit lease has expired"
    [line] = log_lines(log.getvalue())
    assert (line["message"], line["level"]) == ("transition_not_saved", "WARNING")
    assert line["transition"] == "mark_unknown"


def test_settle_is_repeated_after_a_concurrent_deletion(env: TestEnvironment) -> None:
    before = env.put(task())
    owner_tasks(env).delete("owner", before.task_id)
    read: list[Task] = []

    def make(current: Task, stamp: WriteStamp) -> TransitionWrite:
        read.append(current)
        return mark_unknown(current, stamp)

    after = env.updater.settle(before, make)

    assert [each.deleted_at for each in read] == [None, START]
    assert after == env.read(before)
    assert (after.state, after.deleted_at, after.detail) == ("unknown", START, None)


def test_settle_is_not_repeated_after_another_concurrent_write(env: TestEnvironment) -> None:
    before = env.put(task())
    current = env.put(replace(before, state="running", poyo_id=POYO_ID, write_token="other"))
    made: list[Task] = []

    def make(read: Task, stamp: WriteStamp) -> TransitionWrite:
        made.append(read)
        return mark_unknown(read, stamp)

    assert env.updater.settle(before, make) == current
    assert made == [before]


def test_confirmation_writes_poyos_id_and_the_first_poll(env: TestEnvironment) -> None:
    before = env.put(task())

    result = env.updater.confirm_submission(before, poyo_id=POYO_ID, source="answer")

    assert (result.applied, result.task.state, result.task.poyo_id) == (True, "running", POYO_ID)
    assert result.task.due_at == START + LIMITS.first_poll_s * 1000
    assert env.table.get(poyo_pk(POYO_ID))["task_id"] == before.task_id
    assert env.cloud.messages() == []


def test_id_of_a_callback_is_confirmed_only_where_it_was_named_and_stays_free_otherwise(
    env: TestEnvironment,
) -> None:
    before = env.put(task(state="unknown"))

    with pytest.raises(PoyoIdConflict):
        env.updater.confirm_submission(before, poyo_id="UNNAMED", source="callback")

    assert env.table.get(poyo_pk("UNNAMED")) == {}
    assert env.read(before) == before


def test_confirmation_is_repeated_after_a_concurrent_deletion(env: TestEnvironment) -> None:
    before = env.put(task())
    owner_tasks(env).delete("owner", before.task_id)

    result = env.updater.confirm_submission(before, poyo_id=POYO_ID, source="answer")

    assert (result.applied, result.task.poyo_id) == (True, POYO_ID)
    assert (result.task.state, result.task.deleted_at) == ("running", START)


def test_confirmation_with_the_id_of_another_task_raises_and_changes_nothing(
    env: TestEnvironment,
) -> None:
    owner, before = env.put(task("owner")), env.put(task())
    env.updater.confirm_submission(owner, poyo_id=POYO_ID, source="answer")

    with pytest.raises(PoyoIdConflict):
        env.updater.confirm_submission(before, poyo_id=POYO_ID, source="answer")

    assert env.read(before) == before


def test_confirmation_of_a_task_that_has_another_id_returns_the_task(env: TestEnvironment) -> None:
    before = env.put(task())
    first = env.updater.confirm_submission(before, poyo_id="FIRST", source="answer").task

    result = env.updater.confirm_submission(before, poyo_id="SECOND", source="answer")

    assert (result.applied, result.task) == (False, first)
