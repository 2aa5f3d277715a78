"""While no worker takes the messages, the sweep's lag grows; afterwards each task is polled once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.tasks.task_item import to_item
from imagetasks.workflows.sweep import sweep
from tests.simulation.table_state import InMemoryTable
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import ManualClock, make_clock, status_response, task
from tests.support.template import properties

ALARM = properties("TasksOverdueAlarm")
HOUR_S = 60 * 60


@dataclass
class DeadQueue:
    """A queue that nobody reads: it keeps every message."""

    messages: list[TaskMessage] = field(default_factory=list)

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        self.messages.append(message)

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        self.messages += messages


@dataclass
class Sweeper:
    """A sweep every minute over a table in memory."""

    time: ManualClock = field(default_factory=ManualClock)
    queue: DeadQueue = field(default_factory=DeadQueue)

    def __post_init__(self) -> None:
        self.repository = TaskRepository(cast(Table, InMemoryTable()))

    def put(self, *tasks: Task) -> None:
        for each in tasks:
            put = PutItem(item=to_item(each), condition=Condition((absent("pk"),)))
            self.repository.table.put(put)

    def run(self, seconds: int) -> list[float]:
        """The lag in seconds that each sweep reports."""
        lags = []
        for _ in range(seconds // 60):
            self.time.forward(60)
            result = sweep(
                repository=self.repository,
                queue=cast(TaskQueue, self.queue),
                clock=make_clock(self.time),
                time_left_s=lambda: 40,
            )
            lags.append(result.max_lag_ms / 1000)
        return lags


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", status_response("running"))
        yield environment


def test_lag_grows_as_long_as_no_worker_takes_the_messages() -> None:
    sweeper = Sweeper()
    sweeper.put(task("one", state="running", poyo_id="P", due_at=sweeper.time.now))

    lags = sweeper.run(26 * HOUR_S)

    claimed = [lag for lag in lags if lag]
    assert claimed == sorted(claimed)
    assert claimed[-1] > 25.8 * HOUR_S
    period = int(ALARM["Period"]) // 60  # sweeps, one of which each period of the alarm needs
    overdue = lags[int(ALARM["Threshold"]) // 60 + period :]
    assert all(
        max(overdue[n : n + period]) >= int(ALARM["Threshold"])
        for n in range(len(overdue) - period)
    )


def test_messages_of_six_dead_hours_poll_each_task_once(env: TestEnvironment) -> None:
    tasks = [
        env.put(task(f"{n}", state="running", poyo_id=f"P{n}", due_at=env.time.now))
        for n in range(3)
    ]
    sweeper = Sweeper(time=env.time)
    sweeper.put(*tasks)
    sweeper.run(6 * HOUR_S)
    assert len(sweeper.queue.messages) > 150

    for message in sweeper.queue.messages:
        env.reconciler.reconcile(message)

    assert env.fake_poyo.request_count("GET") == len(tasks)


def test_delayed_message_is_stale_when_the_sweep_was_faster(env: TestEnvironment) -> None:
    before = env.put(task(state="running", poyo_id="P", due_at=env.time.now))
    delayed = TaskMessage(task_id=before.task_id, source="retry", due_since=before.due_since)
    env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="sweep"))

    env.reconciler.reconcile(delayed)

    assert env.fake_poyo.request_count("GET") == 1


def test_message_is_not_stale_when_only_claims_moved_the_task(env: TestEnvironment) -> None:
    before = env.put(task(state="running", poyo_id="P", due_at=env.time.now))
    for _ in range(3):
        assert env.sweep().enqueued == 1
        env.time.forward(env.limits.claim_s)
    first, *_ = (TaskMessage(**body) for body in env.cloud.messages())

    env.reconciler.reconcile(first)

    assert env.fake_poyo.request_count("GET") == 1
    assert env.read(before).due_since != before.due_since
