"""What 2,000 seeds must reach: every transition, failure reason, crash point, fault and event."""

from __future__ import annotations

from collections import Counter

from tests.simulation.faults import FAULTS, INVALID_CALLBACKS, LEAKED_URL_BODIES

EFFECTS = {
    "submit": (
        "table.get",
        "table.get token",
        "table.batch_get",
        "secrets.get",
        "table.put account",
        "table.update account",
        "table.transact_write submit",
        "poyo.POST",
        "table.put poyo",
        "table.update confirm_submission",
        "table.transact_write fail",
        "table.update defer",
        "table.update mark_unknown",
        "table.update spend",
        "queue.send",
    ),
    "reconcile": (
        "table.get",
        "secrets.get",
        "poyo.GET",
        "poyo.POST",
        "table.put account",
        "table.update account",
        "bucket.head",
        "file.fetch",
        "bucket.put",
        "bucket.delete",
        "table.put poyo",
        "table.transact_write confirm_submission",
        "table.transact_write finish",
        "table.transact_write fail",
        "table.transact_write reopen",
        "table.update poyo",
        "table.update defer",
        "table.update mark_unknown",
        "table.update retry",
        "table.update reschedule",
        "queue.send",
    ),
    "notify": (
        "table.get",
        "secrets.get",
        "notification.post",
        "table.update reschedule",
        "queue.send",
    ),
    "get": ("table.get", "table.get wait_slot", "table.put wait_slot"),
    "list": ("table.query_page", "table.batch_get"),
    "delete": ("table.get", "table.update delete", "queue.send"),
    "sweep": ("table.query_due", "table.update_blind", "queue.send"),
    "receive_callback": ("secrets.get", "queue.send"),
    "operate": (
        "table.batch_get",
        "table.put budget",
        "table.put settings",
        "table.transact_write token",
        "table.query_page",
        "table.get",
        "table.transact_write settle",
    ),
}
"""Every effect that an operation has."""
RARE = {
    "operate": ("table.update settle",),  # somebody else has settled the task since it was listed
    "reconcile": (
        "table.update confirm_submission",  # PoYo's answer, by message; a crash at the put comes before
        "table.update finish",  # a paid failure, charged the same as the image that came after all
        "table.transact_write reschedule",  # PoYo names the credits of a failure later
    ),
}
"""Effects that are too rare to require a crash at each of them."""
POINTS = tuple(
    f"{operation} {effect} {side}"
    for operation, effects in EFFECTS.items()
    for effect in effects
    for side in ("before", "after")
)
TRANSITIONS = tuple(
    f"{name} {result}"
    for name in (
        "submit",
        "confirm_submission",
        "defer",
        "mark_unknown",
        "retry",
        "finish",
        "fail",
        "reschedule",
        "claim",
        "reopen",
        "delete",
        "settle",
    )
    for result in ("applied", "not_applied")
)
STATES = ("submitting", "pending", "unknown", "running", "finished", "failed")
EVENTS = (
    "callback_key_rotated",
    "api_key_rotated",
    "sweep_skipped",
    "two_sweeps",
    "dead_letter",
    "key_reused",
    "image_recoverable",
    "unconfirmed_id_named",
    "no_time_for_download",
    "notified",
    "notified_again",
    "notification_abandoned",
    "list_walked",
    "list_of_several_pages",
    "deleted_task_ordered_again",
    "deleted_task_charged",
    "ordered_with_token",
    "settled",
    "unresolved_listed",
    "refused BudgetExhausted",
    "refused OrdersPaused",
    "refused TokenRevoked",
    *(f"deleted {state}" for state in STATES),
    *(f"invalid_callback {kind}" for kind in INVALID_CALLBACKS),
    *(f"leaked_url {kind}" for kind in LEAKED_URL_BODIES),
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
REQUIRED = {
    "transition": TRANSITIONS,
    "reason": REASONS,
    "crash": POINTS,
    "fault": tuple(f"{family} {kind}" for family, kinds in FAULTS.items() for kind in kinds),
    "event": EVENTS,
}


def not_reached(counts: Counter[tuple[str, str]]) -> list[str]:
    """The required counters that are zero."""
    return [
        f"{what}: {name}"
        for what, names in REQUIRED.items()
        for name in names
        if not counts[what, name]
    ]


def unlisted_effects(counts: Counter[tuple[str, str]]) -> list[str]:
    """The effects that an operation had and that `EFFECTS` does not list."""
    known = {
        f"{operation} {effect}"
        for listed in (EFFECTS, RARE)
        for operation, effects in listed.items()
        for effect in effects
    }
    return sorted({name for what, name in counts if what == "effect" and name not in known})
