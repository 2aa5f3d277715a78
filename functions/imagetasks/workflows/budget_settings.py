"""The budgets that server keys set over the API, and what is left of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from imagetasks.tasks.budgets import DAY, STACK, Budget, period_start

if TYPE_CHECKING:
    from imagetasks.tasks.budgets import Limit, Spend
    from imagetasks.workflows.spending import Spending

Source = Literal["api", "deployment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """The budget that counts for a scope, None without any: set over the API, or by the deployment.
    `ceiling` is the deployment's own limit of the stack, which counts beside it. `spends` are the sums
    of each limit's period by the limit's `pk`."""

    budget: Budget | None
    source: Source | None
    limit: Limit | None
    ceiling: Limit | None
    spends: Mapping[str, Spend]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BudgetSettings:
    """The budgets that `spending` holds orders to. Called by the routes of budgets; `scope` is a scope's
    internal name. Every method raises DatabaseUnavailable."""

    spending: Spending

    def get(self, scope: str) -> BudgetState:
        """The budget of `scope`, or the deployment's where it has none of its own."""
        return self._state(scope, self._own(scope))

    def set(
        self,
        scope: str,
        *,
        max_credits: Decimal,
        duration: str | None,
        soft_credits: Decimal | None,
    ) -> BudgetState:
        """Set the budget of `scope`. With the duration that it has already its period continues, so
        that nothing spent is forgotten; with another one a period begins at the start of this hour or
        of this day in UTC."""
        before = self._own(scope)
        if before is not None and before.duration == duration:
            started_at = before.started_at
        else:
            started_at = period_start(duration or DAY, self.spending.clock.now_ms())
        budget = Budget(
            scope=scope,
            max_credits=max_credits,
            duration=duration,
            soft_credits=soft_credits,
            started_at=started_at,
        )
        self.spending.repository.put(budget)
        return self._state(scope, budget)

    def remove(self, scope: str) -> None:
        """Remove the budget of `scope`, if it has one of its own."""
        self.spending.repository.remove(scope)

    def _own(self, scope: str) -> Budget | None:
        return self.spending.repository.rules([scope]).budgets.get(scope)

    def _state(self, scope: str, own: Budget | None) -> BudgetState:
        now = self.spending.clock.now_ms()
        ceiling = self.spending.defaults.ceiling() if scope == STACK else None
        budget = own or ceiling or self.spending.defaults.of_owner(scope)
        limit = None if budget is None else budget.limit(now)
        highest = None if ceiling is None else ceiling.limit(now)
        source: Source = "api" if own else "deployment"
        return BudgetState(
            budget=budget,
            source=source if budget else None,
            limit=limit,
            ceiling=highest,
            spends=self.spending.repository.spends(
                {each.pk: each for each in (limit, highest) if each}.values()
            ),
        )
