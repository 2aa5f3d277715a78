"""The callers' simulated servers: slow, failing, unavailable, or losing their response."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from imagetasks.errors import NotificationFailed, NotificationForbidden
from tests.simulation.scheduler import Simulator

NOTIFICATION_URLS = "https://caller.invalid/CANARY-notification/"
TIMEOUT_MS = 10_000

OnNotification = Callable[[str, Any, Mapping[str, str]], None]


class SimulatedReceivers:
    """Replaces NotificationSender.

    `on_attempt` is called for every notification, `on_accepted` for those that a receiver accepted.
    """

    def __init__(
        self, simulator: Simulator, on_attempt: OnNotification, on_accepted: OnNotification
    ) -> None:
        self._simulator = simulator
        self._on_attempt = on_attempt
        self._on_accepted = on_accepted

    def allows(self, url: str) -> bool:
        """Whether the url may be a receiver's: every one is."""
        return url.startswith(NOTIFICATION_URLS)

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        """Send a notification once. Raises NotificationFailed or NotificationForbidden."""
        content = json.loads(body)
        self._on_attempt(url, content, headers)
        self._simulator.effect(
            "notification.post", lambda: self._post(url, content, headers), latency_factor=2
        )

    def _post(self, url: str, content: Any, headers: Mapping[str, str]) -> None:
        fault = self._simulator.fault("notification.post")
        if fault == "not_allowed":
            raise NotificationForbidden("address_private")
        if fault == "unreachable":
            raise NotificationFailed("unreachable")
        if fault == "http_503":
            raise NotificationFailed("http_503")
        if fault == "too_slow":
            self._simulator.sleep(TIMEOUT_MS)
            raise NotificationFailed("too_slow")
        self._on_accepted(url, content, headers)
        if fault == "response_lost":
            self._simulator.sleep(self._simulator.rng.uniform(0, TIMEOUT_MS))
            raise NotificationFailed("no_answer")
