"""A caller's server on this machine that receives notifications, keeps them and can refuse the first."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from local.poyo_simulator.listener import Listener, ReceivedCallback

BUSY_PATH = "/busy/"  # the first notification to a path below it gets 503


@dataclass(frozen=True)
class ReceivedNotification:
    """One notification, and the reading of the monotonic clock when it came."""

    at: float
    request: ReceivedCallback


class NotificationReceiver(Listener):
    """Keeps the notifications of each path."""

    def __init__(self) -> None:
        super().__init__()
        self.notifications: defaultdict[str, list[ReceivedNotification]] = defaultdict(list)
        self._counting = threading.Lock()

    def receive(self, callback: ReceivedCallback) -> int:
        with self._counting:
            received = self.notifications[callback.path]
            received.append(ReceivedNotification(time.monotonic(), callback))
            return 503 if callback.path.startswith(BUSY_PATH) and len(received) == 1 else 200


@contextmanager
def notification_receiver() -> Iterator[NotificationReceiver]:
    """A receiver that listens while the block runs."""
    with NotificationReceiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
