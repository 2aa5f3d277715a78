"""The sweep: what is due is claimed and rung once, the longest overdue first, while time is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imagetasks.errors import QueueUnavailable
from imagetasks.limits import Limits
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import SHARDS, Task
from imagetasks.workflows.sweep import SweepResult, sweep
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import PROMPT, START, task
from tests.support.lambdas import Context, captured_logs, load_handler, recorded_aws_calls

LIMITS = Limits()


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as made:
        yield made


def due(env: TestEnvironment, *seconds_ago: int, first: int = 0) -> list[Task]:
    """Tasks that have been due for so many seconds, over all shards."""
    return [
        env.put(
            task(f"key {first + n}", state="running", poyo_id=f"P{n}", due_at=START - ago * 1000)
        )
        for n, ago in enumerate(seconds_ago)
    ]


def test_what_is_due_is_rung_once_and_left_to_the_worker_for_a_while(env: TestEnvironment) -> None:
    tasks = due(env, *range(1, 21))
    assert len({each.due_shard for each in tasks}) > SHARDS // 2

    first, second = env.sweep(), env.sweep()

    assert (first, second) == (SweepResult(20, 20_000), SweepResult(0, 0))
    rings = env.cloud.messages()
    assert {ring["task_id"] for ring in rings} == {each.task_id for each in tasks}
    assert len(rings) == 20
    assert {ring["source"] for ring in rings} == {"sweep"}
    assert all(env.read(each).due_at == START + LIMITS.claim_s * 1000 for each in tasks)


def test_a_task_that_nobody_looked_at_is_rung_again_when_the_claim_runs_out(
    env: TestEnvironment,
) -> None:
    due(env, 1)
    env.sweep()
    env.time.forward(LIMITS.claim_s)

    assert env.sweep().enqueued == 1


def test_what_is_not_due_or_has_ended_is_left_alone(env: TestEnvironment) -> None:
    due(env, -1)
    env.put(task("ended", state="finished", due_at=None, due_shard=None))

    assert env.sweep() == SweepResult(0, 0)
    assert env.cloud.messages() == []


def test_what_has_ended_is_swept_while_it_is_to_be_told_or_erased(env: TestEnvironment) -> None:
    done: dict[str, Any] = {"state": "finished", "poyo_id": "P", "due_at": START}
    told = env.put(task("told", notification_url="https://caller.example/h", notification_attempts=0, next_notification_at=START, **done))  # fmt: skip
    erased = env.put(
        task("erased", deleted_at=START, owner_key=None, owner_status_key=None, **done)
    )

    assert env.sweep().enqueued == 2
    assert {ring["task_id"] for ring in env.cloud.messages()} == {told.task_id, erased.task_id}


def test_what_is_due_this_very_moment_is_due(env: TestEnvironment) -> None:
    due(env, 0)

    assert env.sweep().enqueued == 1


def test_the_longest_overdue_come_first_when_there_are_too_many(env: TestEnvironment) -> None:
    tasks = due(env, *range(1, 13))
    few = TestEnvironment(env.cloud, limits=replace(LIMITS, claims_per_run=5))

    assert few.sweep() == SweepResult(5, 12_000)
    rung = {ring["task_id"] for ring in env.cloud.messages()}
    assert rung == {each.task_id for each in tasks[-5:]}


def test_without_time_left_nothing_is_claimed(env: TestEnvironment) -> None:
    [mine] = due(env, 1)

    assert env.sweep(time_left_s=0).enqueued == 0
    assert env.read(mine) == mine


def test_a_stale_index_rings_nobody_twice(env: TestEnvironment) -> None:
    [mine] = due(env, 60)
    stale = env.repository.find_due(str(mine.due_shard), now=START, limit=10)
    env.sweep()

    assert not any(env.repository.claim(each, until=START + 1) for each in stale)


def test_a_bell_that_is_dumb_loses_nothing(env: TestEnvironment) -> None:
    class Dumb:
        def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
            raise QueueUnavailable("dumb")

    due(env, 1, 2)
    with pytest.raises(QueueUnavailable):
        sweep(
            repository=env.repository,
            queue=Dumb(),  # type: ignore[arg-type]
            clock=env.clock,
            time_left_s=lambda: 100,
        )
    env.time.forward(LIMITS.claim_s)

    assert env.sweep().enqueued == 2


def test_a_claim_shows_and_changes_nothing_but_the_next_look(env: TestEnvironment) -> None:
    due(env, 1)
    asked: list[dict[str, object]] = []
    env.table.client.meta.events.register(
        "provide-client-params.dynamodb.UpdateItem",
        lambda params, **_: asked.append(dict(params)),
    )

    env.sweep()

    [claim] = asked
    assert set(dict(claim["ExpressionAttributeNames"]).values()) == {"due_at"}  # type: ignore[call-overload]
    assert "ReturnValues" not in claim
    assert "ReturnValuesOnConditionCheckFailure" not in claim


def test_each_shard_is_asked_once_and_nothing_is_scanned(env: TestEnvironment) -> None:
    due(env, 1)
    made = recorded_aws_calls(env.table.client)

    env.sweep()

    assert made.count("DynamoDB.Query") == SHARDS
    assert set(made) == {"DynamoDB.Query", "DynamoDB.UpdateItem"}


def test_the_door_says_how_many_and_how_late_and_stops_before_its_time_is_over(
    env: TestEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    due(env, 1, 2, 3)
    with load_handler("sweep", env.cloud) as door, captured_logs() as log:
        assert door.handler({}, Context(remaining_ms=9_000))["enqueued"] == 0
        swept = door.handler({}, Context(remaining_ms=50_000))

    assert swept["enqueued"] == 3
    assert swept["max_lag_ms"] > 3000
    assert PROMPT not in log.getvalue() + capsys.readouterr().out
