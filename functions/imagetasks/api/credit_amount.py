"""Amounts of credits in bodies: exact decimals with a few places, whatever a number's text looks like."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

MAX_CREDITS = 1_000_000_000
MAX_DECIMALS = 4


def is_number(value: Any) -> bool:
    """Whether `value` is a number of a body that was read exactly."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def has_too_many_decimals(value: int | Decimal) -> bool:
    """Whether `value`, of MAX_CREDITS at most, is none that `credit_amount` keeps as it is."""
    return credit_amount(value) != value


def credit_amount(value: int | Decimal) -> Decimal:
    """`value`, of MAX_CREDITS at most, with MAX_DECIMALS and no further zeros behind them: DynamoDB takes 38
    digits of a number, and JSON has no limit."""
    return round(Decimal(value), MAX_DECIMALS).normalize()
