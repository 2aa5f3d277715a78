"""The clock of the simulated PoYo: its speed can change, it can stop, and it can be moved forward."""

import asyncio
import math
import time
from datetime import UTC, datetime


class Clock:
    """Counts unix seconds at ``speed`` times real time; every change wakes the sleepers."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._base_s = time.time()
        self._measured_at = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def speed(self) -> float:
        return self._speed

    def now(self) -> float:
        return self._base_s + (time.monotonic() - self._measured_at) * self._speed

    def change(self, *, speed: float, advance_s: float = 0.0) -> None:
        """Move the clock forward by ``advance_s`` seconds and continue at ``speed`` (0 stops it)."""
        self._base_s = self.now() + advance_s
        self._measured_at = time.monotonic()
        self._speed = speed
        self._changed.set()
        self._changed = asyncio.Event()

    def restart(self, *, speed: float) -> None:
        """Set the clock to real time and continue from there at ``speed``."""
        self.change(speed=speed, advance_s=time.time() - self.now())

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, moment: float) -> None:
        """Return when this clock reaches ``moment``, however often its speed changes before."""
        while (left := moment - self.now()) > 0:
            endless = math.isinf(left) or self._speed == 0
            try:
                await asyncio.wait_for(
                    self._changed.wait(), None if endless else left / self._speed
                )
            except TimeoutError:
                continue


def naive_timestamp(moment: float) -> str:
    """Format a moment as PoYo's ``created_time``: UTC, whole seconds, without a time zone."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
