"""The clients: they order, click twice, lose the answer, come back with the same key."""

from __future__ import annotations

from decimal import Decimal

from imagetasks.errors import IdempotencyKeyReused, TaskNotFound
from imagetasks.tasks.task import derive_task_id
from imagetasks.workflows.submit import Order
from tests.simulation.functions import Functions
from tests.simulation.invariants import Invariants
from tests.simulation.process import InvariantViolated, OnEnd, Process, ProcessResult
from tests.simulation.receivers import NOTIFICATION_URLS
from tests.simulation.scheduler import Simulator

ORIGIN = "https://ours.invalid"


class Client:
    """One who wants one image; `name` is the order's name: owner and idempotency key."""

    def __init__(
        self, simulator: Simulator, functions: Functions, invariants: Invariants, name: str
    ) -> None:
        self.name = name
        self.owner, _, self.key = name.partition("/")
        self.task_id = derive_task_id(self.owner, self.key)
        self.notification_url = (
            NOTIFICATION_URLS + name
            if simulator.rng.random() < simulator.scenario.notified_share
            else None
        )
        self.tries = 0
        self.accepted_bodies: set[str] = set()
        self.task_ids: set[str] = set()
        self.sent_bodies: set[str] = set()
        self._simulator = simulator
        self._functions = functions
        self._invariants = invariants

    def begin(self) -> None:
        """Order, and perhaps again at once, later, or with another body."""
        rng = self._simulator.rng
        self.submit()
        if rng.random() < 0.25:
            self._simulator.after(rng.choice((0, 0, 0.05, 1, 8)), self.submit)
        if rng.random() < 0.15:
            self._simulator.after(rng.choice((5, 300, 7200)), self.submit)
        if rng.random() < 0.1:
            self._simulator.after(rng.choice((0.5, 60, 7200)), lambda: self.submit("other"))
        if rng.random() < 0.3:
            self._simulator.after(rng.choice((0.1, 30, 600)), self.get)
        if rng.random() < self._simulator.scenario.deleted_share:
            wait_s = rng.choice((0.1, 2, 5, 20, 60, 200, 900, 4000)) * rng.uniform(0.5, 1.5)
            self._simulator.after(wait_s, self.delete)
            self._simulator.after(wait_s + rng.choice((0, 0.2, 60, 4000)), self.act_after_deletion)

    def submit(self, variant: str = "first") -> None:
        """One request."""
        self.tries += 1
        self._record("orders", f"{self.task_id[:6]}, {variant} body")
        self.sent_bodies.add(variant)
        on_end: OnEnd = lambda process, result: self._on_response(variant, process, result)  # noqa: E731
        self._functions.submit(self.order(variant), on_end)

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
            notification_url=self.notification_url,
        )

    def get(self) -> None:
        """Look at the task, and perhaps wait for a change of its status."""
        wait_s, requested_at = self._simulator.rng.choice((0, 5, 20)), self._simulator.now

        def on_end(process: Process, result: ProcessResult) -> None:
            if process.effects.count("table.get") > wait_s + 2:
                raise InvariantViolated(f"a wait ends: {self.name}")
            if result.value:
                self._invariants.deletions.check_shown(self.task_id, requested_at)

        self._functions.get(self.owner, self.task_id, wait_s, on_end)

    def delete(self, tries: int = 1) -> None:
        """Delete the task, whatever it is doing; ask again when the answer is not heard."""
        self._record("deletes", self.task_id[:6])
        there = self._invariants.created.get(self.task_id) is not None

        def on_end(process: Process, result: ProcessResult) -> None:
            if there and isinstance(result.error, TaskNotFound):
                raise InvariantViolated(f"an owner finds his task: {self.name}")
            if result.value and self.task_id not in self._invariants.deletions.states:
                raise InvariantViolated(f"deleted means deleted: {self.name}")
            if not result.value and not isinstance(result.error, TaskNotFound) and tries < 6:
                wait_s = self._simulator.rng.choice((0.1, 2, 60))
                self._simulator.after(wait_s, lambda: self.delete(tries + 1))

        self._functions.delete(self.owner, self.task_id, on_end)

    def act_after_deletion(self) -> None:
        """What one may do who does not know that it is deleted, or does not want to."""
        rng = self._simulator.rng
        rng.choice((self.delete, self.delete, self.submit, self.get, self.delete_as_other_owner))()

    def delete_as_other_owner(self) -> None:
        """Somebody else deletes it: for him there is no such task."""

        def on_end(process: Process, result: ProcessResult) -> None:
            if result.value:
                raise InvariantViolated(f"nobody deletes what is another's: {self.name}")

        self._functions.delete("owner0/somebody", self.task_id, on_end)

    def _on_response(self, variant: str, process: Process, result: ProcessResult) -> None:
        if isinstance(result.error, IdempotencyKeyReused):
            self._simulator.counts["event", "key_reused"] += 1
            if len(self.sent_bodies) < 2:
                raise InvariantViolated(f"a key is its owner's own: {self.name}")
            return
        if result.value:
            self._check(variant, result)
            self._simulator.counts["event", "deleted_task_ordered_again"] += (
                result.value.deleted_before
            )
            created_here = result.value.task.task_id in process.created
            if created_here and result.value.replayed and result.value.task.deleted_at is None:
                raise InvariantViolated(f"who writes the row submits it: {self.name}")
        elif self.tries < 5 and self._simulator.rng.random() < 0.8:
            wait_s = self._simulator.rng.choice((0.2, 3, 40))
            self._simulator.after(wait_s, lambda: self.submit(variant))

    def _check(self, variant: str, result: ProcessResult) -> None:
        """Every answer is about the one task of this order, and one body owns the key."""
        if result.value.deleted_before and result.value.task.input:
            raise InvariantViolated(f"deleted means gone: {self.name} was shown its order")
        self.task_ids.add(result.value.task.task_id)
        if len(self.task_ids) > 1:
            raise InvariantViolated(f"two tasks for one key: {self.name}")
        self.accepted_bodies.add(variant)
        if len(self.accepted_bodies) > 1:
            raise InvariantViolated(f"two bodies under one key: {self.name}")

    def _record(self, what: str, outcome: str) -> None:
        self._simulator.record(f"client {self.name}", what, outcome)
