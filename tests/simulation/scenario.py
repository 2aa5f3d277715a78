"""What a seed simulates: how often each fault happens, how slow everything is, who does what."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tests.simulation.faults import FAULTS, Outage
from tests.simulation.themes import THEMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The parameters of one run; instants in ms since its start."""

    chaos_ms: int  # faults happen until then
    orders: int
    latency_ms: tuple[float, float]
    skew_ms: int  # by at most so much each sandbox's clock is wrong
    index_lag_ms: int
    crash_rate: float  # probability of a crash before and after each effect
    crash_point: str | None  # where this run crashes more often
    fault_rates: Mapping[str, float]
    outages: tuple[Outage, ...] = ()
    honours_idempotency: bool = False  # PoYo honours the Idempotency-Key header
    signed_callbacks: bool = False
    wrapped_bodies: bool = False
    duplicate_poyo_ids: bool = False
    upstream_denies: bool = False
    rotations: int = 0
    attacks: int = 0
    orders_at_once: bool = False
    notified_share: float = 0.0  # share of the orders with a notification URL
    deleted_share: float = 0.0  # share of the orders that are deleted sooner or later
    list_readers: int = 0
    stack_daily: Decimal | None = None  # the deployment's own limits
    owner_daily: Decimal | None = None
    token_share: float = 0.0  # share of the orders with a browser token
    operator_acts: int = 0
    settles: int = 0
    fault_kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def outage(self, family: str, at: int) -> str | None:
        """The kind of fault that the outage of `family` at this instant causes, if there is one."""
        for each in self.outages:
            if each.family == family and each.begin <= at < each.end:
                return each.kind
        return None


def random_scenario(
    rng: random.Random, points: tuple[str, ...], *, upstream_denies: bool = False
) -> Scenario:
    """The scenario of a seed: with few or many faults, fast or slow; `points` are crash points."""
    chaos_ms = round(rng.choice((0.1, 0.5, 1.5, 3, 7.5)) * 3_600_000)
    scenario = Scenario(
        chaos_ms=chaos_ms,
        orders=rng.randint(2, 8),
        latency_ms=rng.choice(((0, 0), (1, 30), (1, 30), (5, 400), (50, 6000))),
        skew_ms=rng.choice((0, 1000, 300_000)),
        index_lag_ms=rng.choice((20, 20, 5000, 180_000)),
        crash_rate=rng.choice((0.0, 0.0, 0.003, 0.02)),
        crash_point=rng.choice((*points, None)) if points else None,
        fault_rates=_fault_rates(rng),
        outages=_outages(rng, chaos_ms),
        honours_idempotency=rng.random() < 0.3,
        signed_callbacks=rng.random() < 0.5,
        wrapped_bodies=rng.random() < 0.3,
        duplicate_poyo_ids=rng.random() < 0.04,
        upstream_denies=upstream_denies or rng.random() < 0.15,
        rotations=rng.choice((0, 0, 1, 4)),
        attacks=rng.choice((0, 2, 10)),
        orders_at_once=rng.random() < 0.5,
        notified_share=rng.choice((0.0, 0.5, 1.0)),
        deleted_share=rng.choice((0.0, 0.0, 0.3, 0.9)),
        list_readers=rng.choice((0, 1, 5)),
        stack_daily=rng.choice((None, None, None, Decimal("9.3"), Decimal(40))),
        owner_daily=rng.choice((None, None, None, Decimal("6.9"), Decimal(20))),
        token_share=rng.choice((0.0, 0.0, 0.0, 0.5, 1.0)),
        operator_acts=rng.choice((0, 0, 0, 3, 12)),
        settles=rng.choice((0, 1, 4)),
    )
    return _with_theme(scenario, rng)


def _fault_rates(rng: random.Random) -> dict[str, float]:
    base = rng.choice((0.0, 0.02, 0.05, 0.15))
    rates = {family: base * rng.choice((0, 1, 1, 2)) for family in FAULTS}
    # These happen about once a task: at the base rate most runs would not have them at all.
    rates["poyo.submit"] = rng.choice((0.05, 0.3, 0.3, 0.8))
    rates["poyo.status"] += rng.choice((0.0, 0.0, 0.1, 0.4))
    rates["poyo.work"] = rng.choice((0.1, 0.3, 0.6))
    rates["poyo.callback"] = rng.choice((0.0, 0.2, 0.7))
    if rng.random() < 0.3:  # one service fails often: this shows what other faults would hide
        rates[rng.choice(tuple(FAULTS))] = 0.5
    return rates


def _with_theme(scenario: Scenario, rng: random.Random) -> Scenario:
    """Two thirds of the seeds get a theme, because random scenarios seldom reach its situation."""
    theme = rng.choice((*(None,) * 5, *THEMES, "late_results"))
    if theme is None:
        return scenario
    changes = dict(THEMES[theme])
    rates = dict(scenario.fault_rates) | changes.pop("fault_rates", {})
    crash_point = rng.choice(changes.pop("crash_points", (scenario.crash_point,)))
    return replace(scenario, fault_rates=rates, crash_point=crash_point, **changes)


def _outages(rng: random.Random, chaos_ms: int) -> tuple[Outage, ...]:
    def one() -> Outage:
        family = rng.choice([family for family in FAULTS if family != "poyo.work"])
        begin = rng.randrange(chaos_ms)
        end = begin + round(rng.choice((20, 300, 4000)) * 1000)
        return Outage(family, rng.choice(FAULTS[family]), begin, end)

    return tuple(one() for _ in range(rng.choice((0, 0, 1, 3))))
