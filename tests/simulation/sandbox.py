"""A Lambda sandbox: the real workflows with simulated external services and a clock of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.order_repository import OrderRepository
from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import NotificationQueue, TaskQueue
from imagetasks.aws.task_repository import DueTask, TaskRepository, WriteResult
from imagetasks.aws.token_repository import TokenRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.aws.wait_slots import WaitSlots
from imagetasks.clock import Clock, Invocation
from imagetasks.outbound.download import ImageDownloader
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.poyo.client import PoyoClient
from imagetasks.tasks.budgets import Limit
from imagetasks.tasks.task import Task
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.workflows.budget_settings import BudgetSettings
from imagetasks.workflows.notify_caller import CallerNotifier
from imagetasks.workflows.owner_tasks import OwnerTasks
from imagetasks.workflows.place_order import OrderPlacement
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.spending import Spending, SpendingDefaults
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import TaskUpdater
from tests.simulation.bucket import SimulatedBucket, SimulatedDownloads
from tests.simulation.queue import SimulatedQueue
from tests.simulation.receivers import SimulatedReceivers
from tests.simulation.scheduler import Simulator
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.short_day import LIMITS
from tests.simulation.table import SimulatedTable
from tests.simulation.upstream import ORIGIN, SimulatedPoyo

WAIT_SLOTS = 2  # few, so that requests compete for them


@dataclass(frozen=True, slots=True)
class CountingRepository(TaskRepository):
    """The real repository; it also counts which transitions were applied and which were not."""

    simulator: Simulator

    def create(self, task: Task, limits: Sequence[Limit] = ()) -> WriteResult:
        """Create the item of a new task and reserve its credits."""
        return self._counted("submit", TaskRepository.create(self, task, limits))

    def apply(self, change: TransitionWrite) -> WriteResult:
        """Apply any transition but `submit`, `claim` and the confirmation of a named id."""
        return self._counted(change.name, TaskRepository.apply(self, change))

    def confirm_submission(
        self, change: TransitionWrite, poyo_id: str, *, named: bool = False
    ) -> WriteResult:
        """Write PoYo's id into the task: by `apply` unless a callback `named` it."""
        result = TaskRepository.confirm_submission(self, change, poyo_id, named=named)
        return self._counted(change.name, result) if named else result

    def claim(self, due: DueTask, *, until: int) -> bool:
        """Move `due_at` for the sweep."""
        applied = TaskRepository.claim(self, due, until=until)
        self.simulator.counts["transition", f"claim {_applied(applied)}"] += 1
        return applied

    def _counted(self, name: str, outcome: WriteResult) -> WriteResult:
        result = _applied(outcome.applied)
        self.simulator.counts["transition", f"{name} {result}"] += 1
        self.simulator.record(self.simulator.process.actor, name, result)
        return outcome


def _applied(applied: bool) -> str:
    return "applied" if applied else "not_applied"


@dataclass(frozen=True, slots=True)
class ExternalServices:
    """Every external service that our code calls."""

    table: SimulatedTable
    queue: SimulatedQueue
    notification_queue: SimulatedQueue
    bucket: SimulatedBucket
    downloads: SimulatedDownloads
    receivers: SimulatedReceivers
    secrets: SimulatedSecrets
    poyo: SimulatedPoyo


