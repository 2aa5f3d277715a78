"""API Gateway's throttle: a token bucket."""

import time
from collections.abc import Callable


class Throttle:
    """Admits `rate` requests a second, and as many at once, which is the template's burst."""

    def __init__(self, rate: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._now = rate, now
        self._tokens, self._at = float(rate), now()

    def admits(self) -> bool:
        """Whether one more request may pass."""
        now = self._now()
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
