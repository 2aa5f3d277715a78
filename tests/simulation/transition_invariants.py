"""Which change of a task's item is allowed, stated independently of the product's own table."""

from __future__ import annotations

from typing import Any

from imagetasks.tasks.conditional_write import Item
from tests.simulation.process import require

RECOVERABLE = {
    "unconfirmed",
    "timed_out",
    "upstream",
    "moderated",
    "bad_result",
    "result_expired",
}
NEXT_STATES = {
    "": {"submitting", "pending"},
    "submitting": {"running", "pending", "unknown", "failed"},
    "pending": {"running", "submitting", "unknown", "failed"},
    "unknown": {"running", "failed"},
    "running": {"finished", "failed"},
    "failed": {"running", "finished"},  # after a recoverable failure only
    "finished": set(),
}
"""A second copy of the state machine: a change of the product's table does not change this one."""
LISTS = {"finished": "finished", "failed": "failed"}  # by status; any other task is listed as open
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


def brief(item: Item) -> dict[str, Any]:
    """The attributes of an item that a report shows: no prompt and no URL."""
    return {name: item.get(name) for name in ("pk", "state", "reason", "poyo_id", "due_at")}


def is_final(item: Item) -> bool:
    """Whether the task is finished, or failed for good."""
    failed = item.get("state") == "failed" and item["reason"] not in RECOVERABLE
    return item.get("state") == "finished" or failed


def check_transition(old: Item, new: Item) -> None:
    """Check one write to a task's item; `old` is {} when the task is new."""
    before, after, shown = old.get("state", ""), new["state"], brief(new)
    same = all(old.get(name) == new.get(name) for name in FINAL_ATTRIBUTES)
    require(not is_final(old) or same, "a final state never changes", shown)
    free = before == "failed" and after == "running" and old.get("charged_credits") == 0
    kept = "charged_credits" not in old or "charged_credits" in new or free
    require(kept, "charged credits are never forgotten", shown)
    if before != after:
        allowed = f"the transition is allowed ({before} to {after})"
        require(after in NEXT_STATES[before], allowed, shown)
        reason_allowed = after != "failed" or new["reason"] in REASONS[before]
        require(reason_allowed, f"the failure reason is allowed in {before}", shown)
    elif before == "failed" and old["reason"] in RECOVERABLE:
        require(new["reason"] == old["reason"], "a recoverable failure keeps its reason", shown)
    require(after != "running" or "poyo_id" in new, "a running task has a PoYo id", shown)
    _check_indexes(before, new)


def _check_indexes(before: str, new: Item) -> None:
    """The item is in the index of due tasks while work is left, and listed under its status."""
    after, shown = new["state"], brief(new)
    status = f"{LISTS.get(after, 'open')}#{new['owner']}"
    listed = new.get("owner_status_key", status)
    require(listed == status, "a task is listed under its own status", shown)
    has_ended, is_due = after in ("finished", "failed"), "due_at" in new
    require(has_ended or is_due, "an open task has due_at", shown)
    follow_up = "notification_attempts" in new or "deleted_at" in new
    ends_now = has_ended and before != after
    if ends_now and new.get("reason") == "unconfirmed" and new.get("candidate_poyo_ids"):
        require(is_due, "the write that ends an unconfirmed task schedules its checks", shown)
    # PoYo may still disprove these two; it is asked again.
    has_id = "poyo_id" in new or bool(new.get("candidate_poyo_ids"))
    disputable = new.get("reason") in ("unconfirmed", "timed_out") and has_id
    require(
        not ends_now or is_due == follow_up or (is_due and disputable),
        "a task that ends keeps due_at only for a notification, an erasure or further polls",
        shown,
    )
    owed = "notification_attempts" in new
    require(not owed or is_due, "a task with a pending notification has due_at", shown)
