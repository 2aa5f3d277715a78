"""Time, chance and patience, passed in as one value so that a test can hold all three."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from imagetasks.limits import Limits
from imagetasks.tasks.transitions import WriteStamp


def wall_clock_ms() -> int:
    """Milliseconds since 1970: our clock, the only one that decides anything."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """`clock` tells milliseconds; `chance` must not repeat after a snapshot: SystemRandom."""

    now_ms: Callable[[], int]
    rng: random.Random
    limits: Limits

    def stamp(self) -> WriteStamp:
        """Now, under a stamp that no other transition has."""
        return WriteStamp(self.now_ms(), f"{self.rng.getrandbits(96):024x}")

    def after(self, seconds: float) -> int:
        """The instant `seconds` from now."""
        return self.now_ms() + round(seconds * 1000)

    def has_elapsed(self, instant: int, seconds: int) -> bool:
        """Whether `instant` lies at least `seconds` back."""
        return self.now_ms() - instant >= seconds * 1000

    def backoff_s(self, tries: int, bounds_s: tuple[int, int]) -> float:
        """Full jitter: anything up to the first bound doubled `tries` times, or the second."""
        first_s, most_s = bounds_s
        return self.rng.uniform(0, min(most_s, first_s * 2 ** min(tries, 20)))

    def fast_retry_s(self, tries: int, bounds_s: tuple[int, int]) -> float:
        """A few quick tries around 5, 15, 45 s while somebody waits, then `backoff_s`."""
        steps = self.limits.fast_retry_s
        if tries < len(steps):
            return steps[tries] * self.rng.uniform(0.8, 1.2)
        return self.backoff_s(tries - len(steps), bounds_s)


def system_clock(limits: Limits) -> Clock:
    """The real clock and the operating system's randomness."""
    return Clock(now_ms=wall_clock_ms, rng=random.SystemRandom(), limits=limits)
