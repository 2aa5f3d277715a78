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
class Plan:
    """One seed's world; instants in ms since its beginning."""

    chaos_ms: int
    orders: int
    tempo_ms: tuple[float, float]
    skew_ms: int
    index_lag_ms: int
    kill_rate: float
    target: str | None
    rates: Mapping[str, float]
    outages: tuple[Outage, ...] = ()
    honours_idempotency: bool = False
    signed: bool = False
    wrapped: bool = False
    shared_ids: bool = False
    lies: bool = False
    rotations: int = 0
    strangers: int = 0
    at_once: bool = False
    notified: float = 0.0  # share of the orders whose caller wants to be told
    deleted: float = 0.0  # share of the orders that are deleted sooner or later
    browsers: int = 0
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def outage(self, family: str, at: int) -> str | None:
        """The fault of `family` that lasts at this instant, if any."""
        for each in self.outages:
            if each.family == family and each.begin <= at < each.end:
                return each.kind
        return None


def draw(chance: random.Random, points: tuple[str, ...], *, lies: bool = False) -> Plan:
    """The plan of a seed: quiet worlds and terrible ones, hasty ones and slow ones."""
    chaos_ms = round(chance.choice((0.1, 0.5, 2, 8, 30)) * 3_600_000)
    base = chance.choice((0.0, 0.02, 0.05, 0.15))
    rates = {family: base * chance.choice((0, 1, 1, 2)) for family in FAULTS}
    # What happens once a task must happen more often to be seen at all.
    rates["poyo.submit"] = chance.choice((0.05, 0.3, 0.3, 0.8))
    rates["poyo.status"] += chance.choice((0.0, 0.0, 0.1, 0.4))
    rates["poyo.work"] = chance.choice((0.1, 0.3, 0.6))
    rates["poyo.callback"] = chance.choice((0.0, 0.2, 0.7))
    if chance.random() < 0.3:  # one wire alone is bad: what hides behind others comes to light
        rates[chance.choice(tuple(FAULTS))] = 0.5
    plan = Plan(
        chaos_ms=chaos_ms,
        orders=chance.randint(2, 8),
        tempo_ms=chance.choice(((0, 0), (1, 30), (1, 30), (5, 400), (50, 6000))),
        skew_ms=chance.choice((0, 1000, 300_000)),
        index_lag_ms=chance.choice((20, 20, 5000, 180_000)),
        kill_rate=chance.choice((0.0, 0.0, 0.003, 0.02)),
        target=chance.choice((*points, None)) if points else None,
        rates=rates,
        outages=_outages(chance, chaos_ms),
        honours_idempotency=chance.random() < 0.3,
        signed=chance.random() < 0.5,
        wrapped=chance.random() < 0.3,
        shared_ids=chance.random() < 0.04,
        lies=lies,
        rotations=chance.choice((0, 0, 1, 4)),
        strangers=chance.choice((0, 2, 10)),
        at_once=chance.random() < 0.5,
        notified=chance.choice((0.0, 0.5, 1.0)),
        deleted=chance.choice((0.0, 0.0, 0.3, 0.9)),
        browsers=chance.choice((0, 1, 5)),
    )
    return _themed(plan, chance)


def _themed(plan: Plan, chance: random.Random) -> Plan:
    """Half of the seeds dwell on something that seldom comes about by itself."""
    theme = chance.choice((*(None,) * 5, *THEMES, "late truth"))
    if theme is None:
        return plan
    changes = dict(THEMES[theme])
    rates = dict(plan.rates) | changes.pop("rates", {})
    target = chance.choice(changes.pop("targets", (plan.target,)))
    return replace(plan, rates=rates, target=target, **changes)


