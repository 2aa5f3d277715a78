"""The event log: what happened, in order, for tests (``GET /control/log``) and for the terminal."""

import logging
from collections import deque
from itertools import islice

from local.poyo_simulator.clock import Clock, naive_timestamp

MAX_EVENTS = 100_000
log = logging.getLogger("poyo")


class EventLog:
    """Keeps the last ``MAX_EVENTS`` events and logs each as one line without prompts or keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: deque[dict[str, object]] = deque(maxlen=MAX_EVENTS)
        self._count = 0

    def add(self, kind: str, task_id: str | None, outcome: str, **facts: object) -> None:
        self._count += 1
        head = {"n": self._count, "at": naive_timestamp(self._clock.now()), "kind": kind}
        self._events.append({**head, "task_id": task_id, "outcome": outcome, **facts})
        faults = facts.get("faults") or []
        injected = f" [{' '.join(faults)}]" if isinstance(faults, list) and faults else ""
        log.info("%-8s %s %s%s", kind, task_id or "-" * 16, outcome, injected)

    def since(self, number: int, **filters: str) -> dict[str, object]:
        """Return the kept events after ``number`` that match the filters, and the newest number."""
        skipped = max(0, number - (self._count - len(self._events)))
        events = [
            event
            for event in islice(self._events, skipped, None)
            if all(event.get(key) == value for key, value in filters.items())
        ]
        return {"events": events, "newest": self._count}
