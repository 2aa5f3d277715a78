"""What must hold of the callers' own callbacks: after the row, one post for a claim, never given up
early."""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagetasks.tasks.conditional_write import Item
from tests.simulation.process import Broken
from tests.simulation.scheduler import World
from tests.simulation.secrets import NOTIFY_KEYS, SimulatedSecrets

MOST_TRIES = 6
ENDS = ("finished", "failed")


@dataclass(slots=True)
class Ended:
    """An end that its caller is to be told of: since when, and as what."""

    at: int
    status: str


class Telling:
    """Watches every write and every post; `end` judges what became of each task that has ended."""

    def __init__(self, world: World, secrets: SimulatedSecrets) -> None:
        self._world = world
        self._secrets = secrets
        self._hooks: dict[str, tuple[str, str]] = {}  # owner and address of each task
        self._ends: dict[str, Ended] = {}
        self._taken: dict[str, int] = {}
        self._given_up: set[str] = set()
        self._times: Counter[str] = Counter()

    def written(self, old: Item, new: Item) -> None:
        """An end opens six tries, a claim takes one of them, only success or the sixth ends them."""
        task_id = str(new["task_id"])
        if not old and "notification_url" in new:
            self._hooks[task_id] = (str(new["owner"]), str(new["notification_url"]))
        if "deleted_at" in new:
            self._ends.pop(task_id, None)
        elif old.get("state") != new["state"]:
            self._turned(task_id, old, new)
        elif old.get("notification_attempts") != new.get("notification_attempts"):
            self._moved(task_id, old, new)

    def _turned(self, task_id: str, old: Item, new: Item) -> None:
        if new["state"] not in ENDS:
            self._ends.pop(task_id, None)
            return
        # What the submit's own answer says is not told once more.
        said = self._world.process.verb == "submit" and int(new["attempt"]) == 1
        owed = "notification_url" in new and not said
        hold(
            not owed or new.get("notification_attempts") == 0,
            "an end begins its tries anew",
            task_id,
        )
        if owed:
            self._times[task_id] += 1
            self._given_up.discard(task_id)
            self._ends[task_id] = Ended(self._world.now, str(new["state"]))

    def _moved(self, task_id: str, old: Item, new: Item) -> None:
        process = self._world.process
        if "notification_attempts" not in new:
            told = task_id in process.told
            hold(
                told or int(old["notification_attempts"]) >= MOST_TRIES,
                "told, or six times tried",
                task_id,
            )
            self._world.counts["event", "told" if told else "given_up"] += 1
            self._given_up.add(task_id)
            return
        tries = int(new["notification_attempts"])
        hold(tries == int(old["notification_attempts"]) + 1, "tries are counted", task_id)
        hold(tries <= MOST_TRIES, "six tries at most", task_id)
        process.claims.append((task_id, str(new["state"])))

    def posting(self, url: str, said: Any, headers: Mapping[str, str]) -> None:
        """A post goes out: its maker has claimed it, and the row said so before."""
        task_id, claims = str(said["task_id"]), self._world.process.claims
        hold((task_id, said["status"]) in claims, "each post has a claim of its own", task_id)
        claims.remove((task_id, said["status"]))
        owner, hook = self._hooks[task_id]
        hold(url == hook, "told where the order says", task_id)
        hold(said["status"] in ENDS, "told of an end", task_id)
        hold((said["status"] == "finished") == bool(said["files"]), "told with its files", task_id)
        self._signed(owner, task_id, headers)

    def taken(self, _: str, said: Any, headers: Mapping[str, str]) -> None:
        """A receiver took it."""
        task_id = str(said["task_id"])
        self._world.process.told.add(task_id)
        self._taken[task_id] = self._world.now
        if self._times[task_id] > 1 and said["status"] == "finished":
            self._world.counts["event", "told_once_more"] += 1

    def _signed(self, owner: str, task_id: str, headers: Mapping[str, str]) -> None:
        """The signature is there exactly when the owner's server key has a secret for it."""
        if self._secrets.failed:
            return  # while the secret is spoilt nobody knows what it has
        key, stamp = NOTIFY_KEYS.get(owner), headers.get("X-Webhook-Timestamp", "")
        digest = hmac.digest((key or "").encode(), f"{task_id}.{stamp}".encode(), "sha256")
        expected = base64.b64encode(digest).decode() if key else None
        right = headers.get("X-Webhook-Signature") == expected
        hold(right, "signed exactly when there is a key", task_id)

    def end(self, row: Item) -> None:
        """The row is at rest: its caller knows of its last end, or had six tries to hear of it."""
        task_id = str(row["task_id"])
        hold("notification_attempts" not in row, "nothing is left to be told", task_id)
        ended = self._ends.get(task_id)
        if ended is None:
            return
        taken = self._taken.get(task_id, 0) >= ended.at
        hold(taken or task_id in self._given_up, "the caller was told of the end", task_id)


def hold(holds: bool, promise: str, what: object) -> None:
    """Raises Broken unless it holds."""
    if not holds:
        raise Broken(f"{promise}: {what}")
