"""DynamoDB's typed attribute values, such as {"S": "text"} and {"N": "1"}, from and to Python values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Clamped, Context, Decimal, Inexact, Overflow, Rounded, Underflow
from typing import Any

# DynamoDB's numbers have 38 digits. What would have to be rounded to them is an error, as with boto3.
NUMBERS = Context(
    Emin=-128, Emax=126, prec=38, traps=[Clamped, Overflow, Inexact, Rounded, Underflow]
)


def marshal(item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The attributes of `item` as typed values. Raises TypeError for what DynamoDB cannot store, or
    decimal.Rounded, Overflow or Underflow for a number."""
    return {name: _typed(value) for name, value in item.items()}


def unmarshal(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The typed values of `item` as Python values; every number is a Decimal."""
    return {name: _plain(value) for name, value in item.items()}


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | Decimal):
        return {"N": _digits(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, Mapping):
        return {"M": marshal(value)}
    if isinstance(value, list | tuple):
        return {"L": [_typed(each) for each in value]}
    raise TypeError(f"DynamoDB has no type for {type(value).__name__}")


def _digits(value: int | Decimal) -> str:
    number = NUMBERS.create_decimal(value)
    if not number.is_finite():
        raise TypeError(f"DynamoDB has no {number}")
    return str(number)


def _plain(typed: Mapping[str, Any]) -> Any:
    [(kind, value)] = typed.items()
    return _PLAIN[kind](value)


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "S": str,
    "N": Decimal,
    "BOOL": bool,
    "NULL": lambda _: None,
    "M": unmarshal,
    "L": lambda values: [_plain(each) for each in values],
}
