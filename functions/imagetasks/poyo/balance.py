"""PoYo's balance, asked for at most once a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

BALANCE_TTL_S = 60.0  # callers ask far more often than the balance matters


@dataclass(slots=True, eq=False, repr=False)
class CachedBalance:
    """The result of `fetch`, cached for a minute."""

    fetch: Callable[[], Decimal]
    clock: Callable[[], float] = time.time  # the monotonic one may stop between invocations
    _credits: Decimal = Decimal(0)
    _expires_at: float = field(default=float("-inf"))

    def __call__(self) -> Decimal:
        """The balance as of the last minute. Raises what `fetch` raises."""
        if self.clock() >= self._expires_at:
            self._credits, self._expires_at = self.fetch(), self.clock() + BALANCE_TTL_S
        return self._credits
