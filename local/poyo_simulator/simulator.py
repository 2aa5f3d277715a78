"""Everything this PoYo knows, and the life of its tasks from begin to end."""

import asyncio
import math
import secrets

from aiohttp import web

from local.poyo_simulator.account import Account
from local.poyo_simulator.callbacks import Callbacks, Crew
from local.poyo_simulator.clock import Clock
from local.poyo_simulator.event_log import Journal
from local.poyo_simulator.fault_rules import Rules
from local.poyo_simulator.images import Gallery
from local.poyo_simulator.orders import Order
from local.poyo_simulator.seeded_random import dice
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.task_faults import TASK_FAULTS
from local.poyo_simulator.tasks import FAILED, FINISHED, RUNNING, Book, Task

WAITING_SHARE = 0.2


class World:
    """One PoYo; ``reset`` makes it as new without giving up its port."""

    def __init__(self, settings: Settings, clock: Clock, seed: str | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.origin = ""
        self._first_settings, self._first_speed = settings, clock.speed
        self._asked_seed = seed
        self.crew = Crew()
        self._start()

    def _start(self) -> None:
        self.seed = self._asked_seed or secrets.token_hex(4)
        self.journal = Journal(self.clock)
        self.rules = Rules(self.seed)
        self.book = Book(self.seed)
        self.account = Account(self.clock)
        self.gallery = Gallery()
        self.callbacks = Callbacks(self.clock, self.journal, self.crew)
        self._lives: dict[int, asyncio.Task[object]] = {}

    async def reset(self) -> None:
        """Forgets tasks, events, rules, changed settings and the clock's lead."""
        await self.close()
        self.settings = self._first_settings
        self.clock.restart(speed=self._first_speed)
        self._start()

    async def close(self) -> None:
        self.crew.stop()
        self.gallery.close()
        await self.callbacks.close()

    def accept(self, order: Order) -> tuple[Task, list[str]]:
        """The paid-for task of an order and the faults it was born with."""
        self.account.pay(order.credits, self.settings)
        task = self._new_task(order)
        uses = self.rules.strike("task", order, task.id)
        for use in uses:
            TASK_FAULTS[use.fault](task, use, self.book)
        self.account.pay(task.credits - order.credits, self.settings)
        self.book.add(task)
        self._lives[id(task)] = self.crew.start(self._live(task))
        return task, [use.fault for use in uses]

    def _new_task(self, order: Order) -> Task:
        task_id = self.book.new_id(order)
        now = self.clock.now()
        lasts = dice(self.seed, task_id).uniform(*self.settings.seconds)
        return Task(
            id=task_id,
            order=order,
            created=now,
            begins=now + WAITING_SHARE * lasts,
            ends=now + lasts,
            origin=self.origin,
            credits=order.credits,
        )

    async def _live(self, task: Task) -> None:
        await self.clock.sleep_until(task.begins)
        task.state = RUNNING
        self.journal.add("task", task.id, RUNNING)
        await self.clock.sleep_until(task.ends)
        if not task.rings_early_s:
            self.end(task)
            self.ring(task)
            return
        self.ring(task, saying=FINISHED)
        await self.clock.sleep(task.rings_early_s)
        self.end(task)

    def end(self, task: Task, failure: str | None = None) -> None:
        """Finishes the task, or fails it when it was meant to fail or has to."""
        task.error_message = failure or task.fails_with
        task.state = FAILED if task.error_message else FINISHED
        task.ended = self.clock.now()
        if task.state == FAILED:
            self.account.give_back(task.credits)
        self.journal.add("task", task.id, task.state)

    def end_now(self, task: Task, failure: str | None = None) -> list[asyncio.Event]:
        """Ends an open task before its time and rings; the events tell of first answers."""
        self._lives[id(task)].cancel()
        self.end(task, failure)
        return self.ring(task)

    def ring(self, task: Task, saying: str | None = None) -> list[asyncio.Event]:
        uses = self.rules.strike("callback", task.order, task.id)
        told = task.told(self.clock.now(), saying)
        return self.callbacks.ring(task, told, uses, self.settings)

    def ring_again(self, task: Task) -> None:
        """The "Retry Callback" button: the truth as it is now, once more and without faults."""
        self.callbacks.ring(task, task.told(self.clock.now()), [], self.settings, kind="by hand")

    def file_is_kept(self, task: Task) -> bool:
        age_s = self.clock.now() - (task.ended if task.ended is not None else math.inf)
        return task.state == FINISHED and age_s < self.settings.file_hours * 3600


WORLD = web.AppKey("world", World)
