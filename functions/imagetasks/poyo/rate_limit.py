"""PoYo's rate limit and a circuit breaker: when the next submit may be sent.

All submits of a stack are counted in one item, window by window. Submits beyond the limit stay
`pending` until a later window, rather than being sent and rejected with 429. After several
consecutive submits failed on PoYo's side, only one submit at a time is let through, in ever fewer
windows, until one succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetasks.clock import Clock

WINDOW_PK = "account"
MAX_PROBE_WINDOWS = 32  # at most this many windows between two probes while PoYo fails


@dataclass(frozen=True, slots=True)
class Slot:
    """Seconds that a submit has to wait (None: send it now), and whether it follows failures."""

    wait_s: float | None
    after_failures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitWindow:
    """The window that counted our submit, the submit's number in it (from 1), and the consecutive
    failures before it."""

    window: int
    sent: int
    consecutive_failures: int

    def slot(self, clock: Clock) -> Slot:
        """Now, or at a random time in the window that has room."""
        limits = clock.limits
        excess = self.consecutive_failures - limits.breaker_threshold
        every = min(MAX_PROBE_WINDOWS, 2**excess) if excess >= 0 else 1
        room = 1 if excess >= 0 else limits.window_submits
        after_failures = self.consecutive_failures > 0
        if self.window % every == 0 and self.sent <= room:
            return Slot(None, after_failures)
        ahead = every - self.window % every if excess >= 0 else (self.sent - 1) // room
        later = (self.window + ahead + every * clock.rng.random()) * limits.window_s * 1000
        wait_s = max(1.0, (later - clock.now_ms()) / 1000)
        return Slot(min(limits.submit_backoff_s[1], wait_s), after_failures)


def current_window(clock: Clock) -> int:
    """The number of the current window."""
    return clock.now_ms() // (clock.limits.window_s * 1000)
