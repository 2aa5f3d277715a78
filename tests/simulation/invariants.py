"""What must hold, said independently of the code: watched at every write, judged at the end."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from imagetasks.tasks.conditional_write import Item, PutItem, UpdateItem
from tests.simulation import upstream_responses
from tests.simulation.bucket import SimulatedBucket
from tests.simulation.deletion_invariants import DeletionInvariants
from tests.simulation.notification_invariants import NotificationInvariants
from tests.simulation.process import InvariantViolated
from tests.simulation.scheduler import HOUR_MS, Simulator
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.upstream_ledger import FAILURES, FILE_LIFE_MS, Ledger, PoyoTask

RECOVERABLE = {"unconfirmed", "timed_out", "result_expired"}
NEXT_STATES = {
    "": {"submitting"},
    "submitting": {"running", "pending", "unknown", "failed"},
    "pending": {"running", "submitting", "failed"},
    "unknown": {"running", "failed"},
    "running": {"finished", "failed"},
    "failed": {"running", "finished"},  # softly failed only
    "finished": set(),
}
"""DESIGN.md, section 4, written down once more: a change of the code's table does not change it."""
PUBLIC_STATUS = {
    "submitting": "not_started",
    "pending": "not_started",
    "unknown": "not_started",
} | {state: state for state in ("running", "finished", "failed")}
REASONS = {
    "submitting": {"rejected", "moderated", "insufficient_credits", "unavailable"},
    "pending": {"unavailable"},
    "unknown": {"unconfirmed"},
    "running": {"moderated", "upstream", "bad_result", "result_expired", "timed_out"},
}
FINAL_ATTRIBUTES = (
    "owner",
    "fingerprint",
    "created_at",
    "state",
    "reason",
    "poyo_id",
    "finished_at",
    "charged_credits",
)
MAY_SUBMIT_AGAIN = {"retryable"}  # PoYo said 429, or 401 to a key that was rotated just then
RECOVERY_MS = (
    3 * HOUR_MS
)  # the longest backoff (30 min), doubled, a claim, the clocks, and some more
DAY_MS = 24 * HOUR_MS
INVALID_RESULT_LIMIT = 5  # after so many results without a picture we may call it a bad one
NOT_FOUND_LIMIT = 6  # after so many 404s we may believe PoYo that it does not know its own id
MAX_SUBMITS = 30
MAX_MESSAGES_PER_HOUR = 150  # bells an hour, with every message doubled twice over


