"""The clients: they order, click twice, lose the answer, come back with the same key."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from imagetasks.errors import IdempotencyKeyReused, TaskNotFound
from imagetasks.tasks.task import derive_task_id
from imagetasks.workflows.submit import Order
from tests.simulation.functions import Functions
from tests.simulation.invariants import Promises
from tests.simulation.process import Broken, End, Process
from tests.simulation.receivers import HOOKS
from tests.simulation.scheduler import World

Ended = Callable[[Process, End], None]
ORIGIN = "https://ours.invalid"


class Client:
    """One who wants one image; `name` is the order's name: owner and idempotency key."""

    def __init__(self, world: World, functions: Functions, promises: Promises, name: str) -> None:
        self.name = name
        self.owner, _, self.key = name.partition("/")
        self.task_id = derive_task_id(self.owner, self.key)
        self.hook = HOOKS + name if world.chance.random() < world.plan.notified else None
        self.tries = 0
        self.told: set[str] = set()
        self.task_ids: set[str] = set()
        self.bodies: set[str] = set()
        self._world = world
        self._functions = functions
        self._promises = promises

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
        if chance.random() < 0.3:
            self._world.after(chance.choice((0.1, 30, 600)), self.read)
        if chance.random() < self._world.plan.deleted:
            wait_s = chance.choice((0.1, 2, 5, 20, 60, 200, 900, 4000)) * chance.uniform(0.5, 1.5)
            self._world.after(wait_s, self.delete)
            self._world.after(wait_s + chance.choice((0, 0.2, 60, 4000)), self.afterwards)

    def call(self, variant: str = "first") -> None:
        """One request."""
        self.tries += 1
        self._tell("orders", f"{self.task_id[:6]}, {variant} body")
        self.bodies.add(variant)
        answered: Ended = lambda process, end: self._answered(variant, process, end)  # noqa: E731
        self._functions.api(self.order(variant), answered)

    def order(self, variant: str) -> Order:
        """The order; its prompt tells PoYo's ledger whose it is."""
        return Order(
            owner=self.owner,
            idempotency_key=self.key,
            model="gpt-image-2",
            input={"prompt": f"CANARY-prompt {self.name}", "quality": "low", "size": "auto"},
            metadata={"variant": variant},
            estimated_credits=Decimal(2),
            public_base_url=ORIGIN,
            notification_url=self.hook,
        )

    def read(self) -> None:
        """Look at the task, and perhaps wait for a change of its status."""
        wait_s, asked_at = self._world.chance.choice((0, 5, 20)), self._world.now

        def answered(process: Process, end: End) -> None:
            if process.effects.count("table.get") > wait_s + 2:
                raise Broken(f"a wait ends: {self.name}")
            if end.value:
                self._promises.deleting.shown(self.task_id, asked_at)

        self._functions.read(self.owner, self.task_id, wait_s, answered)

    def delete(self, tries: int = 1) -> None:
        """Delete the task, whatever it is doing; ask again when the answer is not heard."""
        self._tell("deletes", self.task_id[:6])
        there = self._promises.created.get(self.task_id) is not None

        def answered(process: Process, end: End) -> None:
            if there and isinstance(end.error, TaskNotFound):
                raise Broken(f"an owner finds his task: {self.name}")
            if end.value and self.task_id not in self._promises.deleting.states:
                raise Broken(f"deleted means deleted: {self.name}")
            if not end.value and not isinstance(end.error, TaskNotFound) and tries < 6:
                wait_s = self._world.chance.choice((0.1, 2, 60))
                self._world.after(wait_s, lambda: self.delete(tries + 1))

        self._functions.delete(self.owner, self.task_id, answered)

    def afterwards(self) -> None:
        """What one may do who does not know that it is deleted, or does not want to."""
        chance = self._world.chance
        chance.choice((self.delete, self.delete, self.call, self.read, self.trespass))()

    def trespass(self) -> None:
        """Somebody else deletes it: for him there is no such task."""

        def answered(process: Process, end: End) -> None:
            if end.value:
                raise Broken(f"nobody deletes what is another's: {self.name}")

        self._functions.delete("owner0/somebody", self.task_id, answered)

    def _answered(self, variant: str, process: Process, end: End) -> None:
        if isinstance(end.error, IdempotencyKeyReused):
            self._world.counts["event", "key_reused"] += 1
            if len(self.bodies) < 2:
                raise Broken(f"a key is its owner's own: {self.name}")
            return
        if end.value:
            self._check(variant, end)
            self._world.counts["event", "order_of_deleted"] += end.value.deleted_before
            mine = end.value.task.task_id in process.created
            if mine and end.value.replayed and end.value.task.deleted_at is None:
                raise Broken(f"who writes the row submits it: {self.name}")
        elif self.tries < 5 and self._world.chance.random() < 0.8:
            wait_s = self._world.chance.choice((0.2, 3, 40))
            self._world.after(wait_s, lambda: self.call(variant))

    def _check(self, variant: str, end: End) -> None:
        """Every answer is about the one task of this order, and one body owns the key."""
        if end.value.deleted_before and end.value.task.input:
            raise Broken(f"deleted means gone: {self.name} was shown its order")
        self.task_ids.add(end.value.task.task_id)
        if len(self.task_ids) > 1:
            raise Broken(f"two tasks for one key: {self.name}")
        self.told.add(variant)
        if len(self.told) > 1:
            raise Broken(f"two bodies under one key: {self.name}")

    def _tell(self, what: str, outcome: str) -> None:
        self._world.tell(f"client {self.name}", what, outcome)
