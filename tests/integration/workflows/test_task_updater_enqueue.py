"""Rescheduling, retrying and reopening tasks: due times, task messages and failed enqueues."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.errors import DatabaseUnavailable, QueueUnavailable
from imagetasks.tasks import transition_writes
from imagetasks.tasks.budgets import Limit
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.task_updater import EnqueuePolicy
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, START
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import CALLER_URL, LIMITS, put_failed, put_running
from tests.support.unavailable import UnavailableQueue, UnavailableRepository

MESSAGE = TaskMessage(task_id="t", source="submit", poyo_id=POYO_ID)
DELAYED = [{"delayed": True}]


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


def log_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_reschedule_writes_due_at_and_facts_and_enqueues_nothing(env: TestEnvironment) -> None:
    before = put_running(env, candidate_poyo_ids=("A",))

    after = env.updater.reschedule(before, due_at=START + 7, polls=3, candidate_poyo_ids=None).task

    assert (after.due_at, after.polls, after.candidate_poyo_ids) == (START + 7, 3, ())
    assert env.cloud.messages() == []


def test_reschedule_to_never_removes_the_task_from_the_due_index(env: TestEnvironment) -> None:
    before = put_failed(env, "timed_out", due_at=START, due_shard="1")

    after = env.updater.reschedule(before, due_at=None).task

    assert after.due_at is None
    assert not env.is_due(after)


def test_reschedule_to_never_keeps_a_pending_notification_due(env: TestEnvironment) -> None:
    before = put_failed(
        env, "timed_out", due_at=START, notification_attempts=1, next_notification_at=START + 60
    )

    after = env.updater.reschedule(before, due_at=None).task
    assert (after.due_at, after.notification_attempts) == (START + 60, 1)
    after = env.updater.reschedule(
        after, due_at=None, notification_attempts=None, next_notification_at=None
    ).task

    assert (after.due_at, after.notification_attempts) == (None, None)


SHORT_S = LIMITS.sweep_fallback_s


@dataclass(frozen=True)
class Delay:
    """A delay, the due time after it in seconds, and the task messages that are sent."""

    delay_s: float
    due_in_s: float
    messages: list[dict[str, Any]]


DELAYS = [
    Delay(5, 5 + SHORT_S, DELAYED),
    Delay(SHORT_S, 2 * SHORT_S, DELAYED),
    Delay(SHORT_S + 1, SHORT_S + 1, []),
    Delay(1800, 1800, []),
]


@pytest.mark.parametrize("delay", DELAYS, ids=lambda delay: f"{delay.delay_s} s")
def test_retry_is_enqueued_for_a_short_delay_and_left_to_the_sweep_for_a_long_one(
    env: TestEnvironment, delay: Delay
) -> None:
    before = put_running(env)

    after = env.updater.retry_in(before, delay.delay_s, polls=2).task

    assert (after.due_at, after.polls) == (START + delay.due_in_s * 1000, 2)
    assert env.cloud.messages() == delay.messages


@pytest.mark.parametrize("delay", DELAYS, ids=lambda delay: f"{delay.delay_s} s")
def test_reopened_task_runs_and_is_retried_like_any_other(
    env: TestEnvironment, delay: Delay
) -> None:
    before = put_failed(env, "result_expired", poyo_id=POYO_ID)

    result = env.updater.reopen(before, delay.delay_s, copy_attempts=4)

    after = result.task
    assert (result.applied, after.state, after.reason) == (True, "running", None)
    assert (after.due_at, after.copy_attempts) == (START + delay.due_in_s * 1000, 4)
    assert env.cloud.messages() == delay.messages


def test_final_failure_is_not_reopened(env: TestEnvironment) -> None:
    before = put_failed(env, "rejected", poyo_id=POYO_ID)

    assert not env.updater.reopen(before, 5).applied
    assert env.read(before) == before
    assert env.cloud.messages() == []


def test_retry_that_lost_to_a_concurrent_write_enqueues_nothing(env: TestEnvironment) -> None:
    before = put_running(env)
    current = env.put(replace(before, due_at=START + 7))

    result = env.updater.retry_in(before, 5)

    assert (result.applied, result.task) == (False, current)
    assert env.cloud.messages() == []


@pytest.mark.parametrize("policy", ["log", "alarm", "raise"])
def test_enqueue_sends_the_message_and_logs_nothing(
    env: TestEnvironment, policy: EnqueuePolicy
) -> None:
    with captured_logs() as log:
        env.updater.enqueue(MESSAGE, on_failure=policy)

    assert env.cloud.messages() == [
        {"task_id": "t", "source": "submit", "poyo_id": POYO_ID, "due_since": None}
    ]
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("policy", "level", "counted"), [("log", "WARNING", False), ("alarm", "ERROR", True)]
)
def test_failed_enqueue_is_logged_as_a_warning_or_raises_an_alarm(
    env: TestEnvironment,
    policy: EnqueuePolicy,
    level: str,
    counted: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    updater = env.updater_with(queue=UnavailableQueue())
    with captured_logs() as log:
        updater.enqueue(MESSAGE, on_failure=policy)

    [line] = log_lines(log.getvalue())
    assert (line["message"], line["level"]) == ("enqueue_failed", level)
    assert (line["task_id"], line["poyo_id"]) == ("t", POYO_ID)
    assert ('"EnqueueFailed"' in capsys.readouterr().out) is counted


def test_failed_enqueue_is_a_warning_by_default(env: TestEnvironment) -> None:
    with captured_logs() as log:
        env.updater_with(queue=UnavailableQueue()).enqueue(MESSAGE)

    assert [line["level"] for line in log_lines(log.getvalue())] == ["WARNING"]


def test_failed_enqueue_is_raised_if_sqs_must_deliver_the_current_message_again(
    env: TestEnvironment,
) -> None:
    with captured_logs() as log, pytest.raises(QueueUnavailable):
        env.updater_with(queue=UnavailableQueue()).enqueue(MESSAGE, on_failure="raise")

    assert log.getvalue() == ""


class NoDatabase(TaskRepository):
    """A repository that cannot create tasks either."""

    def create(self, task: Task, limits: Sequence[Limit] = ()) -> WriteResult:
        raise DatabaseUnavailable("unavailable")


@pytest.mark.parametrize("method", ["create", "apply", "confirm_submission", "reschedule", "retry_in", "reopen"])  # fmt: skip
def test_unavailable_dynamodb_is_raised_and_nothing_is_enqueued(
    env: TestEnvironment, method: str
) -> None:
    before = put_running(env, notification_url=CALLER_URL)
    updater = env.updater_with(repository=UnavailableRepository(env.table))
    calls = {
        "create": lambda: env.updater_with(repository=NoDatabase(env.table)).create(before),
        "apply": lambda: updater.apply(transition_writes.delete(before, env.clock.stamp())),
        "confirm_submission": lambda: updater.confirm_submission(
            before, poyo_id=POYO_ID, source="answer"
        ),
        "reschedule": lambda: updater.reschedule(before, due_at=START),
        "retry_in": lambda: updater.retry_in(before, 5),
        "reopen": lambda: updater.reopen(before, 5),
    }

    with pytest.raises(DatabaseUnavailable):
        calls[method]()

    assert env.read(before) == before
    assert env.cloud.messages() == []
