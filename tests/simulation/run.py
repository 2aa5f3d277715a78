"""One seed, from the first order until everything is quiet."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO, cast

from imagetasks import telemetry
from imagetasks.workflows.receive_callback import CallbackRequest
from tests.simulation.attackers import Visitors
from tests.simulation.bucket import SimulatedBucket, SimulatedDownloads
from tests.simulation.callbacks import Announcer
from tests.simulation.clients import Client
from tests.simulation.coverage import POINTS
from tests.simulation.functions import Functions
from tests.simulation.invariants import Promises
from tests.simulation.list_readers import Browser
from tests.simulation.process import Broken, Line
from tests.simulation.queue import Message, SimulatedQueue
from tests.simulation.receivers import SimulatedDeliveries
from tests.simulation.sandbox import Wires
from tests.simulation.scenario import draw
from tests.simulation.scheduler import BEGIN_MS, HOUR_MS, MINUTE_MS, World
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.table import SimulatedTable
from tests.simulation.upstream import SimulatedPoyo
from tests.simulation.upstream_ledger import Ledger

LONGEST_CALM_MS = 5 * 24 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a seed came to; `broken` names the promise that did not hold."""

    seed: int
    broken: str | None
    lifecycles: int
    counts: Counter[tuple[str, str]]
    story: list[Line]

    @property
    def digest(self) -> str:
        """SHA-256 of the whole story."""
        return hashlib.sha256(repr(self.story).encode()).hexdigest()


def play(seed: int, *, lies: bool = False, telling: bool = False) -> Result:
    """Play one seed; everything in it follows from the number."""
    chance = random.Random(f"imagetasks {seed}")  # noqa: S311 - a story, not a secret
    world = World(plan=draw(chance, POINTS, lies=lies), chance=chance, telling=telling)
    stage = _Stage(world)
    broken = None
    with _listening(stage.overheard):
        try:
            stage.play()
        except Broken as promise:
            broken = str(promise)
    tasks = sum(pk.startswith("task#") for pk in stage.table.kept.all)
    return Result(seed=seed, broken=broken, lifecycles=tasks, counts=world.counts, story=world.told)


class _Stage:
    """All wires, functions, clients and visitors of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bucket = SimulatedBucket(world)
        self.queue = SimulatedQueue(world)
        self.secrets = SimulatedSecrets(world)
        self.announcer = Announcer(world, self._knock)
        self.ledger = Ledger(world, self.announcer)
        self.promises = Promises(world, self.ledger, self.bucket, self.secrets)
        self.table = SimulatedTable(world, self.promises.written)
        self.promises.rows = self.table.kept.all
        self.poyo = SimulatedPoyo(world, self.ledger, self.secrets, self.promises.posted)
        downloads = SimulatedDownloads(world, self.ledger.serve, self.ledger.spoilt)
        telling = self.promises.telling
        wires = Wires(
            table=self.table,
            queue=self.queue,
            bucket=self.bucket,
            downloads=downloads,
            deliveries=SimulatedDeliveries(world, telling.posting, telling.taken),
            secrets=self.secrets,
            poyo=self.poyo,
        )
        self.functions = Functions(world, wires)
        self.queue.deliver = self._deliver
        self.visitors = Visitors(world, self.functions, self.ledger, self.secrets)

    def play(self) -> None:
        """Chaos first, then calm until nothing is left to do."""
        world, plan = self.world, self.world.plan
        self._invite()
        world.run(BEGIN_MS + plan.chaos_ms)
        world.calm_at = world.now
        world.tell("world", "is calm from here on")
        self.queue.redrive()
        limit = world.now + LONGEST_CALM_MS
        while not self._quiet() and world.now < limit:
            world.run(min(limit, world.next_at() or limit))
        self.promises.end()

    def _invite(self) -> None:
        """Everything that will happen by itself."""
        world, plan, chance = self.world, self.world.plan, self.world.chance
        for n in range(plan.orders):
            name = f"owner{n % 2}/key{n // 2}"
            client = Client(world, self.functions, self.promises, name)
            world.at(self._some_time(0.02 if plan.at_once else 0.7), client.begin)
        for _ in range(plan.browsers):
            world.at(self._some_time(), Browser(world, self.functions, self.promises).begin)
        for _ in range(plan.strangers):
            world.at(self._some_time(), self.visitors.stranger)
            world.at(self._some_time(), self.visitors.leak)
        for _ in range(plan.rotations):
            rotate = partial(self.secrets.rotate_poyo, overlap_s=chance.choice((0, 2, 900)))
            world.at(self._some_time(), rotate)
            world.at(self._some_time(), self.secrets.rotate_callback)
        if chance.random() < 0.5:
            world.at(self._some_time(), self.queue.redrive)
        world.at(BEGIN_MS + MINUTE_MS, self._minute)

    def _some_time(self, share: float = 1.0) -> int:
        return BEGIN_MS + self.world.chance.randrange(round(self.world.plan.chaos_ms * share) + 1)

    def _minute(self) -> None:
        """The schedule rings every minute; now and then not at all, now and then twice."""
        world = self.world
        due_at = self.table.next_due()
        awake_at = world.now + MINUTE_MS
        if due_at is None or due_at > world.now + world.plan.skew_ms:
            # A sweep would find nothing before that, nor before something else happens.
            due_at = due_at or world.now + HOUR_MS
            idle_ms = min(due_at - world.plan.skew_ms, world.next_at() or due_at) - world.now
            awake_at += max(0, idle_ms // MINUTE_MS) * MINUTE_MS
        else:
            times = 1
            if not world.calm and world.chance.random() < 0.1:
                times = world.chance.choice((0, 2))
                world.counts["event", "two_sweeps" if times else "sweep_skipped"] += 1
            for _ in range(times):
                self.functions.sweep()
        world.at(awake_at, self._minute)

    def _quiet(self) -> bool:
        """Nothing is to happen but the next minute, and nothing is on the to-do list."""
        return self.world.pending == 1 and self.table.next_due() is None

    def _knock(
        self, actor: str, callback: CallbackRequest, answered: Callable[[bool], None]
    ) -> None:
        self.world.tell(actor, "calls back")
        self.functions.webhook(callback, lambda _, end: answered(end.value is True))

    def _deliver(self, message: Message, done: Callable[[bool], None]) -> None:
        if message.receives == 1 and not message.redriven:
            self.promises.rung(str(json.loads(message.body)["task_id"]))
        self.functions.worker(message, done)

    def overheard(self, text: str) -> None:
        """A log line: no prompt, key, capability or URL may be in it."""
        secrets = ("CANARY", "https://", "/callbacks/", *self.poyo.macs)
        found = next((each for each in secrets if each in text), None)
        if found:
            raise Broken(f"nothing secret is logged: {found} in {text.strip()[:300]}")


class _Ear:
    """A stream that hands on what is written to it."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self.write = hear

    def flush(self) -> None:
        """Nothing is kept back."""


@contextmanager
def _listening(hear: Callable[[str], None]) -> Iterator[None]:
    """What the real logger and the metrics write goes to `hear` instead of to the terminal."""
    handler = cast("logging.StreamHandler[Any]", telemetry.log.registered_handler)
    ear = _Ear(hear)
    before = handler.setStream(ear)
    try:
        with redirect_stdout(cast("TextIO", ear)):
            yield
    finally:
        handler.setStream(before)
