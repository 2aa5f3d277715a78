"""The clock everything here lives by: it can run fast, stand still, and be pushed forward."""

import asyncio
import math
import time
from datetime import UTC, datetime


class Clock:
    """Counts unix seconds at ``speed`` times the world's pace; sleepers notice every change."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._moment = time.time()
        self._measured = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def speed(self) -> float:
        return self._speed

    def now(self) -> float:
        return self._moment + (time.monotonic() - self._measured) * self._speed

    def change(self, *, speed: float, advance_s: float = 0.0) -> None:
        """Goes on at ``speed`` (0 stands still), ``advance_s`` seconds later than it was."""
        self._moment = self.now() + advance_s
        self._measured = time.monotonic()
        self._speed = speed
        self._changed.set()
        self._changed = asyncio.Event()

    def restart(self, *, speed: float) -> None:
        """Shows the world's time again and goes on from there at ``speed``."""
        self.change(speed=speed, advance_s=time.time() - self.now())

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, moment: float) -> None:
        """Returns when this clock shows ``moment``, however often its pace changes meanwhile."""
        while (left := moment - self.now()) > 0:
            endless = math.isinf(left) or self._speed == 0
            try:
                await asyncio.wait_for(
                    self._changed.wait(), None if endless else left / self._speed
                )
            except TimeoutError:
                continue


def naive(moment: float) -> str:
    """PoYo's ``created_time``: to the second, and silent about its zone."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
