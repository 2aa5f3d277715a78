"""Bodies of the responses of `/v1/usage`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypedDict

from imagetasks.api import usage_request
from imagetasks.api.schemas import json_number
from imagetasks.json_schema import Count, JsonSchema, Number
from imagetasks.tasks.budgets import Spend

if TYPE_CHECKING:
    from imagetasks.api.usage_request import Days
    from imagetasks.aws.usage_repository import UsagePage, UsageRow

Day = Annotated[str, JsonSchema(format="date")]


class UsageTotals(TypedDict):
    """Sums of the rows on this page, in credits."""

    tasks: Count
    estimated: Number
    reserved: Number
    charged: Number


class UsageRowBody(TypedDict):
    """Tasks of one day (UTC), owner and model, by when they were ordered: how many, what they were
    estimated at, what is still reserved and what was charged. `owner` is a user as `X-Owner` names it,
    null for the server key itself."""

    day: Day
    owner: str | None
    model: str
    tasks: Count
    estimated: Number
    reserved: Number
    charged: Number


# `from` is a keyword, so that no class can declare it.
_Days = TypedDict("_Days", {"from": Day, "to": Day})


class UsageBody(_Days):
    """Usage by day, owner and model, newest day first; `next_cursor` is null on the last page."""

    rows: Sequence[UsageRowBody]
    totals: UsageTotals
    next_cursor: str | None


def usage_body(days: Days, page: UsagePage) -> UsageBody:
    """The page as JSON."""
    spends = [row.spend for row in page.rows]
    total = Spend(
        tasks=sum(each.tasks for each in spends),
        estimated=sum((each.estimated for each in spends), start=Spend().estimated),
        reserved=sum((each.reserved for each in spends), start=Spend().reserved),
        charged=sum((each.charged for each in spends), start=Spend().charged),
    )
    return {
        "from": days.first,
        "to": days.last,
        "rows": [_row(each) for each in page.rows],
        "totals": _sums(total),
        "next_cursor": usage_request.cursor(page.last) if page.last else None,
    }


def _row(row: UsageRow) -> UsageRowBody:
    owner = usage_request.user_of(row.key.owner)
    return {"day": row.key.day, "owner": owner, "model": row.key.model, **_sums(row.spend)}


def _sums(spend: Spend) -> UsageTotals:
    return {
        "tasks": spend.tasks,
        "estimated": json_number(spend.estimated) or 0,
        "reserved": json_number(spend.reserved) or 0,
        "charged": json_number(spend.charged) or 0,
    }
