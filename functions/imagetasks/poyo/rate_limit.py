"""PoYo's patience with one account: whose turn it is to submit, and when to hold everybody back.

All submits of a stack are counted in one row, window by window. What a window has no room for
waits in `pending` for a later one instead of collecting refusals. After a few submits in a row that
went wrong on PoYo's side only single ones are let through, ever more seldom, until one goes well.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagetasks.clock import Clock

WINDOW_PK = "account"
MAX_PROBE_WINDOWS = 32  # windows between two attempts while PoYo is in trouble


@dataclass(frozen=True, slots=True)
class Slot:
    """How many seconds a submit has to wait (None: go now), and whether PoYo was in trouble."""

    wait_s: float | None
    troubled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitWindow:
    """The window our submit was counted in, its number there (from 1), and the trouble before it."""

    window: int
    sent: int
    trouble: int

    def slot(self, clock: Clock) -> Slot:
        """Now, or somewhere in the window that has room."""
        limits = clock.limits
        worse = self.trouble - limits.breaker_threshold
        every = min(MAX_PROBE_WINDOWS, 2**worse) if worse >= 0 else 1
        room = 1 if worse >= 0 else limits.window_submits
        if self.window % every == 0 and self.sent <= room:
            return Slot(None, self.trouble > 0)
        ahead = every - self.window % every if worse >= 0 else (self.sent - 1) // room
        later = (self.window + ahead + every * clock.rng.random()) * limits.window_s * 1000
        wait_s = max(1.0, (later - clock.now_ms()) / 1000)
        return Slot(min(limits.submit_backoff_s[1], wait_s), self.trouble > 0)


def current_window(clock: Clock) -> int:
    """The number of the window that now belongs to."""
    return clock.now_ms() // (clock.limits.window_s * 1000)