class Invariants:
    """Raises InvariantViolated at the first write or answer that breaks one."""

    def __init__(
        self,
        simulator: Simulator,
        ledger: Ledger,
        bucket: SimulatedBucket,
        secrets: SimulatedSecrets,
    ) -> None:
        self.items: dict[str, dict[str, Any]]
        self.created: dict[str, tuple[str, int]] = {}  # whose each task is, and since when
        self.notifications = NotificationInvariants(simulator, secrets)
        self.deletions = DeletionInvariants(simulator, bucket)
        self._orders: dict[str, str] = {}
        self._messages: Counter[tuple[str, int]] = Counter()
        self._simulator = simulator
        self._ledger = ledger
        self._bucket = bucket
        self._secrets = secrets

    def check_write(self, old: Item, new: Item, write: PutItem | UpdateItem) -> None:
        """A item changes: what it may become follows from what it was."""
        if new["pk"].startswith("poyo#"):
            _require(
                not old or old["task_id"] == new["task_id"], "a PoYo id belongs to one task", new
            )
            for task in self._ledger.tasks:
                task.confirmed = task.confirmed or new["pk"] == f"poyo#{task.poyo_id}"
            return
        if not new["pk"].startswith("task#"):
            return
        if not old:
            self._register(new)
        self._check_transition(old, new)
        self.notifications.check_write(old, new)
        self.deletions.check_write(old, new)
        before, after = old.get("state", ""), new["state"]
        _require(
            not old.get("poyo_id") or old["poyo_id"] == new.get("poyo_id"), "PoYo's id stays", new
        )
        if self._simulator.process.operation == "sweep":
            _require(new["due_at"] > old["due_at"], "a claim leaves the task to the worker", new)
        grown = before == "pending" and after == "submitting"
        first = int(old.get("attempt", 1))
        _require(int(new["attempt"]) == first + grown, "attempts are counted", new)
        past = list(old.get("history", []))
        _require(new["history"][: len(past)] == past, "history only grows", new)
        if after == "finished":
            self._check_images_stored(new)
        if before == "submitting" and after == "failed" and new["reason"] == "unavailable":
            order = self._orders[new["task_id"]]
            outdated_key_orders = (
                order in self._ledger.outdated_key_orders and not self._secrets.failed
            )
            _require(not outdated_key_orders, "a key rotated in time costs no task", new)

    def _register(self, new: Item) -> None:
        task_id = str(new["task_id"])
        self._simulator.process.created.add(task_id)
        self.created[task_id] = (str(new["owner"]), self._simulator.now)
        self._orders[task_id] = new["input"]["prompt"].removeprefix("CANARY-prompt ")

    def check_submit(self, order: str, task_id: str) -> None:
        """A submit arrives at PoYo: the item is there, and no earlier one may have made a task."""
        item = self.items.get(f"task#{task_id}")
        if item is None or self._orders[task_id] != order:
            raise InvariantViolated(f"intent before effect: a submit without a item, {order}")
        earlier = self._ledger.outcomes(order)
        if not set(earlier) <= MAY_SUBMIT_AGAIN:
            raise InvariantViolated(f"paid once: {order} was submitted again after {earlier}")
        if len(earlier) > MAX_SUBMITS:
            raise InvariantViolated(f"no storm: {len(earlier)} submits of {order}")

    def on_enqueued(self, task_id: str) -> None:
        """A bell rang for a task."""
        hour = self._simulator.now // HOUR_MS
        self._messages[task_id, hour] += 1
        if self._messages[task_id, hour] > MAX_MESSAGES_PER_HOUR:
            raise InvariantViolated(
                f"no storm: {MAX_MESSAGES_PER_HOUR} bells in an hour for {task_id}"
            )

    def check_end(self) -> None:
        """Everything is quiet: judge what has become of every task."""
        owners: Counter[str] = Counter()
        for item in self.items.values():
            if not item["pk"].startswith("task#"):
                continue
            _require(item["state"] in ("finished", "failed"), "every accepted task ends", item)
            _require("due_at" not in item, "what has ended is on no to-do list", item)
            self.notifications.check_end(item)
            self.deletions.check_end(item)
            owners[item.get("poyo_id", item["pk"])] += 1
            if item["state"] == "finished":
                self._check_images_stored(item)
        if [each for each, n in owners.items() if n > 1]:
            raise InvariantViolated("a PoYo id belongs to one task")
        for task in self._ledger.tasks:
            self._check_paid_image(task)

    def _check_transition(self, old: Item, new: Item) -> None:
        before, after = old.get("state", ""), new["state"]
        recoverable = before == "failed" and old["reason"] in RECOVERABLE
        final = before == "finished" or (before == "failed" and not recoverable)
        same = {name: old.get(name) for name in FINAL_ATTRIBUTES} == {
            name: new.get(name) for name in FINAL_ATTRIBUTES
        }
        _require(not final or same, "final is final", new)
        _require(
            old.get("charged_credits", new.get("charged_credits")) == new.get("charged_credits"),
            "money stays",
            new,
        )
        if before != after:
            _require(after in NEXT_STATES[before], f"a legal transition ({before} to {after})", new)
            if after == "failed":
                self._simulator.counts["reason", new["reason"]] += 1
                _require(new["reason"] in REASONS[before], f"a reason for {before}", new)
        elif recoverable:
            _require(new["reason"] == old["reason"], "soft failures only improve", new)
        listed = new.get("owner_status_key", f"{PUBLIC_STATUS[after]}#{new['owner']}")
        _require(listed == f"{PUBLIC_STATUS[after]}#{new['owner']}", "listed as what it is", new)
        ended = after == "finished" or (after == "failed" and new["reason"] not in RECOVERABLE)
        busy = "notification_attempts" in new or "deleted_at" in new
        _require(ended or after == "failed" or "due_at" in new, "an open task is on the list", new)
        ends = before != after and (ended or after == "failed")
        _require(not ends or ("due_at" in new) == busy, "what has ended is on no to-do list", new)
        _require(
            "notification_attempts" not in new or "due_at" in new,
            "what is to be answered is on the list",
            new,
        )
        _require(after != "running" or "poyo_id" in new, "running means known to PoYo", new)

    def _check_images_stored(self, item: Item) -> None:
        """`finished` means ours: every file lies in the bucket, with the hash the item says."""
        _require(bool(item["files"]) or "deleted_at" in item, "finished has files", item)
        if "deleted_at" in item:
            return
        for kept in item["files"]:
            stored = self._bucket.objects.get(kept["key"])
            digest = hashlib.sha256(stored.body).hexdigest() if stored else ""
            _require(digest == kept["sha256"], "finished means that the image is ours", item)

    def _check_paid_image(self, task: PoyoTask) -> None:
        """What PoYo finished and kept for long enough is finished here, the same bytes."""
        item = self.items[f"task#{task.task_id}"]
        if not self._is_recoverable(task, item):
            return
        self._simulator.counts["event", "image_recoverable"] += 1
        _require(item["state"] == "finished", f"nothing paid is lost ({task.poyo_id})", item)
        _require(
            item["charged_credits"] in task.reported_credits,
            f"charged as PoYo says ({task.reported_credits})",
            item,
        )
        if "deleted_at" in item:
            self._simulator.counts["event", "deleted_task_charged"] += 1
            return
        bodies = [self._bucket.objects[kept["key"]].body for kept in item["files"]]
        same = len(bodies) == len(task.urls) and all(
            body in (upstream_responses.png(url), upstream_responses.png(f"{url} re-encoded"))
            for body, url in zip(bodies, task.urls, strict=True)
        )
        _require(same, "the image is the one that PoYo made", item)

    def _is_recoverable(self, task: PoyoTask, item: Item) -> bool:
        """Whether we had every rng to get this image."""
        confirmed = item.get("poyo_id") == task.poyo_id
        if task.result in FAILURES or task.ends_at is None:
            return False  # there is no image
        creation_denied = any(
            each.creation_denied for each in self._ledger.tasks if each.task_id == task.task_id
        )
        if creation_denied or task.duplicate_id:
            return False  # PoYo denied the order, or gave its id to two: no client can be right
        if "deleted_at" in item and item["state"] == "failed" and item["reason"] in RECOVERABLE:
            return False  # given up, and nobody asks for it any more
        answered = task.answered
        queued = (
            answered is not None and answered.completed and "queue.send" not in answered.failures
        )
        if not (confirmed or queued or task.callback_accepted_at):
            return False  # the answer was lost and no callback with the id came: nobody told us
        if task.invalid_results >= INVALID_RESULT_LIMIT or (
            not confirmed and task.not_found_count >= NOT_FOUND_LIMIT
        ):
            return False  # PoYo showed no picture, or denied its id, again and again
        begin = max(
            self._simulator.fault_free_since or 0, task.ends_at, task.callback_accepted_at or 0
        )
        if begin + RECOVERY_MS > task.ends_at + FILE_LIFE_MS:
            return False  # the file was gone before the trouble was over
        late = confirmed and task.ends_at - int(item["confirmed_at"]) > DAY_MS - HOUR_MS
        return (
            not late or task.callback_accepted_at is not None
        )  # given up after a day: a bell must revive it


def _require(holds: bool, invariant: str, item: Item) -> None:
    if not holds:
        shown = {name: item.get(name) for name in ("pk", "state", "reason", "poyo_id", "due_at")}
        raise InvariantViolated(f"{invariant}: {shown}")
