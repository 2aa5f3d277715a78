"""A sandbox of a function: the real verbs, wired to simulated wires, with a clock of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from imagetasks.aws.image_bucket import Images
from imagetasks.aws.secrets import ApiKeys, CallbackKeys, Secret
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import Doorbell
from imagetasks.aws.task_repository import Due, Outcome, Store
from imagetasks.aws.upload_bucket import Uploads
from imagetasks.clock import Pace
from imagetasks.limits import Limits
from imagetasks.outbound.download import Downloads
from imagetasks.outbound.notifications import Deliveries
from imagetasks.poyo.client import Poyo
from imagetasks.tasks.task import Task
from imagetasks.tasks.transitions import TRANSITIONS, Change
from imagetasks.workflows.notify_caller import Aftercare
from imagetasks.workflows.owner_tasks import Reader
from imagetasks.workflows.reconcile import Looker
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import Steps
from tests.simulation.bucket import SimulatedBucket, SimulatedDownloads
from tests.simulation.queue import SimulatedQueue
from tests.simulation.receivers import SimulatedDeliveries
from tests.simulation.scheduler import World
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.table import SimulatedTable
from tests.simulation.upstream import ORIGIN, SimulatedPoyo


@dataclass(frozen=True, slots=True)
class CountingStore(Store):
    """The real store, which counts the transitions that were won and lost."""

    world: World

    def create(self, task: Task) -> Outcome:
        """T0."""
        return self._counted("submit", Store.create(self, task))

    def apply(self, change: Change) -> Outcome:
        """T2 to T9."""
        return self._counted(change.name, Store.apply(self, change))

    def bind(self, change: Change, poyo_id: str) -> Outcome:
        """T1."""
        return self._counted(change.name, Store.bind(self, change, poyo_id))

    def claim(self, due: Due, *, until: int) -> bool:
        """T7 as the sweep does it."""
        won = Store.claim(self, due, until=until)
        self.world.counts["transition", f"T7 claim {'won' if won else 'lost'}"] += 1
        return won

    def _counted(self, name: str, outcome: Outcome) -> Outcome:
        number = TRANSITIONS[name].number if name in TRANSITIONS else "T0"
        result = "won" if outcome.won else "lost"
        self.world.counts["transition", f"{number} {name} {result}"] += 1
        self.world.tell(self.world.process.actor, f"{number} {name}", result)
        return outcome


@dataclass(frozen=True, slots=True)
class Wires:
    """Everything outside of our code."""

    table: SimulatedTable
    queue: SimulatedQueue
    bucket: SimulatedBucket
    downloads: SimulatedDownloads
    deliveries: SimulatedDeliveries
    secrets: SimulatedSecrets
    poyo: SimulatedPoyo


class Instance:
    """One sandbox of one function; a killed one is never used again."""

    def __init__(self, name: str, world: World, wires: Wires) -> None:
        self._world = world
        self._skew_ms = 0
        self._set_clock()
        chance = random.Random(world.chance.getrandbits(64))  # noqa: S311 - a story, not a secret
        self.name = name
        self.pace = Pace(clock=lambda: world.now + self._skew_ms, chance=chance, limits=Limits())
        self.store = CountingStore(cast(Table, wires.table), world)
        self.doorbell = Doorbell(cast(Any, wires.queue), "queue")
        seconds: Callable[[], float] = lambda: world.now / 1000  # noqa: E731
        self.callback_keys = CallbackKeys(Secret(cast(Any, wires.secrets), "callback", seconds))
        keys = ApiKeys(Secret(cast(Any, wires.secrets), "api", seconds))
        poyo = Poyo(send=wires.poyo.send, base_url=ORIGIN, key=keys.poyo_key, renewed=keys.renewed)
        self.submitter = Submitter(
            store=self.store,
            poyo=poyo,
            doorbell=self.doorbell,
            callback_keys=self.callback_keys,
            uploads=Uploads(cast(Any, wires.bucket), "bucket"),
            pace=self.pace,
        )
        self.reader = Reader(
            store=self.store,
            doorbell=self.doorbell,
            pace=self.pace,
            sleep=lambda seconds: world.sleep(seconds * 1000),
        )
        images = Images(cast(Any, wires.bucket), "bucket")
        steps = Steps(store=self.store, doorbell=self.doorbell, pace=self.pace)
        self.looker = Looker(
            store=self.store,
            poyo=poyo,
            images=images,
            downloads=cast(Downloads, wires.downloads),
            doorbell=self.doorbell,
            submitter=self.submitter,
            aftercare=Aftercare(
                images=images,
                deliveries=cast(Deliveries, wires.deliveries),
                keys=keys,
                steps=steps,
                pace=self.pace,
            ),
            steps=steps,
            pace=self.pace,
        )

    def wake(self) -> None:
        """It thaws for its next run; now and then its clock is set in between."""
        if self._world.chance.random() < 0.1:
            self._set_clock()

    def _set_clock(self) -> None:
        self._skew_ms = round(self._world.chance.uniform(-1, 1) * self._world.plan.skew_ms)
