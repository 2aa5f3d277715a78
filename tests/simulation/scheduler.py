"""A seeded scheduler that interleaves many simulated processes in one thread.

An effect is one call to an external service. Its request takes time, it happens at one instant,
and its response takes time: other processes run in between, and the process may crash before or
after it.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import greenlet  # type: ignore[import-untyped]

from tests.simulation.faults import FAULTS
from tests.simulation.process import InvariantViolated, Killed, OnEnd, Process, TraceLine
from tests.simulation.scenario import Scenario

BEGIN_MS = 1_800_057_000_000  # a run starts on 15 January 2027, ten minutes before midnight UTC
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MAX_TARGETED_CRASHES = 3  # at the scenario's crash point
MAX_EVENTS = 200_000  # a run with more events than this never ends


@dataclass(eq=False)
class Simulator:
    """The clock, the random numbers, the scheduled events and the trace of one run."""

    scenario: Scenario
    rng: random.Random
    now: int = BEGIN_MS
    fault_free_since: int | None = None  # when the last fault ended
    trace: list[TraceLine] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    tracing: bool = True
    _heap: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _events: int = 0
    _until: int = BEGIN_MS  # no action later than this runs now
    _hub: Any = field(default_factory=greenlet.getcurrent)
    _current: Process | None = None

    def at(self, when: int, action: Callable[[], None]) -> None:
        """Schedule `action` at `when` (ms); actions of one instant run in the order of scheduling."""
        heapq.heappush(self._heap, (max(when, self.now), self._next_event(), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedule `action` in `seconds` from now."""
        self.at(self.now + round(seconds * 1000), action)

    def next_at(self) -> int | None:
        """When the next action is scheduled, None when there is none."""
        return self._heap[0][0] if self._heap else None

    @property
    def fault_free(self) -> bool:
        """Whether the time of faults is over."""
        return self.fault_free_since is not None

    @property
    def caches_expired(self) -> bool:
        """Whether every secret that was cached during the faults has been read again since."""
        return (
            self.fault_free_since is not None and self.now - self.fault_free_since > 6 * MINUTE_MS
        )

    @property
    def pending(self) -> int:
        """The number of scheduled actions."""
        return len(self._heap)

    def run(self, until: int, *, is_over: Callable[[], bool] = lambda: False) -> None:
        """Run all actions up to `until` (ms), until none is scheduled, or until `is_over` after an
        instant's last action."""
        self._until = until
        while self._heap and self._heap[0][0] <= until:
            if self._heap[0][0] > self.now and is_over():
                return
            self.now, _, action = heapq.heappop(self._heap)
            action()

    def spawn(
        self,
        actor: str,
        operation: str,
        work: Callable[[], Any],
        *,
        timeout_s: float,
        on_end: OnEnd,
    ) -> None:
        """Start a process; it is killed after `timeout_s`, as Lambda does."""
        process = Process(actor, operation, self.now + round(timeout_s * 1000), work)
        process.run = greenlet.greenlet(
            lambda: process.main(lambda result: on_end(process, result)), self._hub
        )
        self.at(self.now, lambda: self._resume(process))

    def sleep(self, ms: float) -> None:
        """Let other processes run for `ms`. Raises Killed if the process times out before that."""
        process = self.process
        wake = self.now + round(ms)
        end = min(wake, process.deadline)
        if end <= self._until and (not self._heap or self._heap[0][0] > end):
            # Nothing happens before: the process goes on at once, as if the hub had resumed it.
            self._next_event()
            self.now = end
        else:
            self.at(end, lambda: self._resume(process))
            self._hub.switch()
        if wake > process.deadline:
            raise Killed

    def effect[T](
        self,
        what: str,
        act: Callable[[], T],
        *,
        latency_factor: float = 1.0,
        describe: Callable[[T], str] = lambda _: "",
    ) -> T:
        """Call `act` at one instant, after one delay and before another; it may sleep and raise.

        `latency_factor` multiplies both delays; `describe` renders the result for the trace.
        Raises Killed when the process crashes before or after the effect.
        """
        process = self.process
        process.effects.append(what)
        point, before, after = _points(process.operation, what)
        self.counts["effect", point] += 1
        self._crash_point(before, latency_factor)
        try:
            result = act()
        except Killed:
            self.counts["crash", after] += 1
            self.record(process.actor, what, "killed during the effect")
            raise
        except Exception as error:
            process.failures.add(what)
            self.record(process.actor, what, _error_name(error))
            self._crash_point(after, latency_factor)
            raise
        if self.tracing:
            self.record(process.actor, what, describe(result))
        self._crash_point(after, latency_factor)
        return result

    def fault(self, family: str) -> str | None:
        """The kind of fault of `family` that happens now, None for none."""
        if self.fault_free_since is not None:
            return None
        kind = self.scenario.outage(family, self.now - BEGIN_MS)
        if kind is None and self.rng.random() < self.scenario.fault_rates[family]:
            kind = self.rng.choice(self.scenario.fault_kinds.get(family, FAULTS[family]))
        if kind:
            self.counts["fault", f"{family} {kind}"] += 1
        return kind

    def record(self, actor: str, what: str, outcome: str = "") -> None:
        """Add a line to the trace."""
        if self.tracing:
            self.trace.append(TraceLine(self.now - BEGIN_MS, actor, what, outcome))

    @property
    def process(self) -> Process:
        """The process that runs now."""
        assert self._current is not None, "an effect outside of any process"
        return self._current

    def _crash_point(self, point: str, latency_factor: float) -> None:
        """The delay of a request or a response, after which the process may crash."""
        low, high = (1, 30) if self.fault_free else self.scenario.latency_ms
        try:
            self.sleep(self.rng.uniform(low, high) * latency_factor)
            self._maybe_crash(point)
        except Killed:
            self.counts["crash", point] += 1
            self.record(self.process.actor, "killed", point)
            raise

    def _maybe_crash(self, point: str) -> None:
        """Raises Killed with the probability that the scenario gives."""
        if self.fault_free:
            return
        targeted = (
            point == self.scenario.crash_point
            and self.counts["crash", point] < MAX_TARGETED_CRASHES
        )
        rate = 0.5 if targeted else self.scenario.crash_rate
        if rate and self.rng.random() < rate:
            raise Killed

    def _next_event(self) -> int:
        """The number of a new event. Raises InvariantViolated if there are too many."""
        self._events += 1
        if self._events > MAX_EVENTS:
            raise InvariantViolated(f"a run ends: more than {MAX_EVENTS} events")
        return self._events

    def _resume(self, process: Process) -> None:
        self._current = process
        process.run.switch()
        self._current = None


@cache
def _points(operation: str, what: str) -> tuple[str, str, str]:
    """The name of an effect, and of the crash points before and after it."""
    point = f"{operation} {what}"
    return point, f"{point} before", f"{point} after"


def _error_name(error: Exception) -> str:
    response: Any = getattr(error, "response", None)
    code = f" {response['Error']['Code']}" if isinstance(response, dict) else ""
    return f"{type(error).__name__}{code}"
