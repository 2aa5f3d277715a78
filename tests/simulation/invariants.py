"""The invariants, stated independently of the product: checked at every write and at the end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imagetasks.tasks.conditional_write import Item, PutItem, UpdateItem
from tests.simulation.bucket import SimulatedBucket
from tests.simulation.deletion_invariants import DeletionInvariants
from tests.simulation.notification_invariants import NotificationInvariants
from tests.simulation.process import InvariantViolated, Process, require
from tests.simulation.result_invariants import ResultInvariants
from tests.simulation.scheduler import HOUR_MS, Simulator
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.spending_invariants import SpendingInvariants
from tests.simulation.transition_invariants import brief, check_transition
from tests.simulation.upstream_ledger import Ledger

MAY_SUBMIT_AGAIN = {"retryable"}  # PoYo answered 429, or 401 to a key that was rotated just then
MAX_SUBMITS = 30  # of one order
MAX_MESSAGES_PER_HOUR = 150  # for one task; a message is duplicated on send and on delivery


class Invariants:
    """Raises InvariantViolated at the first write or request that violates an invariant."""

    def __init__(
        self,
        simulator: Simulator,
        ledger: Ledger,
        bucket: SimulatedBucket,
        secrets: SimulatedSecrets,
    ) -> None:
        self.items: dict[str, dict[str, Any]]  # the table's, by pk
        self.created: dict[str, tuple[str, int]] = {}  # each task's owner and when it was created
        self.notifications = NotificationInvariants(simulator, secrets)
        self.deletions = DeletionInvariants(simulator, bucket)
        self.results = ResultInvariants(simulator, ledger, bucket)
        self.spending = SpendingInvariants(simulator, ledger)
        self.results.settled = self.spending.settled
        self._orders: dict[str, str] = {}
        self._called_back: set[str] = set()  # ids of the tasks of which a worker heard a callback
        self._claims: dict[str, Process] = {}  # which process has to send the task's submit
        self._messages: Counter[tuple[str, int]] = Counter()
        self._simulator = simulator
        self._ledger = ledger
        self._secrets = secrets

    def check_write(self, old: Item, new: Item, _: PutItem | UpdateItem) -> None:
        """Check one write to the table; `old` is {} for a new item."""
        self.spending.check_write(old, new)
        if new["pk"].startswith("poyo#"):
            self._check_poyo_id(old, new)
        elif new["pk"].startswith("task#"):
            self._check_task(old, new)

    def _check_poyo_id(self, old: Item, new: Item) -> None:
        unchanged = "task_id" not in old or old["task_id"] == new["task_id"]
        require(unchanged, "a PoYo id belongs to one task", brief(new))
        created = [task for task in self._ledger.tasks if new["pk"] == f"poyo#{task.poyo_id}"]
        if "task_id" not in new:
            return
        own = any(task.task_id == new["task_id"] for task in created)
        for task in created:
            task.confirmed = True
            # Named for this task alone after PoYo had ended it, or had said so twice: no client can decide
            # whose it is then.
            ended = task.ended(self._simulator.now) or task.false_failures > 1
            undecidable = task.named_wrongly and ended
            undecidable = undecidable and old.get("named_by") == new["task_id"]
            require(own or undecidable, "no task gets another one's PoYo id", brief(new))
            self._simulator.counts["event", "id_taken"] += not own

    def _check_task(self, old: Item, new: Item) -> None:
        if not old:
            self._register(new)
        check_transition(old, new)
        self.notifications.check_write(old, new)
        self.deletions.check_write(old, new)
        before, after, shown = old.get("state", ""), new["state"], brief(new)
        if before != after == "failed":
            self._simulator.counts["reason", new["reason"]] += 1
        kept = not old.get("poyo_id") or old["poyo_id"] == new.get("poyo_id")
        require(kept, "a confirmed PoYo id never changes", shown)
        if self._simulator.process.operation == "sweep":
            require(new["due_at"] > old["due_at"], "a claim moves due_at forward", shown)
            kept = new["due_since"] == old["due_since"]
            require(kept, "a claim leaves the instant that lateness counts from", shown)
        retried = before == "pending" and after == "submitting"
        self._end_claim(new["task_id"])
        if before != after == "submitting":
            self._claims[new["task_id"]] = self._simulator.process
            self._simulator.process.claimed.add(new["task_id"])
        heard = new["task_id"] in self._called_back or "callback_at" in old
        heard = heard or "candidate_poyo_ids" in old
        require(not (retried and heard), "no submit begins after a callback was heard", shown)
        attempt = int(old.get("attempt", 1)) + retried
        require(int(new["attempt"]) == attempt, "attempt counts the submissions", shown)
        past = list(old.get("history", []))
        require(new["history"][: len(past)] == past, "history is append-only", shown)
        if after == "finished":
            self.results.check_stored_images(new)
        if before == "submitting" and after == "failed" and new["reason"] == "unavailable":
            used_old_key = self._orders[new["task_id"]] in self._ledger.outdated_key_orders
            require(
                not used_old_key or bool(self._secrets.failed),
                "a key rotation fails no task",
                shown,
            )

    def _register(self, new: Item) -> None:
        task_id = str(new["task_id"])
        self._simulator.process.created.add(task_id)
        self.created[task_id] = (str(new["owner"]), self._simulator.now)
        self._orders[task_id] = new["input"]["prompt"].removeprefix("CANARY-prompt ")

    def check_submit(self, order: str, task_id: str) -> None:
        """Check a submit at PoYo: the task is stored and no earlier submit may have created one."""
        item = self.items.get(f"task#{task_id}")
        if item is None or self._orders[task_id] != order:
            raise InvariantViolated(f"a task is stored before it is submitted: {order}")
        self._end_claim(task_id)
        earlier = self._ledger.outcomes(order)
        if not set(earlier) <= MAY_SUBMIT_AGAIN:
            raise InvariantViolated(f"paid once: {order} was submitted again after {earlier}")
        if len(earlier) > MAX_SUBMITS:
            raise InvariantViolated(f"submits are bounded: {len(earlier)} of {order}")

    def _end_claim(self, task_id: str) -> None:
        """The submit is sent, or the task was written again: a write that was not answered is not known as
        one's own any more."""
        if process := self._claims.pop(task_id, None):
            process.claimed.discard(task_id)

    def on_callback_heard(self, task_id: str) -> None:
        """A worker has processed a callback, or another message with a PoYo id, of the task."""
        self._called_back.add(task_id)

    def on_message(self, task_id: str) -> None:
        """Count a task message that is received for the first time."""
        hour = self._simulator.now // HOUR_MS
        self._messages[task_id, hour] += 1
        if self._messages[task_id, hour] > MAX_MESSAGES_PER_HOUR:
            limit = f"{MAX_MESSAGES_PER_HOUR} in an hour for {task_id}"
            raise InvariantViolated(f"task messages are bounded: more than {limit}")

    def check_end(self) -> None:
        """Check every task after the run, when no work is left."""
        owners: Counter[str] = Counter()
        for item in self.items.values():
            if not item["pk"].startswith("task#"):
                continue
            ended = item["state"] in ("finished", "failed")
            require(ended, "every accepted task ends", brief(item))
            require("due_at" not in item, "no task is due after the run", brief(item))
            self.notifications.check_end(item)
            self.deletions.check_end(item)
            owners[item.get("poyo_id", item["pk"])] += 1
            if item["state"] == "finished":
                self.results.check_stored_images(item)
        duplicates = [each for each, n in owners.items() if n > 1]
        require(not duplicates, "a PoYo id belongs to one task", duplicates)
        for task in self._ledger.tasks:
            self.results.check_paid_image(task, self.items[f"task#{task.task_id}"])
