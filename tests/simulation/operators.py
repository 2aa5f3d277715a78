"""Operators and server keys that change budgets, pause orders, revoke tokens and settle tasks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from imagetasks.tasks import transition_writes
from imagetasks.tasks.caller import SCOPES, Token, token_to_item
from tests.simulation.functions import Functions, token_id_of
from tests.simulation.sandbox import Sandbox
from tests.simulation.scheduler import BEGIN_MS, HOUR_MS, Simulator
from tests.simulation.spending_invariants import listed_query

OWNERS = ("owner0", "owner1")
SCOPES_OF_BUDGETS = ("stack", *(f"{kind}:{owner}" for kind in ("key", "owner") for owner in OWNERS))
LIMITS = tuple(map(Decimal, ("0", "2.36", "5.05", "8", "30", "30")))
DAY_MS = 24 * HOUR_MS
DURATIONS = (None, "1h", "1d", "2d")


def first_items(simulator: Simulator) -> list[dict[str, Any]]:
    """The items from before the run: the browser tokens that clients use, one of each owner, and a budget
    whose soft limit the first order passes. None in many runs."""
    items = _tokens(simulator) if simulator.scenario.token_share else []
    if simulator.scenario.operator_acts:
        started_at = BEGIN_MS // DAY_MS * DAY_MS
        budget = {"max_credits": LIMITS[-1], "duration": "1d", "started_at": started_at}
        items.append({"pk": "budget#stack", "soft_credits": LIMITS[1] / 10, **budget})
    return items


def _tokens(simulator: Simulator) -> list[dict[str, Any]]:
    rng, scenario = simulator.rng, simulator.scenario
    made = [
        Token(
            token_id=token_id_of(owner),
            key=owner,
            key_id="",
            owner=owner,
            scopes=SCOPES,
            max_credits=rng.choice(LIMITS[2:]),
            ends_at=BEGIN_MS + scenario.chaos_ms + 900_000,
            max_tasks=rng.choice((None, 1, 3)),
        )
        for owner in OWNERS
    ]
    return [token_to_item(each) for each in made]


class Operator:
    """Does one random thing at a time."""

    def __init__(self, simulator: Simulator, functions: Functions) -> None:
        self._simulator = simulator
        self._functions = functions

    def act(self) -> None:
        """Do one of the things that operators and server keys do."""
        rng = self._simulator.rng
        rng.choice((self._set_budget, self._set_budget, self._remove, self._pause, self._revoke))()

    def settle(self) -> None:
        """Say of every unresolved task what PoYo kept for it."""
        amount = self._simulator.rng.choice((Decimal(0), Decimal("1.11"), Decimal("2.37")))

        def work(sandbox: Sandbox) -> None:
            index, partition = listed_query()
            for key in sandbox.table.query_page(index, partition, limit=100, after=None):
                task = sandbox.repository.get(key["pk"].removeprefix("unresolved#"))
                write = transition_writes.settle(
                    task, sandbox.clock.stamp(), charged_credits=amount
                )
                sandbox.updater.apply(write)

        self._operate(f"settles for {amount}", work)

    def _set_budget(self) -> None:
        rng = self._simulator.rng
        scope, limit = rng.choice(SCOPES_OF_BUDGETS), rng.choice(LIMITS)
        duration, soft = rng.choice(DURATIONS), rng.choice((None, limit / 2))
        self._operate(
            f"{limit} for {scope} in {duration}",
            lambda sandbox: sandbox.budgets.set(
                scope, max_credits=limit, duration=duration, soft_credits=soft
            ),
        )

    def _remove(self) -> None:
        scope = self._simulator.rng.choice(SCOPES_OF_BUDGETS)
        self._operate(f"no budget for {scope}", lambda sandbox: sandbox.budgets.remove(scope))

    def _pause(self) -> None:
        self._set_pause(paused=True)
        resumes_s = self._simulator.rng.choice((1, 30, 600))
        self._simulator.after(resumes_s, lambda: self._set_pause(paused=False))

    def _set_pause(self, *, paused: bool) -> None:
        self._operate(
            "pauses" if paused else "resumes",
            lambda sandbox: sandbox.spending.repository.pause(
                paused=paused, now=sandbox.clock.now_ms()
            ),
        )

    def _revoke(self) -> None:
        owner = self._simulator.rng.choice(OWNERS)
        self._operate(
            f"revokes the token of {owner}",
            lambda sandbox: sandbox.tokens.revoke(
                token_id_of(owner), key=owner, now=sandbox.clock.now_ms()
            ),
        )

    def _operate(self, subject: str, work: Callable[[Sandbox], Any]) -> None:
        self._functions.operate(subject, work)
