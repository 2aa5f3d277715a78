"""Concurrent work on a clock that jumps from event to event: what takes minutes is measured in seconds,
and the same on a busy machine."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import cast

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]


class Timeline:
    """Runs each work in a greenlet, one at a time; `sleep` lets others run."""

    def __init__(self, seed: int = 7) -> None:
        self.now_s = 0.0
        self.rng = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._count = itertools.count()
        self._hub = getcurrent()

    def at(self, when_s: float, act: Callable[[], object]) -> None:
        """Call `act` then."""
        heapq.heappush(self._events, (when_s, next(self._count), act))

    def start(self, work: Callable[[], object], *, after_s: float = 0) -> None:
        """Begin `work` after so many seconds."""
        self.at(self.now_s + after_s, lambda: greenlet(work, parent=self._hub).switch())

    def sleep(self, seconds: float) -> None:
        """Let others run for so many seconds."""
        self.at(self.now_s + seconds, cast(greenlet, getcurrent()).switch)
        self._hub.switch()

    def run(self, *, until_s: float) -> None:
        """Play the events until then."""
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, act = heapq.heappop(self._events)
            act()
