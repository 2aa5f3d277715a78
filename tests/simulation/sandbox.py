"""A sandbox of a function: the real verbs, wired to simulated wires, with a clock of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import DueTask, TaskRepository, WriteResult
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.clock import Clock
from imagetasks.limits import Limits
from imagetasks.outbound.download import ImageDownloader
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.poyo.client import PoyoClient
from imagetasks.tasks.task import Task
from imagetasks.tasks.transitions import TRANSITIONS, TransitionWrite
from imagetasks.workflows.notify_caller import CallerNotifier
from imagetasks.workflows.owner_tasks import OwnerTasks
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import TaskUpdater
from tests.simulation.bucket import SimulatedBucket, SimulatedDownloads
from tests.simulation.queue import SimulatedQueue
from tests.simulation.receivers import SimulatedDeliveries
from tests.simulation.scheduler import World
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.table import SimulatedTable
from tests.simulation.upstream import ORIGIN, SimulatedPoyo


@dataclass(frozen=True, slots=True)
class CountingStore(TaskRepository):
    """The real store, which counts the transitions that were won and lost."""

    world: World

    def create(self, task: Task) -> WriteResult:
        """T0."""
        return self._counted("submit", TaskRepository.create(self, task))

    def apply(self, change: TransitionWrite) -> WriteResult:
        """T2 to T9."""
        return self._counted(change.name, TaskRepository.apply(self, change))

    def confirm_submission(self, change: TransitionWrite, poyo_id: str) -> WriteResult:
        """T1."""
        return self._counted(change.name, TaskRepository.confirm_submission(self, change, poyo_id))

    def claim(self, due: DueTask, *, until: int) -> bool:
        """T7 as the sweep does it."""
        won = TaskRepository.claim(self, due, until=until)
        self.world.counts["transition", f"T7 claim {'won' if won else 'lost'}"] += 1
        return won

    def _counted(self, name: str, outcome: WriteResult) -> WriteResult:
        number = TRANSITIONS[name].number if name in TRANSITIONS else "T0"
        result = "won" if outcome.applied else "lost"
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
        self.clock = Clock(now_ms=lambda: world.now + self._skew_ms, rng=chance, limits=Limits())
        self.repository = CountingStore(cast(Table, wires.table), world)
        self.queue = TaskQueue(cast(Any, wires.queue), "queue")
        seconds: Callable[[], float] = lambda: world.now / 1000  # noqa: E731
        self.callback_keys = CallbackKeys(
            CachedSecret(cast(Any, wires.secrets), "callback", seconds)
        )
        keys = ApiKeys(CachedSecret(cast(Any, wires.secrets), "api", seconds))
        poyo = PoyoClient(
            send=wires.poyo.send, base_url=ORIGIN, key=keys.poyo_key, refresh_key=keys.refresh_key
        )
        self.submitter = Submitter(
            repository=self.repository,
            poyo=poyo,
            queue=self.queue,
            callback_keys=self.callback_keys,
            uploads=UploadBucket(cast(Any, wires.bucket), "bucket"),
            clock=self.clock,
        )
        self.reader = OwnerTasks(
            repository=self.repository,
            queue=self.queue,
            clock=self.clock,
            sleep=lambda seconds: world.sleep(seconds * 1000),
        )
        images = ImageBucket(cast(Any, wires.bucket), "bucket")
        updater = TaskUpdater(repository=self.repository, queue=self.queue, clock=self.clock)
        self.reconciler = TaskReconciler(
            repository=self.repository,
            poyo=poyo,
            images=images,
            downloads=cast(ImageDownloader, wires.downloads),
            queue=self.queue,
            submitter=self.submitter,
            notifier=CallerNotifier(
                images=images,
                deliveries=cast(NotificationSender, wires.deliveries),
                keys=keys,
                updater=updater,
                clock=self.clock,
            ),
            updater=updater,
            clock=self.clock,
        )

    def wake(self) -> None:
        """It thaws for its next run; now and then its clock is set in between."""
        if self._world.chance.random() < 0.1:
            self._set_clock()

    def _set_clock(self) -> None:
        self._skew_ms = round(self._world.chance.uniform(-1, 1) * self._world.plan.skew_ms)