LOST = tuple(kind for kind in FAULTS["poyo.submit"] if "created" in kind or "answer" in kind)
LATER = tuple(kind for kind in FAULTS["poyo.submit"] if kind.startswith(("busy", "not_sent")))
ERASING = ("bucket.put after", "bucket.delete before", "bucket.delete after")
THEMES: Mapping[str, Mapping[str, Any]] = {
    "late truth": {
        "chaos_ms": 40 * 3_600_000,
        "at_once": True,
        "targets": (None, "look table.update revive before", "look table.update revive after"),
        "rates": {"poyo.work": 1.0, "file.fetch": 0.5, "poyo.callback": 0.9},
        "kinds": {
            "poyo.work": ("a_day", "a_day", "stuck"),
            "poyo.callback": ("doubled", "doubled", "late"),
        },
    },
    "lost answers": {
        "rates": {"poyo.submit": 0.8, "poyo.status": 0.5, "poyo.callback": 0.1},
        "kinds": {"poyo.submit": LOST},
    },
    "early callbacks": {
        "chaos_ms": 1_800_000,
        "tempo_ms": (50, 3000),
        "at_once": True,
        "rates": {"poyo.submit": 0.9, "poyo.work": 0.9, "poyo.status": 0.5, "poyo.callback": 0.0},
        "kinds": {
            "poyo.submit": LOST,
            "poyo.work": ("instant",),
            "poyo.status": ("answer_lost", "error_500", "html_502"),
        },
    },
    "at the last minute": {
        "chaos_ms": 2 * 3_600_000,
        "tempo_ms": (50, 3000),
        "at_once": True,
        "rates": {"poyo.submit": 0.9, "poyo.work": 0.0, "poyo.status": 0.5, "poyo.callback": 1.0},
        "kinds": {
            "poyo.submit": LOST,
            "poyo.status": ("answer_lost", "error_500", "html_502"),
            "poyo.callback": ("last_minute",),
        },
    },
    "out of reach": {
        "chaos_ms": 30 * 3_600_000,
        "at_once": True,
        "outages": (
            Outage("file.fetch", "http_403", 0, 30 * 3_600_000),
            Outage("poyo.callback", "late", 0, 30 * 3_600_000),
        ),
        "rates": {"poyo.submit": 0.1, "poyo.work": 0.0},
    },
    "used-up patience": {
        "chaos_ms": 1_800_000,
        "at_once": True,
        "signed": False,
        "strangers": 25,
        "rates": {"poyo.submit": 0.9, "poyo.status": 0.4, "poyo.callback": 0.0},
        "kinds": {"poyo.submit": LOST, "poyo.status": ("unknown_404",)},
    },
    "skewed and slow": {
        "chaos_ms": 1_800_000,
        "skew_ms": 300_000,
        "tempo_ms": (50, 1500),
        "rates": {"poyo.submit": 0.8, "queue.deliver": 0.7, "queue.send": 0.2},
        "kinds": {"poyo.submit": LATER, "queue.deliver": ("twice",), "queue.send": ("doubled",)},
    },
    "keys": {
        "chaos_ms": 1_800_000,
        "rotations": 40,
        "rates": {"secrets.get": 0.0, "poyo.submit": 0.1},
        "kinds": {"poyo.submit": LATER},
    },
    "refusals": {
        "chaos_ms": 1_800_000,
        "notified": 0.5,
        "targets": tuple(
            f"{effect} {side}"
            for effect in ("submit table.update fail", "look table.update defer")
            for side in ("before", "after")
        ),
        "rates": {"poyo.submit": 0.9},
        "kinds": {"poyo.submit": ("busy_429", "busy_429", "moderated_400", "empty_402")},
    },
    "receivers away": {
        "chaos_ms": 3 * 3_600_000,
        "at_once": True,
        "notified": 1.0,
        "deleted": 0.2,
        "outages": (Outage("deliver.post", "unreachable", 0, 1_500_000),),
        "targets": (None, "look deliver.post before", "look deliver.post after"),
        "rates": {"deliver.post": 0.7, "poyo.submit": 0.3},
    },
    "deletions": {
        "chaos_ms": 1_800_000,
        "tempo_ms": (20, 800),
        "skew_ms": 300_000,
        "at_once": True,
        "deleted": 1.0,
        "browsers": 5,
        "targets": (None, *(f"look {effect}" for effect in ERASING)),
        "rates": {"poyo.submit": 0.5, "poyo.work": 0.8, "bucket.delete": 0.4},
        "kinds": {
            "poyo.submit": (*LOST, "moderated_400", "empty_402", "moderated_400", "busy_429"),
            "poyo.work": ("instant", "instant", "two_files", "moderated"),
        },
    },
}


def _outages(chance: random.Random, chaos_ms: int) -> tuple[Outage, ...]:
    def one() -> Outage:
        family = chance.choice([family for family in FAULTS if family != "poyo.work"])
        begin = chance.randrange(chaos_ms)
        end = begin + round(chance.choice((20, 300, 4000)) * 1000)
        return Outage(family, chance.choice(FAULTS[family]), begin, end)

    return tuple(one() for _ in range(chance.choice((0, 0, 1, 3))))
