"""A caller's own receiver of callbacks on this machine: it remembers, and refuses where it is told to."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from local.poyo_simulator.listener import Listener, ReceivedCallback

BUSY = "/busy/"  # whoever calls a path below it is refused the first time


@dataclass(frozen=True)
class Call:
    """One callback, and when it came by the monotonic clock."""

    at: float
    rung: ReceivedCallback


class Receiver(Listener):
    """Keeps the calls of each path."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: defaultdict[str, list[Call]] = defaultdict(list)
        self._counting = threading.Lock()

    def receive(self, rung: ReceivedCallback) -> int:
        with self._counting:
            calls = self.calls[rung.path]
            calls.append(Call(time.monotonic(), rung))
            return 503 if rung.path.startswith(BUSY) and len(calls) == 1 else 200


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens while the block runs."""
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
