"""`cli.redrive task`: the tasks that the operator named are reconciled, and a mistyped id is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.environment import TestEnvironment, new_environment
from tests.support.operator_stack import Command, create_stack
from tests.support.stored_tasks import put_failed


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        create_stack(environment.cloud)
        yield environment


def test_one_message_from_the_operator_is_sent_for_each_task(
    env: TestEnvironment, command: Command
) -> None:
    one, other = put_failed(env, "timed_out"), put_failed(env, "timed_out", task_id="b" * 26)

    status, out, _ = command("redrive task", one.task_id, other.task_id)

    assert (status, out) == (0, "task messages sent: 2\n")
    found = [(each["task_id"], each["source"]) for each in env.cloud.messages()]
    assert sorted(found) == sorted((each.task_id, "operator") for each in (one, other))


def test_mistyped_id_is_named_and_nothing_is_sent(env: TestEnvironment, command: Command) -> None:
    task = put_failed(env, "timed_out")

    status, out, err = command("redrive task", task.task_id, "mistyped")

    assert (status, out) == (1, "")
    assert err == "failed: there is no task mistyped: nothing was sent\n"
    assert env.cloud.messages() == []
