"""Clients that order, repeat an order, lose a response and retry, read and delete."""

from __future__ import annotations

from imagetasks.errors import (
    BudgetExhausted,
    IdempotencyKeyReused,
    OrdersPaused,
    TaskDeleted,
    TaskNotFound,
)
from imagetasks.tasks.task import derive_task_id, fingerprint
from imagetasks.workflows.order import Order
from tests.simulation.functions import REFUSED, Functions, token_id_of
from tests.simulation.invariants import Invariants
from tests.simulation.process import InvariantViolated, Process, ProcessResult
from tests.simulation.receivers import NOTIFICATION_URLS
from tests.simulation.scheduler import Simulator
from tests.simulation.upstream_ledger import estimate

PUBLIC_BASE_URL = "https://api.invalid"


class Client:
    """A client with one order; `name` is the order's owner and idempotency key."""

    def __init__(
        self, simulator: Simulator, functions: Functions, invariants: Invariants, name: str
    ) -> None:
        self.name = name
        self.owner, _, self.key = name.partition("/")
        self.task_id = derive_task_id(self.owner, self.key)
        notified = simulator.rng.random() < simulator.scenario.notified_share
        self.notification_url = NOTIFICATION_URLS + name if notified else None
        with_token = simulator.rng.random() < simulator.scenario.token_share
        self.token_id = token_id_of(self.owner) if with_token else None
        self.attempts = 0
        self.accepted_bodies: set[str] = set()
        self.task_ids: set[str] = set()
        self.sent_bodies: set[str] = set()
        self._simulator = simulator
        self._functions = functions
        self._invariants = invariants

    def begin(self) -> None:
        """Order once; with some probability also repeat, change, read and delete the order."""
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
        """Send the order with one of its two bodies."""
        self.attempts += 1
        self._record("orders", f"{self.task_id[:6]}, {variant} body")
        self.sent_bodies.add(variant)
        existed = self.task_id in self._invariants.created

        def on_end(process: Process, result: ProcessResult) -> None:
            self._on_response(variant, process, result, existed=existed)

        self._functions.submit(self.order(variant), self.token_id, on_end)

    def order(self, variant: str) -> Order:
        """The order; its prompt holds `name`, by which PoYo's ledger identifies it."""
        return Order(
            owner=self.owner,
            idempotency_key=self.key,
            fingerprint=fingerprint({"variant": variant}),
            model="gpt-image-2",
            input={"prompt": f"CANARY-prompt {self.name}", "quality": "low", "size": "auto"},
            metadata={"variant": variant},
            estimated_credits=estimate(self.name),
            public_base_url=PUBLIC_BASE_URL,
            notification_url=self.notification_url,
        )

    def get(self) -> None:
        """Read the task, with or without waiting for a change of its status."""
        wait_s, requested_at = self._simulator.rng.choice((0, 5, 20)), self._simulator.now

        def on_end(process: Process, result: ProcessResult) -> None:
            if process.effects.count("table.get") > wait_s + 2:
                raise InvariantViolated(
                    f"a waiting read reads the item about once a second: {self.name}"
                )
            if result.value:
                self._invariants.deletions.check_shown(self.task_id, requested_at)

        self._functions.get(self.owner, self.task_id, wait_s, on_end)

    def delete(self, attempt: int = 1) -> None:
        """Delete the task in whatever state it is; retry when no response comes."""
        self._record("deletes", self.task_id[:6])
        exists = self._invariants.created.get(self.task_id) is not None

        def on_end(process: Process, result: ProcessResult) -> None:
            if exists and isinstance(result.error, TaskNotFound):
                raise InvariantViolated(f"an owner can delete an existing task: {self.name}")
            if result.value and self.task_id not in self._invariants.deletions.states:
                raise InvariantViolated(f"a confirmed deletion is stored: {self.name}")
            if not result.value and not isinstance(result.error, TaskNotFound) and attempt < 6:
                wait_s = self._simulator.rng.choice((0.1, 2, 60))
                self._simulator.after(wait_s, lambda: self.delete(attempt + 1))

        self._functions.delete(self.owner, self.task_id, on_end)

    def act_after_deletion(self) -> None:
        """Send one more request for the deleted task."""
        rng = self._simulator.rng
        rng.choice((self.delete, self.delete, self.submit, self.get, self.delete_as_other_owner))()

    def delete_as_other_owner(self) -> None:
        """Delete the task as another owner, for whom it does not exist."""

        def on_end(process: Process, result: ProcessResult) -> None:
            if result.value:
                raise InvariantViolated(f"only the owner deletes a task: {self.name}")

        self._functions.delete("owner0/other", self.task_id, on_end)

    def _on_response(
        self, variant: str, process: Process, result: ProcessResult, *, existed: bool
    ) -> None:
        if isinstance(result.error, IdempotencyKeyReused):
            self._simulator.counts["event", "key_reused"] += 1
            if len(self.sent_bodies) < 2:
                raise InvariantViolated(
                    f"an idempotency key conflicts with its own owner's orders only: {self.name}"
                )
            return
        if isinstance(result.error, TaskDeleted):
            self._simulator.counts["event", "deleted_task_ordered_again"] += 1
            if self.task_id not in self._invariants.deletions.states:
                raise InvariantViolated(f"only a deleted task is called deleted: {self.name}")
            return
        if isinstance(result.error, REFUSED):
            self._simulator.counts["event", f"refused {type(result.error).__name__}"] += 1
        if isinstance(result.error, (BudgetExhausted, OrdersPaused)) and existed:
            raise InvariantViolated(f"an accepted order is not refused later: {self.name}")
        if result.value:
            self._check(variant, result)
            task, replayed = result.value.task, result.value.replayed
            if task.task_id in process.created and replayed and task.deleted_at is None:
                raise InvariantViolated(f"the process that stores a task submits it: {self.name}")
        elif self.attempts < 5 and self._simulator.rng.random() < 0.8:
            wait_s = self._simulator.rng.choice((0.2, 3, 40))
            self._simulator.after(wait_s, lambda: self.submit(variant))

    def _check(self, variant: str, result: ProcessResult) -> None:
        """Check that every response shows the one task of this order, created from one body."""
        self.task_ids.add(result.value.task.task_id)
        if len(self.task_ids) > 1:
            raise InvariantViolated(f"an idempotency key has one task: {self.name}")
        self.accepted_bodies.add(variant)
        if len(self.accepted_bodies) > 1:
            raise InvariantViolated(f"an idempotency key has one body: {self.name}")

    def _record(self, what: str, outcome: str) -> None:
        self._simulator.record(f"client {self.name}", what, outcome)
