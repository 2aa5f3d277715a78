"""Time, randomness and limits, passed in as one value so that tests control all three."""

from __future__ import annotations

import base64
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from imagetasks.limits import Limits


@dataclass(frozen=True, slots=True)
class WriteStamp:
    """When a write happens (`now`, milliseconds) and a random token that no other write has."""

    now: int
    write_token: str


@dataclass(slots=True, eq=False, repr=False)
class Invocation:
    """The invocation that runs now: Lambda runs one at a time. Without one, time is unlimited."""

    left_ms: Callable[[], float] = field(default=lambda: math.inf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Clock:
    """`now_ms` returns milliseconds since 1970; `rng` must not repeat after a snapshot is restored,
    so production uses SystemRandom."""

    now_ms: Callable[[], int]
    rng: random.Random
    limits: Limits
    invocation: Invocation = field(default_factory=Invocation)

    def begin(self, left_ms: Callable[[], float]) -> None:
        """An invocation begins; `left_ms` says how long (ms) it may still run. Called by handlers."""
        self.invocation.left_ms = left_ms

    def time_left_s(self) -> float:
        """Seconds until the platform ends the running invocation."""
        return self.invocation.left_ms() / 1000

    def stamp(self) -> WriteStamp:
        """The current time with a new write token."""
        token = base64.urlsafe_b64encode(self.rng.getrandbits(96).to_bytes(12))
        return WriteStamp(self.now_ms(), token.decode())

    def after(self, seconds: float) -> int:
        """The instant `seconds` from now."""
        return self.now_ms() + round(seconds * 1000)

    def attempt_due_at(self) -> int:
        """When a task is reconciled whose submit begins now: neither before its sender must be gone nor
        before the first poll, so that confirming PoYo's id need not move it in the due index."""
        return self.after(max(self.limits.submit_lease_s, self.limits.first_poll_s))

    def lies_ahead(self, instant: int | None, *, from_s: float, until_s: float) -> bool:
        """Whether `instant` is between `from_s` and `until_s` seconds from now."""
        return instant is not None and self.after(from_s) <= instant <= self.after(until_s)

    def has_elapsed(self, instant: int, seconds: int) -> bool:
        """Whether `instant` is at least `seconds` ago."""
        return self.now_ms() - instant >= seconds * 1000

    def backoff_s(self, tries: int, bounds_s: tuple[int, int]) -> float:
        """Exponential backoff with full jitter: 0 to min(second bound, first bound * 2**tries)."""
        first_s, max_s = bounds_s
        return self.rng.uniform(0, min(max_s, first_s * 2 ** min(tries, 20)))

    def fast_retry_s(self, tries: int, bounds_s: tuple[int, int]) -> float:
        """A few quick retries (about 5, 15 and 45 s) because a user is waiting, then `backoff_s`."""
        delays = self.limits.fast_retry_s
        if tries < len(delays):
            return delays[tries] * self.rng.uniform(0.8, 1.2)
        return self.backoff_s(tries - len(delays), bounds_s)


def wall_clock_ms() -> int:
    """Milliseconds since 1970 by our own clock, the only one that decides anything."""
    return time.time_ns() // 1_000_000


def system_clock(limits: Limits) -> Clock:
    """The real time and the operating system's randomness."""
    return Clock(now_ms=wall_clock_ms, rng=random.SystemRandom(), limits=limits)
