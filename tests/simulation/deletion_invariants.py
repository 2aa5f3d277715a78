"""The invariants about deleted tasks: never submitted, never shown, only the cost is kept."""

from __future__ import annotations

from imagetasks.tasks.conditional_write import Item
from tests.simulation.bucket import SimulatedBucket
from tests.simulation.process import InvariantViolated, require
from tests.simulation.scheduler import Simulator
from tests.simulation.transition_invariants import brief

REMOVED_ATTRIBUTES = (
    "owner_key",
    "owner_status_key",
    "file_url_key",
    "notification_url",
    "notification_attempts",
    "next_notification_at",
)


class DeletionInvariants:
    """Checks every write and every response; `check_end` finds what a deletion left behind."""

    def __init__(self, simulator: Simulator, bucket: SimulatedBucket) -> None:
        self.states: dict[str, str] = {}  # by task id, the state in which the task was deleted
        self._at: dict[str, int] = {}
        self._simulator = simulator
        self._bucket = bucket

    def check_write(self, old: Item, new: Item) -> None:
        """Check that a deleted item holds nothing of the order and never gets it back."""
        deleted_at = old.get("deleted_at", new.get("deleted_at"))
        _require(deleted_at == new.get("deleted_at"), "it is deleted once", new)
        if "deleted_at" not in new:
            return
        if "deleted_at" not in old:
            self._register(old, new)
        _require(new["input"] == {} and new["metadata"] == {}, "its order is removed", new)
        removed = not set(REMOVED_ATTRIBUTES) & set(new)
        _require(removed, "it has no list entry, no file URL and no notification", new)
        _require("CANARY-prompt" not in repr(new), "its prompt is in no item", new)
        submitted = old["state"] == "pending" and new["state"] == "submitting"
        _require(not submitted, "it is not submitted", new)

    def _register(self, old: Item, new: Item) -> None:
        task_id, state = str(new["task_id"]), str(old["state"])
        self._at[task_id], self.states[task_id] = self._simulator.now, state
        self._simulator.counts["event", f"deleted {state}"] += 1

    def check_shown(self, task_id: str, requested_at: int) -> None:
        """Check that a response to a request of `requested_at` may show the task."""
        if self._at.get(task_id, requested_at) < requested_at:
            raise InvariantViolated(f"a deleted task is never shown: {task_id}")

    def check_end(self, item: Item) -> None:
        """Check after the run that the item has no files and the bucket no object of the task."""
        if "deleted_at" not in item:
            return
        _require(item["files"] == [], "it has no files", item)
        left = [key for key in self._bucket.objects if str(item["task_id"]) in key]
        _require(not left, "its images are erased", item)


def _require(holds: bool, invariant: str, item: Item) -> None:
    require(holds, f"a deleted task is gone, {invariant}", brief(item))