class Sandbox:
    """One sandbox of one function, which builds what it uses; a killed sandbox is never reused."""

    def __init__(self, name: str, simulator: Simulator, services: ExternalServices) -> None:
        self._simulator = simulator
        self._services = services
        self._skew_ms = 0
        self._set_clock()
        rng = random.Random(simulator.rng.getrandbits(64))  # noqa: S311 - seeded, not secret
        self.name = name
        self.table = cast(Table, services.table)
        self.clock = Clock(
            now_ms=lambda: simulator.now + self._skew_ms,
            rng=rng,
            limits=LIMITS,
            invocation=Invocation(lambda: simulator.process.deadline - simulator.now),
        )
        self.repository = CountingRepository(self.table, simulator)
        self.queue = TaskQueue(cast(Any, services.queue), "queue")
        seconds: Callable[[], float] = lambda: simulator.now / 1000  # noqa: E731
        self.callback_keys = CallbackKeys(
            CachedSecret(cast(Any, services.secrets), "callback", seconds)
        )
        self._keys = ApiKeys(CachedSecret(cast(Any, services.secrets), "api", seconds))
        self._poyo = PoyoClient(
            send=services.poyo.send,
            base_url=ORIGIN,
            key=self._keys.poyo_key,
            refresh_key=self._keys.refresh_key,
        )
        self.updater = TaskUpdater(repository=self.repository, queue=self.queue, clock=self.clock)

    @cached_property
    def tokens(self) -> TokenRepository:
        """The browser tokens."""
        return TokenRepository(self.table)

    @cached_property
    def spending(self) -> Spending:
        """The limits of an order."""
        scenario = self._simulator.scenario
        return Spending(
            repository=BudgetRepository(self.table),
            defaults=SpendingDefaults(
                stack_daily=scenario.stack_daily, owner_daily=scenario.owner_daily
            ),
            clock=self.clock,
        )

    @cached_property
    def budgets(self) -> BudgetSettings:
        """What operators do to limits."""
        return BudgetSettings(self.spending)

    @cached_property
    def submitter(self) -> Submitter:
        """Used by orders, and by the worker for retries."""
        return Submitter(
            slots=SubmitSlots(
                self.table, self.clock, lambda seconds: self._simulator.sleep(seconds * 1000)
            ),
            poyo=self._poyo,
            callback_keys=self.callback_keys,
            uploads=UploadBucket(cast(Any, self._services.bucket), "bucket"),
            updater=self.updater,
            clock=self.clock,
        )

    @cached_property
    def reader(self) -> OwnerTasks:
        """The owner's requests for tasks."""
        return OwnerTasks(
            repository=self.repository,
            updater=self.updater,
            clock=self.clock,
            wait_slots=WaitSlots(table=self.table, clock=self.clock, count=WAIT_SLOTS),
            sleep=lambda seconds: self._simulator.sleep(seconds * 1000),
        )

    @cached_property
    def placement(self) -> OrderPlacement:
        """The owner's orders."""
        return OrderPlacement(
            submitter=self.submitter,
            spending=self.spending,
            orders=OrderRepository(self.table),
            uploads=self.submitter.uploads,
            notifications=cast(NotificationSender, self._services.receivers),
            own_file=self.reader.file,
            shared_file=self.reader.shared_file,
        )

    @cached_property
    def reconciler(self) -> TaskReconciler:
        """The worker's work."""
        services = self._services
        return TaskReconciler(
            repository=self.repository,
            poyo=self._poyo,
            images=ImageBucket(cast(Any, services.bucket), "bucket"),
            downloader=cast(ImageDownloader, services.downloads),
            submitter=self.submitter,
            notifications=NotificationQueue(
                cast(Any, services.notification_queue), "notifications"
            ),
            updater=self.updater,
            clock=self.clock,
        )

    @cached_property
    def notifier(self) -> CallerNotifier:
        """The notify function's work."""
        return CallerNotifier(
            sender=cast(NotificationSender, self._services.receivers),
            keys=self._keys,
            repository=self.repository,
            updater=self.updater,
            clock=self.clock,
        )

    @property
    def skew_ms(self) -> int:
        """How much its clock is wrong."""
        return self._skew_ms

    def resume(self) -> None:
        """Prepare for the next invocation; in one of ten cases the clock was corrected in between."""
        if self._simulator.rng.random() < 0.1:
            self._set_clock()

    def _set_clock(self) -> None:
        self._skew_ms = round(self._simulator.rng.uniform(-1, 1) * self._simulator.scenario.skew_ms)
