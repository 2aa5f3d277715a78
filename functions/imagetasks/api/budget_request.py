"""Bodies of budgets, validated field by field; credits are exact decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict

from imagetasks.api import json_body
from imagetasks.api.credit_amount import (
    MAX_CREDITS,
    MAX_DECIMALS,
    credit_amount,
    has_too_many_decimals,
    is_number,
)
from imagetasks.api.field_errors import field_error
from imagetasks.errors import InvalidOrder
from imagetasks.json_schema import JsonSchema
from imagetasks.poyo.input_words import MAX_ERRORS, json_type, pointer_below, unknown_field
from imagetasks.tasks.budgets import DAY, DURATION, duration_ms

ALLOWED: Mapping[str, str] = {
    "max_credits": f"a number of credits from 0, which refuses every order, to {MAX_CREDITS:,}, with at "
    f"most {MAX_DECIMALS} decimals",
    "budget_duration": "a period of hours or days such as 1h, 12h, 1d or 30d, of at most 366 days, or null "
    "for a budget that never resets",
    "soft_credits": f"a number of credits from 0 to `max_credits`, with at most {MAX_DECIMALS} decimals",
}
CreditLimit = Annotated[float, JsonSchema(minimum=0, maximum=MAX_CREDITS)]
Duration = Annotated[str, JsonSchema(pattern=f"^{DURATION.pattern}$")]


class BudgetRequest(TypedDict):
    """The body of `PUT /v1/budgets/{scope}`."""

    max_credits: CreditLimit
    budget_duration: NotRequired[Annotated[Duration | None, JsonSchema(default=DAY)]]
    soft_credits: NotRequired[CreditLimit | None]


class BudgetTerms(TypedDict):
    """What a valid body says: `duration` is None for a budget that never resets."""

    max_credits: Decimal
    duration: str | None
    soft_credits: Decimal | None


def parse(body: bytes) -> BudgetTerms:
    """The budget in `body`. Raises InvalidOrder, which names every wrong field and what is allowed."""
    fields = json_body.parse_object(body, exact=True)
    if problems := list(_problems(fields)):
        raise InvalidOrder(problems[:MAX_ERRORS])
    soft = fields.get("soft_credits")
    return {
        "max_credits": credit_amount(fields["max_credits"]),
        "duration": fields.get("budget_duration", DAY),
        "soft_credits": None if soft is None else credit_amount(soft),
    }


def _problems(fields: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    faults = {
        "max_credits": _credits_fault(fields.get("max_credits")),
        "budget_duration": _duration_fault(fields.get("budget_duration", DAY)),
        "soft_credits": fields.get("soft_credits") is not None
        and (_credits_fault(fields["soft_credits"]) or _soft_fault(fields)),
    }
    if "max_credits" not in fields:
        faults["max_credits"] = "is missing"
    for name, fault in faults.items():
        if fault:
            yield field_error(f"/{name}", f"`{name}` {fault}; `{name}` must be {ALLOWED[name]}")
    for name in fields:
        if name not in ALLOWED:
            yield field_error(pointer_below("", name), unknown_field(name, ALLOWED, {}))


def _credits_fault(value: Any) -> str | None:
    """What is wrong with an amount of credits."""
    if not is_number(value):
        return f"is {json_type(value)}"
    if value < 0:
        return "is negative"
    if value > MAX_CREDITS:
        return "is too large"
    if has_too_many_decimals(value):
        return f"has more than {MAX_DECIMALS} decimals"
    return None


def _soft_fault(fields: Mapping[str, Any]) -> str | None:
    """What is wrong with a valid amount as the soft limit of this budget."""
    highest = fields.get("max_credits")
    if _credits_fault(highest) is None and fields["soft_credits"] > highest:
        return "is greater than `max_credits`"
    return None


def _duration_fault(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return f"is {json_type(value)}"
    try:
        duration_ms(value)
    except ValueError:
        return "is longer than 366 days" if DURATION.fullmatch(value) else "is not a period"
    return None
