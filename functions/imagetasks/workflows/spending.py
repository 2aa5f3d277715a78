"""What a caller may still spend: the limits that an order is reserved under."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import BudgetExhausted, OrdersPaused
from imagetasks.tasks.budgets import DAY, OWNER, STACK, Budget, Limit, scopes, tightest, token_limit
from imagetasks.tasks.caller import OWNER_SEPARATOR
from imagetasks.workflows.credit_metrics import record_stack_left

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

    def ceiling(self) -> Budget | None:
        """What bounds all orders together, whatever budgets are set over the API."""
        if self.stack_daily is None:
            return None
        return Budget(scope=STACK, max_credits=self.stack_daily, duration=DAY)

    def of_owner(self, scope: str) -> Budget | None:
        """The budget of an owner's scope that has none of its own; None for other scopes."""
        if self.owner_daily is None or not scope.startswith(OWNER):
            return None
        return Budget(scope=scope, max_credits=self.owner_daily, duration=DAY)


@dataclass(frozen=True, slots=True)
class Headroom:
    """Whether an order is allowed, by the limit of `scope`, which has `left` credits until `resets_at`
    (milliseconds; None: it never resets)."""

    allowed: bool
    scope: str
    left: Decimal
    resets_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The limits of a caller, what was spent under each, and whether orders are paused."""

    limits: tuple[Limit, ...]
    spends: Mapping[str, Spend]
    paused: bool
    now: int

    def refusal(self, credits_: Decimal) -> OrdersPaused | BudgetExhausted | None:
        """Why an order of `credits_` is refused now, None if it is not."""
        return OrdersPaused("paused") if self.paused else self.exhausted(credits_)

    def exhausted(self, credits_: Decimal) -> BudgetExhausted | None:
        """The limit without room for an order of `credits_`, None if all have it. Of several the one that
        is reset last decides, because the order has to wait for that."""
        full = [each for each in self.limits if not each.allows(self.spends[each.pk], credits_)]
        if not full:
            return None
        last = max(full, key=lambda each: (each.resets_at is None, each.resets_at or 0))
        waits = [each.wait_s(credits_, self.now) for each in full]
        return BudgetExhausted(
            last.scope,
            last.left(self.spends[last.pk]),
            last.resets_at,
            wait_s=None if None in waits else last.wait_s(credits_, self.now),
        )

    def headroom(self, credits_: Decimal) -> Headroom | None:
        """Whether the limits allow an order of `credits_`, and what the limit that decides leaves: the one
        without room, else the one that leaves least. None without any limit."""
        if full := self.exhausted(credits_):
            return Headroom(False, full.scope, full.left, full.resets_at)
        shown = self._shown()
        if not shown:
            return None
        least = min(shown, key=lambda each: each.left(self.spends[each.pk]))
        return Headroom(True, least.scope, least.left(self.spends[least.pk]), least.resets_at)

    def _shown(self) -> Sequence[Limit]:
        """The limits whose room the caller may read: a browser token's and its owner's, because the others
        tell what other users spend, and every one for a server key."""
        own = [each for each in self.limits if each.is_token or each.scope == "owner"]
        return own if any(each.is_token for each in own) else self.limits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Spending:
    """Called by the routes of orders, quotes and budgets. Every method raises DatabaseUnavailable."""

    repository: BudgetRepository
    defaults: SpendingDefaults
    clock: Clock

    def standing(self, caller: Caller, rules: Rules | None = None) -> Standing:
        """What the caller may spend now, by `rules` or as the table says."""
        names, now = scopes(caller), self.clock.now_ms()
        rules = rules or self.repository.rules(names.values())
        limits = tightest([*self._limits(names, rules, now), *token_limit(caller)])
        return Standing(
            limits=limits,
            spends=self.repository.spends(limits),
            paused=rules.paused or self.defaults.paused,
            now=now,
        )

    def admit(
        self, caller: Caller, estimated_credits: Decimal, rules: Rules | None = None
    ) -> tuple[Limit, ...]:
        """The limits to reserve a new order under. No state changes: of concurrent orders the
        transaction that creates the task decides, so that this only spares it the attempt.

        Raises OrdersPaused and BudgetExhausted.
        """
        standing = self.standing(caller, rules)
        refusal = standing.refusal(estimated_credits)
        if refusal is not None:
            raise refusal
        if ceiling := self.defaults.ceiling():
            spend = standing.spends[ceiling.limit(standing.now).pk]
            record_stack_left(ceiling.max_credits - spend.committed - estimated_credits)
        return standing.limits

    def report_refusal(self, error: Exception, caller: Caller) -> None:
        """Raise the alarm of the stack's own limit if that refused an order, be it before the order's
        transaction or in it."""
        if isinstance(error, BudgetExhausted) and error.scope == STACK:
            telemetry.alarm("stack_budget_exhausted", server_key=caller.key)

    def report(self, limits: Iterable[Limit]) -> None:
        """Raise the alarm of each soft limit that is passed, once in its period unless it is raised.
        Called after an order was accepted."""
        soft = {limit: limit.soft_credits for limit in limits if limit.soft_credits is not None}
        spends = self.repository.spends(soft)
        for limit, soft_credits in soft.items():
            if not spends[limit.pk].passes_first(soft_credits):
                continue  # a write would compete with the transactions of further orders
            if self.repository.note_soft_limit(limit, soft_credits):
                telemetry.alarm("soft_budget_reached", scope=limit.scope, server_key=_key_of(limit))

    def _limits(self, names: Mapping[str, str], rules: Rules, now: int) -> Iterable[Limit]:
        """The limits of each scope, under the name that callers know it by."""
        if ceiling := self.defaults.ceiling():
            yield ceiling.limit(now)
        for name, scope in names.items():
            budget = rules.budgets.get(scope) or self.defaults.of_owner(scope)
            if budget is not None:
                yield replace(budget.limit(now), scope=name)


def _key_of(limit: Limit) -> str | None:
    """The server key whose budget it is, or one of whose owners'; None for the stack's. The log names no
    users."""
    name = limit.pk.split("#", 3)[-1].partition(":")[2]
    return name.partition(OWNER_SEPARATOR)[0] or None
