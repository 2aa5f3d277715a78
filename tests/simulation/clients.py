"""The clients: they order, click twice, lose the answer, come back with the same key."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from imagetasks.errors import KeyReused
from imagetasks.submit import Order
from imagetasks.task import derive_task_id
from tests.simulation.functions import Functions
from tests.simulation.process import Broken, End, Process
from tests.simulation.schedule import World

Ended = Callable[[Process, End], None]
ORIGIN = "https://ours.invalid"


class Client:
    """One who wants one image; `name` is the order's name: owner and idempotency key."""

    def __init__(self, world: World, functions: Functions, name: str) -> None:
        self.name = name
        self.tries = 0
        self.told: set[str] = set()
        self.task_ids: set[str] = set()
        self.bodies: set[str] = set()
        self._world = world
        self._functions = functions

    def begin(self) -> None:
        """Order, and perhaps again at once, later, or with another body."""
        chance = self._world.chance
        self.call()
        if chance.random() < 0.25:
            self._world.after(chance.choice((0, 0, 0.05, 1, 8)), self.call)
        if chance.random() < 0.15:
            self._world.after(chance.choice((5, 300, 7200)), self.call)
        if chance.random() < 0.1:
            self._world.after(chance.choice((0.5, 60, 7200)), lambda: self.call("other"))

    def call(self, variant: str = "first") -> None:
        """One request."""
        self.tries += 1
        task_id = derive_task_id(*self.name.split("/"))
        self._world.tell(f"client {self.name}", "orders", f"{task_id[:6]}, {variant} body")
        self.bodies.add(variant)
        answered: Ended = lambda process, end: self._answered(variant, process, end)  # noqa: E731
        self._functions.api(self.order(variant), answered)

    def order(self, variant: str) -> Order:
        """The order; its prompt tells PoYo's ledger whose it is."""
        owner, _, key = self.name.partition("/")
        return Order(
            owner=owner,
            idempotency_key=key,
            model="gpt-image-2",
            input={"prompt": f"CANARY-prompt {self.name}", "quality": "low", "size": "auto"},
            metadata={"variant": variant},
            estimate=Decimal(2),
            origin=ORIGIN,
        )

    def _answered(self, variant: str, process: Process, end: End) -> None:
        if isinstance(end.error, KeyReused):
            self._world.counts["event", "key_reused"] += 1
            if len(self.bodies) < 2:
                raise Broken(f"a key is its owner's own: {self.name}")
            return
        if end.value:
            self._check(variant, end)
            if end.value.replayed and end.value.task.task_id in process.created:
                raise Broken(f"who writes the row submits it: {self.name}")
        elif self.tries < 5 and self._world.chance.random() < 0.8:
            wait_s = self._world.chance.choice((0.2, 3, 40))
            self._world.after(wait_s, lambda: self.call(variant))

    def _check(self, variant: str, end: End) -> None:
        """Every answer is about the one task of this order, and one body owns the key."""
        self.task_ids.add(end.value.task.task_id)
        if len(self.task_ids) > 1:
            raise Broken(f"two tasks for one key: {self.name}")
        self.told.add(variant)
        if len(self.told) > 1:
            raise Broken(f"two bodies under one key: {self.name}")
