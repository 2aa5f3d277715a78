"""The sweep: what is due is claimed and rung once, the longest overdue first, while time is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imagetasks.errors import QueueUnavailable
from imagetasks.limits import Limits
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import SHARDS, Task
from imagetasks.workflows.sweep import Swept, sweep
from tests.support.environment import World, world
from tests.support.fakes import PROMPT, START, task
from tests.support.lambdas import Context, calls, logged, opened

LIMITS = Limits()


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        yield made


def due(here: World, *seconds_ago: int, first: int = 0) -> list[Task]:
    """Tasks that have been due for so many seconds, over all shards."""
    return [
        here.put(
            task(f"key {first + n}", state="running", poyo_id=f"P{n}", due_at=START - ago * 1000)
        )
        for n, ago in enumerate(seconds_ago)
    ]


def test_what_is_due_is_rung_once_and_left_to_the_worker_for_a_while(here: World) -> None:
    tasks = due(here, *range(1, 21))
    assert len({each.due_shard for each in tasks}) > SHARDS // 2

    first, second = here.sweep(), here.sweep()

    assert (first, second) == (Swept(20, 20_000), Swept(0, 0))
    rings = here.cloud.rings()
    assert {ring["task_id"] for ring in rings} == {each.task_id for each in tasks}
    assert len(rings) == 20
    assert {ring["by"] for ring in rings} == {"sweep"}
    assert all(here.read(each).due_at == START + LIMITS.claim_s * 1000 for each in tasks)


def test_a_task_that_nobody_looked_at_is_rung_again_when_the_claim_runs_out(here: World) -> None:
    due(here, 1)
    here.sweep()
    here.clock.forward(LIMITS.claim_s)

    assert here.sweep().rung == 1


def test_what_is_not_due_or_has_ended_is_left_alone(here: World) -> None:
    due(here, -1)
    here.put(task("ended", state="finished", due_at=None, due_shard=None))

    assert here.sweep() == Swept(0, 0)
    assert here.cloud.rings() == []


def test_what_has_ended_is_swept_while_it_is_to_be_told_or_erased(here: World) -> None:
    done: dict[str, Any] = {"state": "finished", "poyo_id": "P", "due_at": START}
    told = here.put(task("told", notify_url="https://caller.example/h", notices=0, notice_at=START, **done))  # fmt: skip
    erased = here.put(task("erased", deleted_at=START, listed=None, listed_status=None, **done))

    assert here.sweep().rung == 2
    assert {ring["task_id"] for ring in here.cloud.rings()} == {told.task_id, erased.task_id}


def test_what_is_due_this_very_moment_is_due(here: World) -> None:
    due(here, 0)

    assert here.sweep().rung == 1


def test_the_longest_overdue_come_first_when_there_are_too_many(here: World) -> None:
    tasks = due(here, *range(1, 13))
    few = World(here.cloud, limits=replace(LIMITS, claims_per_run=5))

    assert few.sweep() == Swept(5, 12_000)
    rung = {ring["task_id"] for ring in here.cloud.rings()}
    assert rung == {each.task_id for each in tasks[-5:]}


def test_without_time_left_nothing_is_claimed(here: World) -> None:
    [mine] = due(here, 1)

    assert here.sweep(time_left_s=0).rung == 0
    assert here.read(mine) == mine


def test_a_stale_index_rings_nobody_twice(here: World) -> None:
    [mine] = due(here, 60)
    stale = here.store.due(str(mine.due_shard), now=START, limit=10)
    here.sweep()

    assert not any(here.store.claim(each, until=START + 1) for each in stale)


def test_a_bell_that_is_dumb_loses_nothing(here: World) -> None:
    class Dumb:
        def ring(self, ring: Ring, *, delay_s: float = 0) -> None:
            raise QueueUnavailable("dumb")

    due(here, 1, 2)
    with pytest.raises(QueueUnavailable):
        sweep(
            store=here.store,
            doorbell=Dumb(),  # type: ignore[arg-type]
            pace=here.pace,
            time_left_s=lambda: 100,
        )
    here.clock.forward(LIMITS.claim_s)

    assert here.sweep().rung == 2


def test_a_claim_shows_and_changes_nothing_but_the_next_look(here: World) -> None:
    due(here, 1)
    asked: list[dict[str, object]] = []
    here.table.client.meta.events.register(
        "provide-client-params.dynamodb.UpdateItem",
        lambda params, **_: asked.append(dict(params)),
    )

    here.sweep()

    [claim] = asked
    assert set(dict(claim["ExpressionAttributeNames"]).values()) == {"due_at"}  # type: ignore[call-overload]
    assert "ReturnValues" not in claim
    assert "ReturnValuesOnConditionCheckFailure" not in claim


def test_each_shard_is_asked_once_and_nothing_is_scanned(here: World) -> None:
    due(here, 1)
    made = calls(here.table.client)

    here.sweep()

    assert made.count("DynamoDB.Query") == SHARDS
    assert set(made) == {"DynamoDB.Query", "DynamoDB.UpdateItem"}


def test_the_door_says_how_many_and_how_late_and_stops_before_its_time_is_over(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    due(here, 1, 2, 3)
    with opened("sweep", here.cloud) as door, logged() as log:
        assert door.handler({}, Context(remaining_ms=9_000))["rung"] == 0
        swept = door.handler({}, Context(remaining_ms=50_000))

    assert swept["rung"] == 3
    assert swept["oldest_ms"] > 3000
    assert PROMPT not in log.getvalue() + capsys.readouterr().out
