"""The invariants about notifications: sent after the item is written, once for each claimed attempt,
and abandoned only after six attempts."""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from collections.abc import Mapping
from typing import Any

from imagetasks.tasks.conditional_write import Item
from tests.simulation.process import require
from tests.simulation.scheduler import Simulator
from tests.simulation.secrets import NOTIFICATION_KEYS, SimulatedSecrets

MAX_ATTEMPTS = 6
FINAL_STATUSES = ("finished", "failed")


class NotificationInvariants:
    """Checks every write and every notification; `check_end` checks each ended task after the run."""

    def __init__(self, simulator: Simulator, secrets: SimulatedSecrets) -> None:
        self._simulator = simulator
        self._secrets = secrets
        self._urls: dict[str, tuple[str, str]] = {}  # owner and notification URL of each task
        self._owed_since: dict[str, int] = {}  # ended tasks whose caller must be notified
        self._accepted_at: dict[str, int] = {}
        self._closed: set[str] = set()  # tasks whose attempts are over
        self._ends: Counter[str] = Counter()

    def check_write(self, old: Item, new: Item) -> None:
        """Check that an end starts the attempts, a claim counts one, and success or six close them."""
        task_id = str(new["task_id"])
        if not old and "notification_url" in new:
            self._urls[task_id] = (str(new["owner"]), str(new["notification_url"]))
        if "deleted_at" in new:
            self._owed_since.pop(task_id, None)
        elif old.get("state") != new["state"]:
            self._check_state_change(task_id, new)
        elif old.get("notification_attempts") != new.get("notification_attempts"):
            self._check_attempts(task_id, old, new)

    def _check_state_change(self, task_id: str, new: Item) -> None:
        if new["state"] not in FINAL_STATUSES:
            self._owed_since.pop(task_id, None)
            return
        # The response to the order already reports this end: no notification repeats it.
        in_response = self._simulator.process.operation == "submit" and int(new["attempt"]) == 1
        if "notification_url" not in new or in_response:
            return
        require(new.get("notification_attempts") == 0, "an end starts at attempt 0", task_id)
        self._ends[task_id] += 1
        self._closed.discard(task_id)
        self._owed_since[task_id] = self._simulator.now

    def _check_attempts(self, task_id: str, old: Item, new: Item) -> None:
        process = self._simulator.process
        before = old.get("notification_attempts")
        if "notification_attempts" not in new:
            notified = task_id in process.notified
            exhausted = before is not None and int(before) >= MAX_ATTEMPTS
            require(notified or exhausted, "no notification is abandoned early", task_id)
            event = "notified" if notified else "notification_abandoned"
            self._simulator.counts["event", event] += 1
            self._closed.add(task_id)
            return
        attempts = int(new["notification_attempts"])
        require(before is not None, "only an end starts the attempts", task_id)
        require(attempts == int(before or 0) + 1, "a claim counts one attempt", task_id)
        require(attempts <= MAX_ATTEMPTS, "a notification has at most six attempts", task_id)
        process.notification_claims.append((task_id, str(new["state"])))

    def check_attempt(self, url: str, body: Any, headers: Mapping[str, str]) -> None:
        """Check a notification that is sent: its process claimed it, and the item shows the end."""
        task_id, status = str(body["task_id"]), body["status"]
        claims = self._simulator.process.notification_claims
        require((task_id, status) in claims, "each notification has a claim of its own", task_id)
        claims.remove((task_id, status))
        owner, notification_url = self._urls[task_id]
        require(url == notification_url, "a notification goes to the order's URL", task_id)
        require(status in FINAL_STATUSES, "a notification reports an end", task_id)
        has_files = bool(body["files"])
        require(has_files == (status == "finished"), "a finished task has its files", task_id)
        self._check_signature(owner, task_id, headers)

    def on_accepted(self, _: str, body: Any, headers: Mapping[str, str]) -> None:
        """Record that a receiver accepted a notification."""
        task_id = str(body["task_id"])
        self._simulator.process.notified.add(task_id)
        self._accepted_at[task_id] = self._simulator.now
        if self._ends[task_id] > 1 and body["status"] == "finished":
            self._simulator.counts["event", "notified_again"] += 1

    def _check_signature(self, owner: str, task_id: str, headers: Mapping[str, str]) -> None:
        """Check that a notification is signed exactly when the owner has a signing key."""
        if self._secrets.failed:
            return  # a faulty read of the secret hides which owners have a signing key
        key, timestamp = NOTIFICATION_KEYS.get(owner), headers.get("X-Webhook-Timestamp", "")
        digest = hmac.digest((key or "").encode(), f"{task_id}.{timestamp}".encode(), "sha256")
        expected = base64.b64encode(digest).decode() if key else None
        right = headers.get("X-Webhook-Signature") == expected
        require(right, "a notification is signed when its owner has a key", task_id)

    def check_end(self, item: Item) -> None:
        """Check after the run that the caller was notified of the last end, or had six attempts."""
        task_id = str(item["task_id"])
        open_attempts = "notification_attempts" in item
        require(not open_attempts, "no notification is pending after the run", task_id)
        if task_id not in self._owed_since:
            return
        accepted = self._accepted_at.get(task_id, 0) >= self._owed_since[task_id]
        closed = accepted or task_id in self._closed
        require(closed, "the caller is notified of the end", task_id)
