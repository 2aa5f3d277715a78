"""What PoYo's credits cost in US dollars."""

from __future__ import annotations

from decimal import Decimal

# PoYo's list price, the same for every model; what an account pays after discounts is not known here.
USD_PER_CREDIT = Decimal("0.005")


def usd(amount: Decimal) -> Decimal:
    """The exact list price of an amount of credits in US dollars."""
    return amount * USD_PER_CREDIT
