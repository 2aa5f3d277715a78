"""What must hold of what was deleted: never sent, never shown, nothing of it left but the money."""

from __future__ import annotations

from typing import Any

from imagetasks.tasks.conditional_write import Item
from tests.simulation.bucket import SimulatedBucket
from tests.simulation.process import InvariantViolated
from tests.simulation.scheduler import Simulator

REMOVED_ATTRIBUTES = (
    "owner_key",
    "owner_status_key",
    "file_url_key",
    "notification_url",
    "notification_attempts",
    "next_notification_at",
)


class DeletionInvariants:
    """Watches every write and everything that is shown; `end` looks for what was left behind."""

    def __init__(self, simulator: Simulator, bucket: SimulatedBucket) -> None:
        self.states: dict[str, str] = {}  # in which each deleted task was deleted
        self._at: dict[str, int] = {}
        self._simulator = simulator
        self._bucket = bucket

    def check_write(self, old: Item, new: Item) -> None:
        """From the deletion on nothing of the order is in the item, and nothing comes back."""
        _require(old.get("deleted_at", new.get("deleted_at")) == new.get("deleted_at"), "once", new)
        if "deleted_at" not in new:
            return
        if "deleted_at" not in old:
            self._begin(old, new)
        _require(new["input"] == {} and new["metadata"] == {}, "the order goes", new)
        _require(
            not set(REMOVED_ATTRIBUTES) & set(new),
            "it is on no list, has no link and tells nobody",
            new,
        )
        _require("CANARY-prompt" not in repr(new), "its prompt is in no item", new)
        sent = old["state"] == "pending" and new["state"] == "submitting"
        _require(not sent, "what was deleted is not sent", new)

    def _begin(self, old: Item, new: Item) -> None:
        task_id, state = str(new["task_id"]), str(old["state"])
        self._at[task_id], self.states[task_id] = self._simulator.now, state
        self._simulator.counts["event", f"deleted {state}"] += 1

    def check_shown(self, task_id: str, requested_at: int) -> None:
        """Somebody was shown a task that they asked for at `requested_at`."""
        if self._at.get(task_id, requested_at) < requested_at:
            raise InvariantViolated(f"deleted means gone: {task_id} was shown")

    def check_end(self, item: Item) -> None:
        """The item is at rest: it has no files, and the bucket has none of it."""
        if "deleted_at" not in item:
            return
        _require(item["files"] == [], "a deleted task has no files", item)
        left = [key for key in self._bucket.objects if str(item["task_id"]) in key]
        _require(not left, "its images are gone", item)


def _require(holds: bool, invariant: str, item: Any) -> None:
    if not holds:
        shown = {name: item.get(name) for name in ("pk", "state", "reason", "poyo_id")}
        raise InvariantViolated(f"deleted means gone, {invariant}: {shown}")
