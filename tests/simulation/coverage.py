"""What 2,000 seeds must have reached: every transition, crash point, fault and event."""

from __future__ import annotations

from collections import Counter

from tests.simulation.faults import FAULTS, LEAKS, STRANGERS

EFFECTS = {
    "submit": (
        "secrets.get",
        "table.put",
        "table.put quota",
        "table.update quota",
        "poyo.POST",
        "table.transact",
        "table.get",
        "table.update defer",
        "table.update doubt",
        "table.update fail",
        "queue.send",
    ),
    "look": (
        "table.get",
        "secrets.get",
        "poyo.GET",
        "poyo.POST",
        "table.put quota",
        "table.update quota",
        "bucket.head",
        "file.fetch",
        "bucket.put",
        "bucket.delete",
        "deliver.post",
        "table.transact",
        "table.update defer",
        "table.update doubt",
        "table.update retry",
        "table.update finish",
        "table.update fail",
        "table.update move",
        "table.update revive",
        "queue.send",
    ),
    "read": ("table.get",),
    "list": ("table.page", "table.rows"),
    "delete": ("table.get", "table.update delete", "queue.send"),
    "sweep": ("table.query_due", "table.update_blind", "queue.send"),
    "hear": ("secrets.get", "queue.send"),
}
"""Every effect that a verb has."""
POINTS = tuple(
    f"{verb} {effect} {side}"
    for verb, effects in EFFECTS.items()
    for effect in effects
    for side in ("before", "after")
)
TRANSITIONS = tuple(
    f"{name} {result}"
    for name in (
        "T0 submit",
        "T1 bind",
        "T2 defer",
        "T3 doubt",
        "T4 retry",
        "T5 finish",
        "T6 fail",
        "T7 move",
        "T7 claim",
        "T8 revive",
        "T9 delete",
    )
    for result in ("won", "lost")
)
STATES = ("submitting", "pending", "unknown", "running", "finished", "failed")
EVENTS = (
    "callback_key_rotated",
    "api_key_rotated",
    "sweep_skipped",
    "two_sweeps",
    "dead_letter",
    "key_reused",
    "image_owed",
    "told",
    "told_once_more",
    "given_up",
    "list_walked",
    "list_of_pages",
    "order_of_deleted",
    "deleted_and_settled",
    *(f"deleted {state}" for state in STATES),
    *(f"stranger {kind}" for kind in STRANGERS),
    *(f"leak {kind}" for kind in LEAKS),
)
REASONS = (
    "rejected",
    "moderated",
    "insufficient_credits",
    "unavailable",
    "unconfirmed",
    "timed_out",
    "upstream",
    "bad_result",
    "result_expired",
)
WANTED = {
    "transition": TRANSITIONS,
    "reason": REASONS,
    "crash": POINTS,
    "fault": tuple(f"{family} {kind}" for family, kinds in FAULTS.items() for kind in kinds),
    "event": EVENTS,
}


def uncovered(counts: Counter[tuple[str, str]]) -> list[str]:
    """What was never reached."""
    return [
        f"{what}: {name}"
        for what, names in WANTED.items()
        for name in names
        if not counts[what, name]
    ]


def unexpected(counts: Counter[tuple[str, str]]) -> list[str]:
    """Effects that a verb has and `EFFECTS` does not know of."""
    known = {f"{verb} {effect}" for verb, effects in EFFECTS.items() for effect in effects}
    return sorted({name for what, name in counts if what == "effect" and name not in known})
