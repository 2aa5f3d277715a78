"""One thread, many processes: a seeded scheduler that changes between them at every effect.

An effect is any call on a wire. Its request travels, it happens at one instant, its answer
travels back: others act in between, and the process may die before or after it.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import greenlet  # type: ignore[import-untyped]

from tests.simulation.faults import FAULTS
from tests.simulation.process import Broken, End, Killed, Line, Process
from tests.simulation.scenario import Plan

BEGIN_MS = 1_800_000_000_000  # the simulated world begins on 15 January 2027
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MOST_AIMED = 3  # deaths at the one point that a seed aims at
MOST_EVENTS = 200_000  # a run that needs more than this is running in circles


@dataclass(eq=False)
class World:
    """Time, chance, and everything that is going on."""

    plan: Plan
    chance: random.Random
    now: int = BEGIN_MS
    calm_at: int | None = None  # from here on no wire fails
    told: list[Line] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    telling: bool = True
    _heap: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _events: int = 0
    _hub: Any = field(default_factory=greenlet.getcurrent)
    _current: Process | None = None

    def at(self, when: int, action: Callable[[], None]) -> None:
        """Let `action` happen at `when`; of two at one instant the first told comes first."""
        self._events += 1
        heapq.heappush(self._heap, (max(when, self.now), self._events, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let `action` happen `seconds` from now."""
        self.at(self.now + round(seconds * 1000), action)

    def next_at(self) -> int | None:
        """When the next thing happens, None when nothing will."""
        return self._heap[0][0] if self._heap else None

    @property
    def calm(self) -> bool:
        """Whether the faults are over."""
        return self.calm_at is not None

    @property
    def settled(self) -> bool:
        """Whether they are so long over that no secret read while they lasted is still believed."""
        return self.calm_at is not None and self.now - self.calm_at > 6 * MINUTE_MS

    @property
    def pending(self) -> int:
        """How many things are still to happen."""
        return len(self._heap)

    def run(self, until: int) -> None:
        """Let everything happen up to `until`, or until nothing is left to happen."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            action()
            if self._events > MOST_EVENTS:
                raise Broken(f"it runs in circles: {MOST_EVENTS} events")

    def spawn(
        self,
        actor: str,
        verb: str,
        work: Callable[[], Any],
        *,
        timeout_s: float,
        ended: Callable[[Process, End], None],
    ) -> None:
        """Start a process; after `timeout_s` seconds its platform kills it."""
        process = Process(actor, verb, self.now + round(timeout_s * 1000), work)
        process.run = greenlet.greenlet(
            lambda: process.main(lambda end: ended(process, end)), self._hub
        )
        self.at(self.now, lambda: self._resume(process))

    def sleep(self, ms: float) -> None:
        """Let others act for `ms`; the process is killed if its time is up before that."""
        process = self.process
        wake = self.now + round(ms)
        self.at(min(wake, process.deadline), lambda: self._resume(process))
        self._hub.switch()
        if wake > process.deadline:
            raise Killed

    def effect[T](
        self,
        what: str,
        act: Callable[[], T],
        *,
        slow: float = 1.0,
        show: Callable[[T], str] = lambda _: "",
    ) -> T:
        """Have `act` happen at one instant; it may sleep, fail and be cut off before or after.

        `slow` stretches its way there and back; `show` says in the story what came back.
        """
        process = self.process
        process.effects.append(what)
        point = f"{process.verb} {what}"
        self.counts["effect", point] += 1
        self._cut(f"{point} before", slow)
        try:
            result = act()
        except Killed:
            self.counts["crash", f"{point} after"] += 1
            self.tell(process.actor, what, "done, and the process died")
            raise
        except Exception as error:
            process.failures.add(what)
            self.tell(process.actor, what, _named(error))
            self._cut(f"{point} after", slow)
            raise
        if self.telling:
            self.tell(process.actor, what, show(result))
        self._cut(f"{point} after", slow)
        return result

    def fault(self, family: str) -> str | None:
        """Which fault of `family` strikes now, if any; none does once the world is calm."""
        if self.calm:
            return None
        kind = self.plan.outage(family, self.now - BEGIN_MS)
        if kind is None and self.chance.random() < self.plan.rates[family]:
            kind = self.chance.choice(self.plan.kinds.get(family, FAULTS[family]))
        if kind:
            self.counts["fault", f"{family} {kind}"] += 1
        return kind

    def tell(self, actor: str, what: str, outcome: str = "") -> None:
        """Add a line to the story."""
        if self.telling:
            self.told.append(Line(self.now - BEGIN_MS, actor, what, outcome))

    @property
    def process(self) -> Process:
        """The process that is acting now."""
        assert self._current is not None, "an effect outside of any process"
        return self._current

    def _cut(self, point: str, slow: float) -> None:
        """The way of a request or an answer, on which the process may die."""
        try:
            self._travel(slow)
            self._survive(point)
        except Killed:
            self.counts["crash", point] += 1
            self.tell(self.process.actor, "killed", point)
            raise

    def _travel(self, slow: float) -> None:
        low, high = (1, 30) if self.calm else self.plan.tempo_ms
        self.sleep(self.chance.uniform(low, high) * slow)

    def _survive(self, point: str) -> None:
        """Raises Killed where the seed has it so."""
        if self.calm:
            return
        aimed = point == self.plan.target and self.counts["crash", point] < MOST_AIMED
        rate = 0.5 if aimed else self.plan.kill_rate
        if rate and self.chance.random() < rate:
            raise Killed

    def _resume(self, process: Process) -> None:
        self._current = process
        process.run.switch()
        self._current = None


def _named(error: Exception) -> str:
    response: Any = getattr(error, "response", None)
    code = f" {response['Error']['Code']}" if isinstance(response, dict) else ""
    return f"{type(error).__name__}{code}"
