"""The sweep claims due tasks and enqueues each once, the longest overdue first, while time is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.errors import QueueUnavailable
from imagetasks.limits import Limits
from imagetasks.tasks.conditional_write import ConditionFailed, UpdateItem
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import SHARDS, Task, derive_task_id, shard_of, task_pk
from imagetasks.workflows.sweep import SweepResult, sweep
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import PROMPT, START, ManualClock, make_clock, task
from tests.support.lambdas import Context, captured_logs, load_handler, recorded_aws_calls
from tests.support.unavailable import UnavailableQueue

LIMITS = Limits()


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


class RefusingQueue(TaskQueue):
    """A queue that takes all messages of a request but the last."""

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        *taken, _ = messages
        super().send_all(taken)
        raise QueueUnavailable("InternalError")


@dataclass
class RecordingBatches:
    """A queue that keeps the messages of all requests."""

    messages: list[TaskMessage] = field(default_factory=list)

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        self.messages += messages


@dataclass
class DueTable:
    """A table of nothing but `due_at` by primary key, which claims move."""

    due: dict[str, int] = field(default_factory=dict)

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        found = sorted(
            (due_at, pk)
            for pk, due_at in self.due.items()
            if due_at <= now and shard_of(pk.removeprefix("task#")) == shard
        )
        return [{"pk": pk, "due_at": at, "due_since": at} for at, pk in found[:limit]]

    def update_blind(self, update: UpdateItem) -> None:
        if not update.condition.holds({"due_at": self.due[update.pk]}):
            raise ConditionFailed({})
        self.due[update.pk] = update.values["due_at"]


def put_due(env: TestEnvironment, *seconds_ago: int, first: int = 0) -> list[Task]:
    """Running tasks in all shards that have been due for so many seconds."""
    return [
        env.put(
            task(f"key {first + n}", state="running", poyo_id=f"P{n}", due_at=START - ago * 1000)
        )
        for n, ago in enumerate(seconds_ago)
    ]


def test_due_tasks_are_enqueued_once_and_claimed_for_the_worker(env: TestEnvironment) -> None:
    tasks = put_due(env, *range(1, 21))
    assert len({each.due_shard for each in tasks}) > SHARDS // 2

    first, second = env.sweep(), env.sweep()

    assert (first, second) == (SweepResult(20, 20_000), SweepResult(0, 0))
    messages = env.cloud.messages()
    assert {message["task_id"] for message in messages} == {each.task_id for each in tasks}
    assert len(messages) == 20
    assert {message["source"] for message in messages} == {"sweep"}
    assert all(env.read(each).due_at == START + LIMITS.claim_s * 1000 for each in tasks)
    assert all(env.read(each).due_since == each.due_at for each in tasks)


def test_claimed_task_is_enqueued_again_when_its_claim_has_expired(
    env: TestEnvironment,
) -> None:
    put_due(env, 1)
    env.sweep()
    env.time.forward(LIMITS.claim_s)

    assert env.sweep().enqueued == 1


def test_task_that_is_not_due_or_has_ended_is_not_enqueued(env: TestEnvironment) -> None:
    put_due(env, -1)
    env.put(task("ended", state="finished", due_at=None, due_shard=None))

    assert env.sweep() == SweepResult(0, 0)
    assert env.cloud.messages() == []


def test_ended_task_is_enqueued_for_its_notification_or_erasure(env: TestEnvironment) -> None:
    ended: dict[str, Any] = {"state": "finished", "poyo_id": "P", "due_at": START}
    notified = env.put(task("notified", notification_url="https://caller.example/h", notification_attempts=0, next_notification_at=START, **ended))  # fmt: skip
    erased = env.put(
        task("erased", deleted_at=START, owner_key=None, owner_status_key=None, **ended)
    )

    assert env.sweep().enqueued == 2
    assert {message["task_id"] for message in env.cloud.messages()} == {
        notified.task_id,
        erased.task_id,
    }


def test_task_is_enqueued_at_its_due_time_exactly(env: TestEnvironment) -> None:
    put_due(env, 0)

    assert env.sweep().enqueued == 1


def test_longest_overdue_tasks_come_first_when_there_are_too_many(env: TestEnvironment) -> None:
    tasks = put_due(env, *range(1, 13))
    limited = TestEnvironment(env.cloud, limits=replace(LIMITS, claims_per_run=5))

    assert limited.sweep() == SweepResult(5, 12_000)
    enqueued = {message["task_id"] for message in env.cloud.messages()}
    assert enqueued == {each.task_id for each in tasks[-5:]}


def test_no_task_is_claimed_without_time_left(env: TestEnvironment) -> None:
    [overdue] = put_due(env, 1)

    assert env.sweep(time_left_s=0).enqueued == 0
    assert env.read(overdue) == overdue


def test_stale_index_entry_cannot_be_claimed(env: TestEnvironment) -> None:
    [overdue] = put_due(env, 60)
    stale = env.repository.find_due(str(overdue.due_shard), now=START, limit=10)
    env.sweep()

    assert not any(env.repository.claim(each, until=START + 1) for each in stale)


def test_sweep_loses_no_task_when_sqs_is_unavailable(env: TestEnvironment) -> None:
    put_due(env, 1, 2)
    with pytest.raises(QueueUnavailable):
        sweep(
            repository=env.repository,
            queue=UnavailableQueue(),  # type: ignore[arg-type]
            clock=env.clock,
            time_left_s=lambda: 100,
        )
    env.time.forward(LIMITS.claim_s)

    assert env.sweep().enqueued == 2


def test_messages_are_sent_ten_at_a_time(env: TestEnvironment) -> None:
    put_due(env, *range(1, 26))
    requests = recorded_aws_calls(env.queue.client)

    assert env.sweep().enqueued == 25
    assert requests == ["SQS.SendMessageBatch"] * 3
    assert len(env.cloud.messages()) == 25


def test_tasks_whose_messages_were_not_sent_are_enqueued_when_their_claims_expire(
    env: TestEnvironment,
) -> None:
    """SQS may refuse one message of a request and take the others."""
    tasks = put_due(env, *range(1, 26))
    refusing = RefusingQueue(env.queue.client, env.queue.queue_url)
    with pytest.raises(QueueUnavailable) as raised:
        sweep(repository=env.repository, queue=refusing, clock=env.clock, time_left_s=lambda: 100)
    assert raised.value.passing
    first = [message["task_id"] for message in env.cloud.messages()]
    assert len(first) == 9

    second = env.sweep()
    env.time.forward(LIMITS.claim_s)
    third = env.sweep()

    assert (second.enqueued, third.enqueued) == (15, 25)
    later = {message["task_id"] for message in env.cloud.messages()}
    assert later == {each.task_id for each in tasks}


def test_run_takes_as_many_tasks_as_its_cap_from_unequal_shards() -> None:
    """Twenty thousand tasks: each run that finds enough of them takes the whole cap, none twice."""
    time, table, sent = ManualClock(), DueTable(), RecordingBatches()
    for n in range(20_000):
        table.due[task_pk(derive_task_id("owner", f"{n}"))] = START - n
    clock = make_clock(time, LIMITS)
    repository = TaskRepository(cast(Table, table))

    runs = [
        sweep(
            repository=repository,
            queue=cast(TaskQueue, sent),
            clock=clock,
            time_left_s=lambda: 100,
        ).enqueued
        for _ in range(11)
    ]

    assert runs == [LIMITS.claims_per_run] * 10 + [0]
    assert len({message.task_id for message in sent.messages}) == len(sent.messages) == 20_000


def test_claim_reads_nothing_and_changes_only_due_at(env: TestEnvironment) -> None:
    put_due(env, 1)
    requests: list[dict[str, object]] = []
    env.table.client.meta.events.register(
        "provide-client-params.dynamodb.UpdateItem",
        lambda params, **_: requests.append(dict(params)),
    )

    env.sweep()

    [claim] = requests
    assert set(dict(claim["ExpressionAttributeNames"]).values()) == {"due_at"}  # type: ignore[call-overload]
    assert "ReturnValues" not in claim
    assert "ReturnValuesOnConditionCheckFailure" not in claim


def test_each_shard_is_queried_once_and_nothing_is_scanned(env: TestEnvironment) -> None:
    put_due(env, 1)
    requests = recorded_aws_calls(env.table.client)

    env.sweep()

    assert requests.count("DynamoDB.Query") == SHARDS
    assert set(requests) == {"DynamoDB.Query", "DynamoDB.UpdateItem"}


def test_handler_returns_count_and_lag_and_stops_before_its_timeout(
    env: TestEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    put_due(env, 1, 2, 3)
    with load_handler("sweep", env.cloud) as module, captured_logs() as log:
        assert module.handler({}, Context(remaining_ms=9_000))["enqueued"] == 0
        result = module.handler({}, Context(remaining_ms=50_000))

    assert result["enqueued"] == 3
    assert result["max_lag_ms"] > 3000
    assert PROMPT not in log.getvalue() + capsys.readouterr().out
