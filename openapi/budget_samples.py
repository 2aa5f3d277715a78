"""Examples of the bodies about budgets, usage and quotes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from imagetasks.api.budget_bodies import budget_body
from imagetasks.api.quote_bodies import quote
from imagetasks.api.usage_bodies import usage_body
from imagetasks.api.usage_request import Days
from imagetasks.aws.usage_repository import UsagePage, UsageRow
from imagetasks.tasks.budgets import Budget, Spend
from imagetasks.tasks.usage import UsageKey
from imagetasks.workflows.budget_settings import BudgetState
from imagetasks.workflows.spending import Standing
from openapi.offered import MODELS

START = 1_790_000_000_000
BUDGETS = {
    "daily": {"max_credits": 500, "budget_duration": "1d", "soft_credits": 400},
    "once": {"max_credits": 12.5, "budget_duration": None},
}
BUDGET = Budget(scope="key", max_credits=Decimal(500), soft_credits=Decimal(400))
LIMIT = replace(BUDGET.limit(START), scope="key")
SPENDS = {LIMIT.pk: Spend(tasks=60, reserved=Decimal(16), charged=Decimal("104.64"))}
BUDGET_STATE = BudgetState(
    budget=BUDGET,
    source="api",
    limit=LIMIT,
    ceiling=None,
    spends=SPENDS,
)
USER, SERVER = (Spend(tasks=n, estimated=Decimal(2 * n), charged=Decimal(2 * n)) for n in (12, 3))
USAGE = UsagePage(
    (
        UsageRow(UsageKey(day="2026-11-28", model="gpt-image-2", owner="website/ann"), USER),
        UsageRow(UsageKey(day="2026-11-27", model="gpt-image-2-edit", owner="website"), SERVER),
    ),
    None,
)
DAYS = Days("2026-11-22", "2026-11-28")
STANDING = Standing(limits=(LIMIT,), spends=SPENDS, paused=False, now=START)


def response_bodies() -> Mapping[str, Mapping[str, Any]]:
    """Response bodies of the operations on budgets, usage and quotes, by operation and example name."""
    budget = {"daily": budget_body("key", BUDGET_STATE)}
    order = {"size": "1:1", "resolution": "4K"}
    return {
        "readBudget": budget,
        "setBudget": budget,
        "listUsage": {"week": usage_body(DAYS, USAGE)},
        "quote": {"billed_lower": quote(MODELS["gpt-image-2"], order, STANDING)},
    }
