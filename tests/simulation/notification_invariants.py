"""What must require of the callers' own callbacks: after the item, one post for a claim, never given up
early."""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagetasks.tasks.conditional_write import Item
from tests.simulation.process import InvariantViolated
from tests.simulation.scheduler import Simulator
from tests.simulation.secrets import NOTIFICATION_KEYS, SimulatedSecrets

MAX_ATTEMPTS = 6
FINAL_STATUSES = ("finished", "failed")


@dataclass(slots=True)
class OwedNotification:
    """An end that its caller is to be told of: since when, and as what."""

    at: int
    status: str


class NotificationInvariants:
    """Watches every write and every post; `end` judges what became of each task that has ended."""

    def __init__(self, simulator: Simulator, secrets: SimulatedSecrets) -> None:
        self._simulator = simulator
        self._secrets = secrets
        self._urls: dict[str, tuple[str, str]] = {}  # owner and address of each task
        self._owed: dict[str, OwedNotification] = {}
        self._accepted_at: dict[str, int] = {}
        self._abandoned: set[str] = set()
        self._ends: Counter[str] = Counter()

    def check_write(self, old: Item, new: Item) -> None:
        """An end opens six tries, a claim takes one of them, only success or the sixth ends them."""
        task_id = str(new["task_id"])
        if not old and "notification_url" in new:
            self._urls[task_id] = (str(new["owner"]), str(new["notification_url"]))
        if "deleted_at" in new:
            self._owed.pop(task_id, None)
        elif old.get("state") != new["state"]:
            self._check_state_change(task_id, old, new)
        elif old.get("notification_attempts") != new.get("notification_attempts"):
            self._check_attempts(task_id, old, new)

    def _check_state_change(self, task_id: str, old: Item, new: Item) -> None:
        if new["state"] not in FINAL_STATUSES:
            self._owed.pop(task_id, None)
            return
        # What the submit's own answer says is not told once more.
        said = self._simulator.process.operation == "submit" and int(new["attempt"]) == 1
        owed = "notification_url" in new and not said
        require(
            not owed or new.get("notification_attempts") == 0,
            "an end begins its tries anew",
            task_id,
        )
        if owed:
            self._ends[task_id] += 1
            self._abandoned.discard(task_id)
            self._owed[task_id] = OwedNotification(self._simulator.now, str(new["state"]))

    def _check_attempts(self, task_id: str, old: Item, new: Item) -> None:
        process = self._simulator.process
        if "notification_attempts" not in new:
            notified = task_id in process.notified
            require(
                notified or int(old["notification_attempts"]) >= MAX_ATTEMPTS,
                "told, or six times tried",
                task_id,
            )
            self._simulator.counts[
                "event", "notified" if notified else "notification_abandoned"
            ] += 1
            self._abandoned.add(task_id)
            return
        attempts = int(new["notification_attempts"])
        require(attempts == int(old["notification_attempts"]) + 1, "tries are counted", task_id)
        require(attempts <= MAX_ATTEMPTS, "six tries at most", task_id)
        process.notification_claims.append((task_id, str(new["state"])))

    def check_attempt(self, url: str, body: Any, headers: Mapping[str, str]) -> None:
        """A post goes out: its maker has claimed it, and the item said so before."""
        task_id, claims = str(body["task_id"]), self._simulator.process.notification_claims
        require((task_id, body["status"]) in claims, "each post has a claim of its own", task_id)
        claims.remove((task_id, body["status"]))
        owner, hook = self._urls[task_id]
        require(url == hook, "told where the order says", task_id)
        require(body["status"] in FINAL_STATUSES, "told of an end", task_id)
        require(
            (body["status"] == "finished") == bool(body["files"]), "told with its files", task_id
        )
        self._signed(owner, task_id, headers)

    def on_accepted(self, _: str, body: Any, headers: Mapping[str, str]) -> None:
        """A receiver took it."""
        task_id = str(body["task_id"])
        self._simulator.process.notified.add(task_id)
        self._accepted_at[task_id] = self._simulator.now
        if self._ends[task_id] > 1 and body["status"] == "finished":
            self._simulator.counts["event", "notified_again"] += 1

    def _signed(self, owner: str, task_id: str, headers: Mapping[str, str]) -> None:
        """The signature is there exactly when the owner's server key has a secret for it."""
        if self._secrets.failed:
            return  # while the secret is spoilt nobody knows what it has
        key, stamp = NOTIFICATION_KEYS.get(owner), headers.get("X-Webhook-Timestamp", "")
        digest = hmac.digest((key or "").encode(), f"{task_id}.{stamp}".encode(), "sha256")
        expected = base64.b64encode(digest).decode() if key else None
        right = headers.get("X-Webhook-Signature") == expected
        require(right, "signed exactly when there is a key", task_id)

    def check_end(self, item: Item) -> None:
        """The item is at rest: its caller knows of its last end, or had six tries to hear of it."""
        task_id = str(item["task_id"])
        require("notification_attempts" not in item, "nothing is left to be told", task_id)
        ended = self._owed.get(task_id)
        if ended is None:
            return
        taken = self._accepted_at.get(task_id, 0) >= ended.at
        require(taken or task_id in self._abandoned, "the caller was told of the end", task_id)


def require(holds: bool, invariant: str, what: object) -> None:
    """Raises InvariantViolated unless it holds."""
    if not holds:
        raise InvariantViolated(f"{invariant}: {what}")
