"""What must hold of what was deleted: never sent, never shown, nothing of it left but the money."""

from __future__ import annotations

from typing import Any

from imagetasks.tasks.conditional_write import Item
from tests.simulation.bucket import SimulatedBucket
from tests.simulation.process import Broken
from tests.simulation.scheduler import World

GONE = (
    "owner_key",
    "owner_status_key",
    "file_url_key",
    "notification_url",
    "notification_attempts",
    "next_notification_at",
)


class Deleting:
    """Watches every write and everything that is shown; `end` looks for what was left behind."""

    def __init__(self, world: World, bucket: SimulatedBucket) -> None:
        self.states: dict[str, str] = {}  # in which each deleted task was deleted
        self._at: dict[str, int] = {}
        self._world = world
        self._bucket = bucket

    def written(self, old: Item, new: Item) -> None:
        """From the deletion on nothing of the order is in the row, and nothing comes back."""
        _hold(old.get("deleted_at", new.get("deleted_at")) == new.get("deleted_at"), "once", new)
        if "deleted_at" not in new:
            return
        if "deleted_at" not in old:
            self._begin(old, new)
        _hold(new["input"] == {} and new["metadata"] == {}, "the order goes", new)
        _hold(not set(GONE) & set(new), "it is on no list, has no link and tells nobody", new)
        _hold("CANARY-prompt" not in repr(new), "its prompt is in no row", new)
        sent = old["state"] == "pending" and new["state"] == "submitting"
        _hold(not sent, "what was deleted is not sent", new)

    def _begin(self, old: Item, new: Item) -> None:
        task_id, state = str(new["task_id"]), str(old["state"])
        self._at[task_id], self.states[task_id] = self._world.now, state
        self._world.counts["event", f"deleted {state}"] += 1

    def shown(self, task_id: str, asked_at: int) -> None:
        """Somebody was shown a task that they asked for at `asked_at`."""
        if self._at.get(task_id, asked_at) < asked_at:
            raise Broken(f"deleted means gone: {task_id} was shown")

    def end(self, row: Item) -> None:
        """The row is at rest: it has no files, and the bucket has none of it."""
        if "deleted_at" not in row:
            return
        _hold(row["files"] == [], "a deleted task has no files", row)
        left = [key for key in self._bucket.objects if str(row["task_id"]) in key]
        _hold(not left, "its images are gone", row)


def _hold(holds: bool, promise: str, row: Any) -> None:
    if not holds:
        shown = {name: row.get(name) for name in ("pk", "state", "reason", "poyo_id")}
        raise Broken(f"deleted means gone, {promise}: {shown}")
