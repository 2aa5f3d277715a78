"""What must hold, said independently of the code: watched at every write, judged at the end."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from imagetasks.tasks.conditional_write import Item, PutItem, UpdateItem
from tests.simulation import answers
from tests.simulation.bucket import SimulatedBucket
from tests.simulation.deletion_invariants import Deleting
from tests.simulation.notification_invariants import Telling
from tests.simulation.process import Broken
from tests.simulation.scheduler import HOUR_MS, World
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.upstream_ledger import FAILURES, FILE_LIFE_MS, Ledger, Made

SOFT = {"unconfirmed", "timed_out", "result_expired"}
MOVES = {
    "": {"submitting"},
    "submitting": {"running", "pending", "unknown", "failed"},
    "pending": {"running", "submitting", "failed"},
    "unknown": {"running", "failed"},
    "running": {"finished", "failed"},
    "failed": {"running", "finished"},  # softly failed only
    "finished": set(),
}
"""DESIGN.md, section 4, written down once more: a change of the code's table does not change it."""
SHOWN = {"submitting": "not_started", "pending": "not_started", "unknown": "not_started"} | {
    state: state for state in ("running", "finished", "failed")
}
REASONS = {
    "submitting": {"rejected", "moderated", "insufficient_credits", "unavailable"},
    "pending": {"unavailable"},
    "unknown": {"unconfirmed"},
    "running": {"moderated", "upstream", "bad_result", "result_expired", "timed_out"},
}
STAY = (
    "owner",
    "fingerprint",
    "created_at",
    "state",
    "reason",
    "poyo_id",
    "finished_at",
    "charged_credits",
)
MAY_POST_AGAIN = {"later"}  # PoYo said 429, or 401 to a key that was rotated just then
PEACE_MS = 3 * HOUR_MS  # the longest backoff (30 min), doubled, a claim, the clocks, and some more
DAY_MS = 24 * HOUR_MS
SPOILT = 5  # after so many results without a picture we may call it a bad one
DENIED = 6  # after so many 404s we may believe PoYo that it does not know its own id
MOST_POSTS = 30
MOST_LOOKS = 150  # bells an hour, with every message doubled twice over


