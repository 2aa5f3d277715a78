"""What a caller may still spend: the limits that an order is reserved under."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import BudgetExhausted, OrdersPaused
from imagetasks.tasks.budgets import DAY, STACK, Budget, Limit, scopes, tightest, token_limit

if TYPE_CHECKING:
    from imagetasks.aws.budget_repository import BudgetRepository, Rules
    from imagetasks.clock import Clock
    from imagetasks.tasks.budgets import Spend
    from imagetasks.tasks.caller import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingDefaults:
    """The deployment's own rules; None is no budget. `stack_daily` is a ceiling beside every budget of
    the stack, `owner_daily` the budget of each owner that has none of its own."""

    stack_daily: Decimal | None = None
    owner_daily: Decimal | None = None
    paused: bool = False

    @classmethod
    def from_env(cls) -> SpendingDefaults:
        """STACK_DAILY_CREDITS and OWNER_DAILY_CREDITS (0: none), and ORDERS_PAUSED."""
        return cls(
            stack_daily=Decimal(os.environ["STACK_DAILY_CREDITS"]) or None,
            owner_daily=Decimal(os.environ["OWNER_DAILY_CREDITS"]) or None,
            paused=os.environ["ORDERS_PAUSED"] == "true",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The limits of a caller, what was spent under each, and whether orders are paused."""

    limits: tuple[Limit, ...]
    spends: Mapping[str, Spend]
    paused: bool

    def refusal(self, credits_: Decimal) -> OrdersPaused | BudgetExhausted | None:
        """Why an order of `credits_` is refused now, None if it is not. Of several limits without room
        the one that is reset last decides, because the order has to wait for that."""
        if self.paused:
            return OrdersPaused("paused")
        full = [each for each in self.limits if not each.allows(self.spends[each.pk], credits_)]
        if not full:
            return None
        last = max(full, key=lambda each: (each.resets_at is None, each.resets_at or 0))
        return BudgetExhausted(last.scope, last.left(self.spends[last.pk]), last.resets_at)

    def narrowest(self) -> Limit | None:
        """The limit that leaves the least, None without any."""
        return min(self.limits, key=lambda each: each.left(self.spends[each.pk]), default=None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Spending:
    """Called by the routes of orders, quotes and budgets. Every method raises DatabaseUnavailable."""

    repository: BudgetRepository
    defaults: SpendingDefaults
    clock: Clock

    def standing(self, caller: Caller) -> Standing:
        """What the caller may spend now."""
        names = scopes(caller)
        rules = self.repository.rules(names.values())
        limits = tightest([*self._limits(names, rules), *token_limit(caller)])
        return Standing(
            limits=limits,
            spends=self.repository.spends(limits),
            paused=rules.paused or self.defaults.paused,
        )

    def admit(self, caller: Caller, estimated_credits: Decimal) -> tuple[Limit, ...]:
        """The limits to reserve a new order under. No state changes: of concurrent orders the
        transaction that creates the task decides, so that this only spares it the attempt.

        Raises OrdersPaused and BudgetExhausted.
        """
        standing = self.standing(caller)
        refusal = standing.refusal(estimated_credits)
        if refusal is not None:
            raise refusal
        return standing.limits

    def report(self, limits: Iterable[Limit]) -> None:
        """Raise the alarm of each soft limit that is passed, once in its period. Called after an order
        was accepted."""
        soft = [limit for limit in limits if limit.soft_credits is not None]
        spends = self.repository.spends(soft)
        for limit in soft:
            passed = spends[limit.pk].committed >= (limit.soft_credits or 0)
            if passed and self.repository.note_soft_limit(limit, now=self.clock.now_ms()):
                telemetry.alarm("soft_budget_reached", scope=limit.scope)

    def _limits(self, names: Mapping[str, str], rules: Rules) -> Iterable[Limit]:
        """The limits of each scope, under the name that callers know it by."""
        now, defaults = self.clock.now_ms(), self.defaults
        if defaults.stack_daily is not None:
            ceiling = Budget(scope=STACK, max_credits=defaults.stack_daily, duration=DAY)
            yield ceiling.limit(now)
        for name, scope in names.items():
            budget = rules.budgets.get(scope)
            if budget is None and name == "owner" and defaults.owner_daily is not None:
                budget = Budget(scope=scope, max_credits=defaults.owner_daily, duration=DAY)
            if budget is not None:
                yield replace(budget.limit(now), scope=name)
