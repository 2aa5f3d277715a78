"""Scenarios that make one rare situation frequent: each changes some fields of a random scenario.

`fault_rates` are merged into the random ones, and one of `crash_points` is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.simulation.faults import FAULTS, Outage
from tests.simulation.short_day import DAY_MS

SUBMIT_UNCLEAR = tuple(
    kind for kind in FAULTS["poyo.submit"] if "created" in kind or "response" in kind
)
SUBMIT_RETRYABLE = tuple(
    kind for kind in FAULTS["poyo.submit"] if kind.startswith(("busy", "not_sent"))
)
ERASE_CRASH_POINTS = ("bucket.put after", "bucket.delete before", "bucket.delete after")
OPERATIONS = (
    "table.batch_get",
    "table.put budget",
    "table.put settings",
    "table.transact_write token",
    "table.query_page",
    "table.get",
    "table.transact_write settle",
)
ORDERING = (
    "table.get token",
    "table.batch_get",
    "table.transact_write submit",
    "table.update spend",
)
UNLIMITED: Mapping[str, Any] = {"stack_daily": None, "owner_daily": None, "operator_acts": 0}
THEMES: Mapping[str, Mapping[str, Any]] = {
    "late_results": {
        "chaos_ms": 5 * DAY_MS // 3,
        "latency_ms": (20, 800),
        "orders": 8,
        **UNLIMITED,
        "orders_at_once": True,
        "crash_points": (
            None,
            "reconcile table.transact_write reopen before",
            "reconcile table.transact_write reopen after",
        ),
        "fault_rates": {
            "poyo.work": 1.0,
            "file.fetch": 0.5,
            "poyo.callback": 0.9,
            "queue.deliver": 0.5,
        },
        "fault_kinds": {
            "queue.deliver": ("twice",),
            "poyo.work": ("about_a_day", "about_a_day", "stuck"),
            "poyo.callback": ("duplicated", "duplicated", "delayed"),
        },
    },
    "waiting_for_slots": {
        "chaos_ms": 1_800_000,
        "orders": 8,
        "orders_at_once": True,
        "skew_ms": 0,
        "crash_points": tuple(
            f"{operation} table.update account {side}"
            for operation in ("submit", "reconcile")
            for side in ("before", "after")
        ),
        "fault_rates": {"poyo.submit": 0.9, "queue.send": 0.5},
        "fault_kinds": {"poyo.submit": ("busy_429", "busy_429_with_wait", "busy_429_with_wait")},
    },
    "lost_responses": {
        "fault_rates": {"poyo.submit": 0.8, "poyo.status": 0.5, "poyo.callback": 0.1},
        "fault_kinds": {"poyo.submit": SUBMIT_UNCLEAR},
    },
    "early_callbacks": {
        "chaos_ms": 1_800_000,
        "latency_ms": (50, 3000),
        "orders_at_once": True,
        "fault_rates": {
            "poyo.submit": 0.9,
            "poyo.work": 0.9,
            "poyo.status": 0.5,
            "poyo.callback": 0.0,
        },
        "fault_kinds": {
            "poyo.submit": SUBMIT_UNCLEAR,
            "poyo.work": ("instant",),
            "poyo.status": ("response_lost", "error_500", "html_502"),
        },
    },
    "callbacks_at_deadline": {
        "chaos_ms": 2 * 3_600_000,
        "latency_ms": (50, 3000),
        "orders_at_once": True,
        "fault_rates": {
            "poyo.submit": 0.9,
            "poyo.work": 0.0,
            "poyo.status": 0.5,
            "poyo.callback": 1.0,
        },
        "fault_kinds": {
            "poyo.submit": SUBMIT_UNCLEAR,
            "poyo.status": ("response_lost", "error_500", "html_502"),
            "poyo.callback": ("at_deadline",),
        },
    },
    "denied_creations": {
        "chaos_ms": 1_800_000,
        "latency_ms": (50, 3000),
        "orders_at_once": True,
        "upstream_denies": True,
        "fault_rates": {"poyo.work": 0.9, "poyo.status": 0.5, "poyo.callback": 0.3},
        "fault_kinds": {
            "poyo.work": ("instant",),
            "poyo.status": ("response_lost", "error_500", "not_found_404"),
            "poyo.callback": ("duplicated", "truncated", "delayed"),
        },
    },
    "file_host_answers_html": {
        "chaos_ms": 5 * DAY_MS // 3,
        "orders_at_once": True,
        "outages": (Outage("file.fetch", "html", 0, 5 * DAY_MS // 3),),
        "fault_rates": {"poyo.submit": 0.1, "poyo.work": 0.0, "poyo.status": 0.1},
    },
    "file_host_unreachable": {
        "chaos_ms": 5 * DAY_MS // 4,
        "orders_at_once": True,
        "outages": (
            Outage("file.fetch", "http_403", 0, 5 * DAY_MS // 4),
            Outage("poyo.callback", "delayed", 0, 5 * DAY_MS // 4),
        ),
        "fault_rates": {"poyo.submit": 0.1, "poyo.work": 0.0},
    },
    "expired_submissions": {
        "chaos_ms": 1_800_000,
        "orders_at_once": True,
        "signed_callbacks": False,
        "attacks": 25,
        "fault_rates": {"poyo.submit": 0.9, "poyo.status": 0.4, "poyo.callback": 0.0},
        "fault_kinds": {"poyo.submit": SUBMIT_UNCLEAR, "poyo.status": ("not_found_404",)},
    },
    "clock_skew": {
        "chaos_ms": 1_800_000,
        "skew_ms": 300_000,
        "latency_ms": (50, 1500),
        "fault_rates": {"poyo.submit": 0.8, "queue.deliver": 0.7, "queue.send": 0.2},
        "fault_kinds": {
            "poyo.submit": SUBMIT_RETRYABLE,
            "queue.deliver": ("twice",),
            "queue.send": ("duplicated",),
        },
    },
    "key_rotation": {
        "chaos_ms": 1_800_000,
        "rotations": 40,
        "fault_rates": {"secrets.get": 0.0, "poyo.submit": 0.1},
        "fault_kinds": {"poyo.submit": SUBMIT_RETRYABLE},
    },
    "rejections": {
        "chaos_ms": 1_800_000,
        "notified_share": 0.5,
        "crash_points": tuple(
            f"{effect} {side}"
            for effect in ("submit table.transact_write fail", "reconcile table.update defer")
            for side in ("before", "after")
        ),
        "fault_rates": {"poyo.submit": 0.9},
        "fault_kinds": {"poyo.submit": ("busy_429", "busy_429", "moderated_400", "no_credits_402")},
    },
    "receivers_unavailable": {
        "chaos_ms": 3 * 3_600_000,
        "orders_at_once": True,
        "notified_share": 1.0,
        "deleted_share": 0.2,
        "outages": (Outage("notification.post", "unreachable", 0, 1_500_000),),
        "crash_points": (
            None,
            "notify notification.post before",
            "notify notification.post after",
        ),
        "fault_rates": {"notification.post": 0.7, "poyo.submit": 0.3},
    },
    "budgets": {
        "chaos_ms": 3 * 3_600_000,
        "orders": 8,
        "stack_daily": Decimal("9.3"),
        "owner_daily": Decimal("6.9"),
        "token_share": 0.6,
        "operator_acts": 12,
        "settles": 4,
        "crash_points": (
            None,
            *(f"operate {effect} {side}" for effect in OPERATIONS for side in ("before", "after")),
            *(f"submit {effect} {side}" for effect in ORDERING for side in ("before", "after")),
        ),
        "fault_rates": {"poyo.submit": 0.6, "poyo.callback": 0.5},
        "fault_kinds": {"poyo.submit": SUBMIT_UNCLEAR},
    },
    "deletions": {
        "chaos_ms": 1_800_000,
        "latency_ms": (20, 800),
        "skew_ms": 300_000,
        "orders_at_once": True,
        "deleted_share": 1.0,
        "list_readers": 5,
        "crash_points": (None, *(f"reconcile {effect}" for effect in ERASE_CRASH_POINTS)),
        "fault_rates": {"poyo.submit": 0.5, "poyo.work": 0.8, "bucket.delete": 0.4},
        "fault_kinds": {
            "poyo.submit": (
                *SUBMIT_UNCLEAR,
                "moderated_400",
                "no_credits_402",
                "moderated_400",
                "busy_429",
            ),
            "poyo.work": ("instant", "instant", "two_files", "moderated"),
        },
    },
}
