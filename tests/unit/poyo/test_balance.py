"""CachedBalance: one request a minute, and errors are not cached."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from imagetasks.errors import PoyoUnavailable
from imagetasks.poyo.balance import BALANCE_TTL_S, CachedBalance
from tests.support.fakes import ManualClock


def results(*values: Decimal | Exception) -> Callable[[], Decimal]:
    """A `fetch` that returns or raises the next of `values`."""
    remaining = iter(values)

    def fetch() -> Decimal:
        value = next(remaining)
        if isinstance(value, Exception):
            raise value
        return value

    return fetch


def test_balance_is_fetched_again_after_a_minute() -> None:
    time = ManualClock()
    balance = CachedBalance(results(Decimal(9), Decimal(7)), clock=time.seconds)

    assert [balance(), balance()] == [Decimal(9)] * 2
    time.forward(BALANCE_TTL_S - 1)
    assert balance() == 9
    time.forward(1)

    assert balance() == 7


def test_failed_fetch_is_raised_and_repeated_at_the_next_call() -> None:
    time = ManualClock()
    balance = CachedBalance(
        results(PoyoUnavailable("500"), Decimal(9), PoyoUnavailable("500")), clock=time.seconds
    )

    with pytest.raises(PoyoUnavailable):
        balance()
    assert balance() == 9
    time.forward(BALANCE_TTL_S)

    with pytest.raises(PoyoUnavailable):
        balance()
