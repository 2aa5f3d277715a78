"""Bodies of the responses about budgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypedDict

from imagetasks.api.schemas import OrderWarning, json_number, rfc3339
from imagetasks.json_schema import Instant, Number
from imagetasks.tasks.budgets import DAY, duration_ms

if TYPE_CHECKING:
    from imagetasks.tasks.budgets import Limit
    from imagetasks.workflows.budget_settings import BudgetState


class CeilingBody(TypedDict):
    """The deployment's own limit of the whole stack (`StackDailyCredits`): no server key can lift it."""

    max_credits: Number
    left: Number
    budget_reset_at: Instant | None


class BudgetBody(TypedDict):
    """A scope's budget in its current period. `source` is `api` if it was set over the API, `deployment`
    if it is the deployment's default, and null without a budget: then all else is null, too."""

    scope: str
    max_credits: Number | None
    budget_duration: str | None
    soft_credits: Number | None
    reserved: Number | None
    charged: Number | None
    left: Number | None
    budget_reset_at: Instant | None
    source: Literal["api", "deployment"] | None
    ceiling: CeilingBody | None
    warnings: Sequence[OrderWarning]


def budget_body(name: str, state: BudgetState) -> BudgetBody:
    """The budget as JSON; `name` is its scope as the caller named it."""
    budget, limit = state.budget, state.limit
    body: BudgetBody = {
        "scope": name,
        "max_credits": None,
        "budget_duration": None,
        "soft_credits": None,
        "reserved": None,
        "charged": None,
        "left": None,
        "budget_reset_at": None,
        "source": state.source,
        "ceiling": _ceiling(state),
        "warnings": [{"pointer": "/max_credits", "detail": each} for each in _warnings(state)],
    }
    if budget is None or limit is None:
        return body
    spend = state.spends[limit.pk]
    return {
        **body,
        "max_credits": json_number(budget.max_credits),
        "budget_duration": budget.duration,
        "soft_credits": json_number(budget.soft_credits),
        "reserved": json_number(spend.reserved),
        "charged": json_number(spend.charged),
        "left": json_number(limit.left(spend)),
        "budget_reset_at": _reset(limit),
    }


def _ceiling(state: BudgetState) -> CeilingBody | None:
    limit = state.ceiling
    if limit is None:
        return None
    return {
        "max_credits": json_number(limit.max_credits) or 0,
        "left": json_number(limit.left(state.spends[limit.pk])) or 0,
        "budget_reset_at": _reset(limit),
    }


def _reset(limit: Limit | None) -> str | None:
    return None if limit is None or limit.resets_at is None else rfc3339(limit.resets_at)


def _warnings(state: BudgetState) -> Iterator[str]:
    """What of a budget is valid but perhaps not intended."""
    budget, limit, ceiling = state.budget, state.limit, state.ceiling
    if budget is None or limit is None:
        return
    committed, highest = state.spends[limit.pk].committed, budget.max_credits
    until = f"until {rfc3339(limit.resets_at)}" if limit.resets_at else "as long as it is set"
    if committed > highest:
        yield (
            f"{json_number(committed)} credits of this period are reserved or charged already, more than "
            f"the budget: new orders are refused {until}"
        )
    elif not highest:
        yield "a budget of 0 credits refuses every order"
    if ceiling is None or state.source != "api" or budget.duration is None:
        return
    days = max(Decimal(1), Decimal(duration_ms(budget.duration)) / duration_ms(DAY))
    if highest > ceiling.max_credits * days:
        yield (
            f"the deployment's StackDailyCredits allow {json_number(ceiling.max_credits)} credits a day, "
            "so that this budget is never used up"
        )
