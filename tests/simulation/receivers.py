"""The callers' own servers seen through Deliveries: slow, refusing, forgetful, away for hours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from imagetasks.errors import NotificationFailed, NotificationForbidden
from tests.simulation.scheduler import World

HOOKS = "https://caller.invalid/CANARY-hook/"
MOST_MS = 10_000  # that a receiver is waited for

Said = Callable[[str, Any, Mapping[str, str]], None]


class SimulatedDeliveries:
    """`post` of Deliveries; `posting` sees every try, `taken` those that a receiver took."""

    def __init__(self, world: World, posting: Said, taken: Said) -> None:
        self._world = world
        self._posting = posting
        self._taken = taken

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        """Send `body` once."""
        said = json.loads(body)
        self._posting(url, said, headers)
        self._world.effect("deliver.post", lambda: self._post(url, said, headers), slow=2)

    def _post(self, url: str, said: Any, headers: Mapping[str, str]) -> None:
        fault = self._world.fault("deliver.post")
        if fault == "not_allowed":
            raise NotificationForbidden("address_private")
        if fault == "unreachable":
            raise NotificationFailed("unreachable")
        if fault == "refused":
            raise NotificationFailed("http_503")
        if fault == "too_slow":
            self._world.sleep(MOST_MS)
            raise NotificationFailed("too_slow")
        self._taken(url, said, headers)
        if fault == "answer_lost":
            self._world.sleep(self._world.chance.uniform(0, MOST_MS))
            raise NotificationFailed("no_answer")
