"""A thousand users who wait occupy no more executions than there are slots, and nobody fails."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest

from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.wait_slots import WaitSlots
from imagetasks.clock import Clock
from imagetasks.limits import Limits
from imagetasks.tasks.task import Task
from imagetasks.tasks.task_item import to_item
from imagetasks.workflows.owner_tasks import OwnerTasks
from tests.simulation.process import Process, ProcessResult
from tests.simulation.scenario import random_scenario
from tests.simulation.scheduler import Simulator
from tests.simulation.table import SimulatedTable
from tests.support.fakes import task

USERS = 1000
WAIT_S = 20


class Waiters:
    """Requests that arrive within a second, each with `?wait=20` for a task that does not change."""

    def __init__(self, slots: int) -> None:
        rng = random.Random(7)  # noqa: S311 - seeded, not secret
        self.simulator = Simulator(scenario=random_scenario(rng, ()), rng=rng, tracing=False)
        self.simulator.fault_free_since = self.simulator.now
        table: Any = SimulatedTable(self.simulator, lambda *_: None)
        clock = Clock(now_ms=lambda: self.simulator.now, rng=rng, limits=Limits())
        self.task = task(state="running")
        table.memory.items[f"task#{self.task.task_id}"] = to_item(self.task)
        self.asleep: set[Process] = set()
        self.most_asleep = 0
        self.seconds: list[float] = []
        self.tasks = OwnerTasks(
            repository=TaskRepository(table),
            updater=cast(Any, None),
            clock=clock,
            wait_slots=WaitSlots(table=table, clock=clock, count=slots),
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.asleep.add(self.simulator.process)
        self.most_asleep = max(self.most_asleep, len(self.asleep))
        self.simulator.sleep(seconds * 1000)

    def begin(self) -> None:
        begun_at = self.simulator.now

        def wait() -> Task:
            return self.tasks.wait_for_change("owner", self.task.task_id, wait_s=WAIT_S)

        def on_end(process: Process, result: ProcessResult) -> None:
            assert result.value == self.task
            self.asleep.discard(process)
            self.seconds.append((self.simulator.now - begun_at) / 1000)

        self.simulator.spawn("api", "get", wait, timeout_s=25, on_end=on_end)

    def run(self) -> None:
        for n in range(USERS):
            self.simulator.at(self.simulator.now + n, self.begin)
        self.simulator.run(self.simulator.now + 60_000)


@pytest.mark.parametrize("slots", [0, 1, 5, 100])
def test_a_thousand_waits_occupy_no_more_executions_than_there_are_slots(slots: int) -> None:
    waiters = Waiters(slots)

    waiters.run()

    assert waiters.most_asleep == slots
    assert len(waiters.seconds) == USERS
    assert sum(seconds >= WAIT_S for seconds in waiters.seconds) == slots
    assert sum(seconds < 1 for seconds in waiters.seconds) == USERS - slots
