"""The state of one simulated PoYo, and the life of its tasks from submit to callback."""

import asyncio
import math
import secrets

from aiohttp import web

from local.poyo_simulator.account import Account
from local.poyo_simulator.background_tasks import BackgroundTasks
from local.poyo_simulator.callbacks import CallbackSender
from local.poyo_simulator.catalog_items import CatalogItems
from local.poyo_simulator.charges import charge
from local.poyo_simulator.clock import Clock
from local.poyo_simulator.event_log import EventLog
from local.poyo_simulator.fault_selector import FaultSelector
from local.poyo_simulator.images import ImageCache
from local.poyo_simulator.orders import Order
from local.poyo_simulator.seeded_random import seeded_random
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.task_faults import TASK_FAULTS
from local.poyo_simulator.tasks import FAILED, FINISHED, RUNNING, Task, TaskStore

NOT_STARTED_SHARE = 0.2


class Simulator:
    """One simulated PoYo; ``reset`` returns it to its initial state and keeps its port."""

    def __init__(self, settings: Settings, clock: Clock, seed: str | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.origin = ""
        self._initial_settings, self._initial_speed = settings, clock.speed
        self._fixed_seed = seed
        self.background = BackgroundTasks()
        self._start()

    def _start(self) -> None:
        self.seed = self._fixed_seed or secrets.token_hex(4)
        self.event_log = EventLog(self.clock)
        self.faults = FaultSelector(self.seed)
        self.catalog = CatalogItems()
        self.tasks = TaskStore(self.seed)
        self.account = Account(self.clock)
        self.images = ImageCache()
        self.callbacks = CallbackSender(self.clock, self.event_log, self.background)
        self._lifecycles: dict[int, asyncio.Task[object]] = {}

    async def reset(self) -> None:
        """Delete tasks, events, rules and changed settings, and set the clock to real time."""
        await self.close()
        self.settings = self._initial_settings
        self.clock.restart(speed=self._initial_speed)
        self._start()

    async def close(self) -> None:
        self.background.cancel_all()
        self.images.close()
        await self.callbacks.close()

    def accept(self, order: Order) -> tuple[Task, list[str]]:
        """Charge an order and create its task; returns it with the names of its task faults."""
        self.account.charge(order.credits, self.settings)
        task = self._new_task(order)
        faults = self.faults.select("task", order, task.id)
        for fault in faults:
            TASK_FAULTS[fault.name](task, fault, self.tasks)
        self.account.charge(task.credits - order.credits, self.settings)
        self.tasks.add(task)
        self._lifecycles[id(task)] = self.background.start(self._run_lifecycle(task))
        return task, [fault.name for fault in faults]

    def _new_task(self, order: Order) -> Task:
        task_id = self.tasks.new_id(order)
        now = self.clock.now()
        duration_s = seeded_random(self.seed, task_id).uniform(*self.settings.seconds)
        return Task(
            id=task_id,
            order=order,
            created=now,
            begins=now + NOT_STARTED_SHARE * duration_s,
            ends=now + duration_s,
            origin=self.origin,
            credits=charge(order.price, self.seed, task_id),
        )

    async def _run_lifecycle(self, task: Task) -> None:
        await self.clock.sleep_until(task.begins)
        task.state = RUNNING
        self.event_log.add("task", task.id, RUNNING)
        await self.clock.sleep_until(task.ends)
        if not task.callback_early_s:
            self.end(task)
            self.send_callback(task)
            return
        self.send_callback(task, state=FINISHED)
        await self.clock.sleep(task.callback_early_s)
        self.end(task)

    def end(self, task: Task, failure: str | None = None) -> None:
        """Finish the task, or fail it with ``failure`` or with the message that a fault set."""
        task.error_message = failure or task.fails_with
        task.state = FAILED if task.error_message else FINISHED
        task.ended = self.clock.now()
        if task.state == FAILED:
            self.account.refund(task.credits)
        self.event_log.add("task", task.id, task.state)

    def end_now(self, task: Task, failure: str | None = None) -> list[asyncio.Event]:
        """End an open task before its time and send its callback.

        Each event is set after the first attempt of one callback.
        """
        self._lifecycles[id(task)].cancel()
        self.end(task, failure)
        return self.send_callback(task)

    def send_callback(self, task: Task, state: str | None = None) -> list[asyncio.Event]:
        faults = self.faults.select("callback", task.order, task.id)
        body = task.body(self.clock.now(), state)
        return self.callbacks.send(task, body, faults, self.settings)

    def resend_callback(self, task: Task) -> None:
        """Act as PoYo's "Retry Callback" button: send the current status once, without faults."""
        body = task.body(self.clock.now())
        self.callbacks.send(task, body, [], self.settings, variant="manual")

    def file_is_available(self, task: Task) -> bool:
        age_s = self.clock.now() - (task.ended if task.ended is not None else math.inf)
        return task.state == FINISHED and age_s < self.settings.file_hours * 3600


SIMULATOR = web.AppKey("simulator", Simulator)