class Promises:
    """Raises Broken at the first write or answer that breaks one."""

    def __init__(
        self,
        world: World,
        ledger: Ledger,
        bucket: SimulatedBucket,
        secrets: SimulatedSecrets,
    ) -> None:
        self.rows: dict[str, dict[str, Any]]
        self.created: dict[str, tuple[str, int]] = {}  # whose each task is, and since when
        self.telling = Telling(world, secrets)
        self.deleting = Deleting(world, bucket)
        self._orders: dict[str, str] = {}
        self.polls: Counter[tuple[str, int]] = Counter()
        self._world = world
        self._ledger = ledger
        self._bucket = bucket
        self._secrets = secrets

    def written(self, old: Item, new: Item, write: PutItem | UpdateItem) -> None:
        """A row changes: what it may become follows from what it was."""
        if new["pk"].startswith("poyo#"):
            _hold(not old or old["task_id"] == new["task_id"], "a PoYo id belongs to one task", new)
            for made in self._ledger.made:
                made.owned = made.owned or new["pk"] == f"poyo#{made.poyo_id}"
            return
        if not new["pk"].startswith("task#"):
            return
        if not old:
            self._begin(new)
        self._legal(old, new)
        self.telling.written(old, new)
        self.deleting.written(old, new)
        before, after = old.get("state", ""), new["state"]
        _hold(
            not old.get("poyo_id") or old["poyo_id"] == new.get("poyo_id"), "PoYo's id stays", new
        )
        if self._world.process.verb == "sweep":
            _hold(new["due_at"] > old["due_at"], "a claim leaves the task to the worker", new)
        grown = before == "pending" and after == "submitting"
        first = int(old.get("attempt", 1))
        _hold(int(new["attempt"]) == first + grown, "attempts are counted", new)
        past = list(old.get("history", []))
        _hold(new["history"][: len(past)] == past, "history only grows", new)
        if after == "finished":
            self._kept(new)
        if before == "submitting" and after == "failed" and new["reason"] == "unavailable":
            order = self._orders[new["task_id"]]
            outdated = order in self._ledger.outdated and not self._secrets.failed
            _hold(not outdated, "a key rotated in time costs no task", new)

    def _begin(self, new: Item) -> None:
        task_id = str(new["task_id"])
        self._world.process.created.add(task_id)
        self.created[task_id] = (str(new["owner"]), self._world.now)
        self._orders[task_id] = new["input"]["prompt"].removeprefix("CANARY-prompt ")

    def posted(self, order: str, task_id: str) -> None:
        """A submit arrives at PoYo: the row is there, and no earlier one may have made a task."""
        row = self.rows.get(f"task#{task_id}")
        if row is None or self._orders[task_id] != order:
            raise Broken(f"intent before effect: a submit without a row, {order}")
        earlier = self._ledger.posted(order)
        if not set(earlier) <= MAY_POST_AGAIN:
            raise Broken(f"paid once: {order} was submitted again after {earlier}")
        if len(earlier) > MOST_POSTS:
            raise Broken(f"no storm: {len(earlier)} submits of {order}")

    def rung(self, task_id: str) -> None:
        """A bell rang for a task."""
        hour = self._world.now // HOUR_MS
        self.polls[task_id, hour] += 1
        if self.polls[task_id, hour] > MOST_LOOKS:
            raise Broken(f"no storm: {MOST_LOOKS} bells in an hour for {task_id}")

    def end(self) -> None:
        """Everything is quiet: judge what has become of every task."""
        owners: Counter[str] = Counter()
        for row in self.rows.values():
            if not row["pk"].startswith("task#"):
                continue
            _hold(row["state"] in ("finished", "failed"), "every accepted task ends", row)
            _hold("due_at" not in row, "what has ended is on no to-do list", row)
            self.telling.end(row)
            self.deleting.end(row)
            owners[row.get("poyo_id", row["pk"])] += 1
            if row["state"] == "finished":
                self._kept(row)
        if [each for each, n in owners.items() if n > 1]:
            raise Broken("a PoYo id belongs to one task")
        for made in self._ledger.made:
            self._delivered(made)

    def _legal(self, old: Item, new: Item) -> None:
        before, after = old.get("state", ""), new["state"]
        soft = before == "failed" and old["reason"] in SOFT
        final = before == "finished" or (before == "failed" and not soft)
        same = {name: old.get(name) for name in STAY} == {name: new.get(name) for name in STAY}
        _hold(not final or same, "final is final", new)
        _hold(
            old.get("charged_credits", new.get("charged_credits")) == new.get("charged_credits"),
            "money stays",
            new,
        )
        if before != after:
            _hold(after in MOVES[before], f"a legal transition ({before} to {after})", new)
            if after == "failed":
                self._world.counts["reason", new["reason"]] += 1
                _hold(new["reason"] in REASONS[before], f"a reason for {before}", new)
        elif soft:
            _hold(new["reason"] == old["reason"], "soft failures only improve", new)
        listed = new.get("owner_status_key", f"{SHOWN[after]}#{new['owner']}")
        _hold(listed == f"{SHOWN[after]}#{new['owner']}", "listed as what it is", new)
        ended = after == "finished" or (after == "failed" and new["reason"] not in SOFT)
        busy = "notification_attempts" in new or "deleted_at" in new
        _hold(ended or after == "failed" or "due_at" in new, "an open task is on the list", new)
        ends = before != after and (ended or after == "failed")
        _hold(not ends or ("due_at" in new) == busy, "what has ended is on no to-do list", new)
        _hold(
            "notification_attempts" not in new or "due_at" in new,
            "what is to be told is on the list",
            new,
        )
        _hold(after != "running" or "poyo_id" in new, "running means known to PoYo", new)

    def _kept(self, row: Item) -> None:
        """`finished` means ours: every file lies in the bucket, with the hash the row says."""
        _hold(bool(row["files"]) or "deleted_at" in row, "finished has files", row)
        if "deleted_at" in row:
            return
        for kept in row["files"]:
            stored = self._bucket.objects.get(kept["key"])
            digest = hashlib.sha256(stored.body).hexdigest() if stored else ""
            _hold(digest == kept["sha256"], "finished means that the image is ours", row)

    def _delivered(self, made: Made) -> None:
        """What PoYo finished and kept for long enough is finished here, the same bytes."""
        row = self.rows[f"task#{made.task_id}"]
        if not self._owed(made, row):
            return
        self._world.counts["event", "image_owed"] += 1
        _hold(row["state"] == "finished", f"nothing paid is lost ({made.poyo_id})", row)
        _hold(row["charged_credits"] in made.meter, f"charged as PoYo says ({made.meter})", row)
        if "deleted_at" in row:
            self._world.counts["event", "deleted_and_settled"] += 1
            return
        bodies = [self._bucket.objects[kept["key"]].body for kept in row["files"]]
        same = len(bodies) == len(made.urls) and all(
            body in (answers.picture(url), answers.picture(f"{url} encoded anew"))
            for body, url in zip(bodies, made.urls, strict=True)
        )
        _hold(same, "the image is the one that PoYo made", row)

    def _owed(self, made: Made, row: Item) -> bool:
        """Whether we had every chance to get this image."""
        bound = row.get("poyo_id") == made.poyo_id
        if made.end in FAILURES or made.ends_at is None:
            return False  # there is no image
        lied = any(each.lied for each in self._ledger.made if each.task_id == made.task_id)
        if lied or made.shared:
            return False  # PoYo denied the order, or gave its id to two: no client can be right
        if "deleted_at" in row and row["state"] == "failed" and row["reason"] in SOFT:
            return False  # given up, and nobody asks for it any more
        told = made.told
        held = told is not None and told.survived and "queue.send" not in told.failures
        if not (bound or held or made.heard_at):
            return False  # the answer was lost and no callback with the id came: nobody told us
        if made.spoilt >= SPOILT or (not bound and made.not_found_count >= DENIED):
            return False  # PoYo showed no picture, or denied its id, again and again
        begin = max(self._world.calm_at or 0, made.ends_at, made.heard_at or 0)
        if begin + PEACE_MS > made.ends_at + FILE_LIFE_MS:
            return False  # the file was gone before the trouble was over
        late = bound and made.ends_at - int(row["confirmed_at"]) > DAY_MS - HOUR_MS
        return not late or made.heard_at is not None  # given up after a day: a bell must revive it


def _hold(holds: bool, promise: str, row: Item) -> None:
    if not holds:
        shown = {name: row.get(name) for name in ("pk", "state", "reason", "poyo_id", "due_at")}
        raise Broken(f"{promise}: {shown}")
