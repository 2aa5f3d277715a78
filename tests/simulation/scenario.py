"""What a seed brings: how often what goes wrong, how slow everything is, who does what."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.faults import FAULTS


@dataclass(frozen=True, slots=True)
class Outage:
    """From `begin` to `end` (ms) everything of `family` fails in one way."""

    family: str
    kind: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One seed's simulator; instants in ms since its beginning."""

    chaos_ms: int
    orders: int
    latency_ms: tuple[float, float]
    skew_ms: int
    index_lag_ms: int
    crash_rate: float
    crash_point: str | None
    fault_rates: Mapping[str, float]
    outages: tuple[Outage, ...] = ()
    honours_idempotency: bool = False
    signed_callbacks: bool = False
    wrapped_bodies: bool = False
    duplicate_poyo_ids: bool = False
    upstream_denies: bool = False
    rotations: int = 0
    attacks: int = 0
    orders_at_once: bool = False
    notified_share: float = 0.0  # share of the orders whose caller wants to be told
    deleted_share: float = 0.0  # share of the orders that are deleted sooner or later
    list_readers: int = 0
    fault_kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def outage(self, family: str, at: int) -> str | None:
        """The fault of `family` that lasts at this instant, if any."""
        for each in self.outages:
            if each.family == family and each.begin <= at < each.end:
                return each.kind
        return None


def random_scenario(
    rng: random.Random, points: tuple[str, ...], *, upstream_denies: bool = False
) -> Scenario:
    """The scenario of a seed: quiet worlds and terrible ones, hasty ones and slow ones."""
    chaos_ms = round(rng.choice((0.1, 0.5, 2, 8, 30)) * 3_600_000)
    base = rng.choice((0.0, 0.02, 0.05, 0.15))
    fault_rates = {family: base * rng.choice((0, 1, 1, 2)) for family in FAULTS}
    # What happens once a task must happen more often to be seen at all.
    fault_rates["poyo.submit"] = rng.choice((0.05, 0.3, 0.3, 0.8))
    fault_rates["poyo.status"] += rng.choice((0.0, 0.0, 0.1, 0.4))
    fault_rates["poyo.work"] = rng.choice((0.1, 0.3, 0.6))
    fault_rates["poyo.callback"] = rng.choice((0.0, 0.2, 0.7))
    if rng.random() < 0.3:  # one wire alone is bad: what hides behind others comes to light
        fault_rates[rng.choice(tuple(FAULTS))] = 0.5
    scenario = Scenario(
        chaos_ms=chaos_ms,
        orders=rng.randint(2, 8),
        latency_ms=rng.choice(((0, 0), (1, 30), (1, 30), (5, 400), (50, 6000))),
        skew_ms=rng.choice((0, 1000, 300_000)),
        index_lag_ms=rng.choice((20, 20, 5000, 180_000)),
        crash_rate=rng.choice((0.0, 0.0, 0.003, 0.02)),
        crash_point=rng.choice((*points, None)) if points else None,
        fault_rates=fault_rates,
        outages=_outages(rng, chaos_ms),
        honours_idempotency=rng.random() < 0.3,
        signed_callbacks=rng.random() < 0.5,
        wrapped_bodies=rng.random() < 0.3,
        duplicate_poyo_ids=rng.random() < 0.04,
        upstream_denies=upstream_denies,
        rotations=rng.choice((0, 0, 1, 4)),
        attacks=rng.choice((0, 2, 10)),
        orders_at_once=rng.random() < 0.5,
        notified_share=rng.choice((0.0, 0.5, 1.0)),
        deleted_share=rng.choice((0.0, 0.0, 0.3, 0.9)),
        list_readers=rng.choice((0, 1, 5)),
    )
    return _themed(scenario, rng)


def _themed(scenario: Scenario, rng: random.Random) -> Scenario:
    """Half of the seeds dwell on something that seldom comes about by itself."""
    theme = rng.choice((*(None,) * 5, *THEMES, "late_results"))
    if theme is None:
        return scenario
    changes = dict(THEMES[theme])
    fault_rates = dict(scenario.fault_rates) | changes.pop("fault_rates", {})
    crash_point = rng.choice(changes.pop("crash_points", (scenario.crash_point,)))
    return replace(scenario, fault_rates=fault_rates, crash_point=crash_point, **changes)


SUBMIT_UNCLEAR = tuple(
    kind for kind in FAULTS["poyo.submit"] if "created" in kind or "response" in kind
)
SUBMIT_RETRYABLE = tuple(
    kind for kind in FAULTS["poyo.submit"] if kind.startswith(("busy", "not_sent"))
)
ERASE_CRASH_POINTS = ("bucket.put after", "bucket.delete before", "bucket.delete after")
THEMES: Mapping[str, Mapping[str, Any]] = {
    "late_results": {
        "chaos_ms": 40 * 3_600_000,
        "orders_at_once": True,
        "crash_points": (
            None,
            "reconcile table.update reopen before",
            "reconcile table.update reopen after",
        ),
        "fault_rates": {"poyo.work": 1.0, "file.fetch": 0.5, "poyo.callback": 0.9},
        "fault_kinds": {
            "poyo.work": ("about_a_day", "about_a_day", "stuck"),
            "poyo.callback": ("duplicated", "duplicated", "delayed"),
        },
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
    "file_host_unreachable": {
        "chaos_ms": 30 * 3_600_000,
        "orders_at_once": True,
        "outages": (
            Outage("file.fetch", "http_403", 0, 30 * 3_600_000),
            Outage("poyo.callback", "delayed", 0, 30 * 3_600_000),
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
            for effect in ("submit table.update fail", "reconcile table.update defer")
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
            "reconcile notification.post before",
            "reconcile notification.post after",
        ),
        "fault_rates": {"notification.post": 0.7, "poyo.submit": 0.3},
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


def _outages(rng: random.Random, chaos_ms: int) -> tuple[Outage, ...]:
    def one() -> Outage:
        family = rng.choice([family for family in FAULTS if family != "poyo.work"])
        begin = rng.randrange(chaos_ms)
        end = begin + round(rng.choice((20, 300, 4000)) * 1000)
        return Outage(family, rng.choice(FAULTS[family]), begin, end)

    return tuple(one() for _ in range(rng.choice((0, 0, 1, 3))))
