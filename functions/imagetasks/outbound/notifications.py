"""Sending a notification to a caller's server: only to allowed hosts, in bounded time, once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from imagetasks.errors import AddressForbidden, NotificationFailed, NotificationForbidden
from imagetasks.outbound.connection import exchange, map_errors, resolve
from imagetasks.outbound.url_policy import (
    Resolver,
    Target,
    parse_allow_list,
    parse_target,
    resolve_target,
)

HEADERS = {"Content-Type": "application/json", "User-Agent": "imagetasks/1", "Connection": "close"}
_map_errors = partial(map_errors, NotificationFailed, NotificationForbidden)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class NotificationSender:
    """Posts to `hosts`: names (https, 443, public addresses), `*` for all, or whole origins."""

    hosts: tuple[str, ...]
    connect_s: float = 3.0
    total_s: float = 10.0  # as long as PoYo waits for a receiver
    resolve: Resolver = resolve
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def from_env(cls) -> NotificationSender:
        """The hosts in NOTIFICATION_HOSTS, separated by commas; none if it is empty."""
        return cls(hosts=parse_allow_list(os.environ["NOTIFICATION_HOSTS"]))

    def allows(self, url: str) -> bool:
        """Whether notifications may be sent to `url`, as far as the URL says without resolving it."""
        try:
            parse_target(url, hosts=self.hosts)
        except AddressForbidden:
            return False
        return True

    def resolve_target(self, url: str) -> Target:
        """The target of `url` with its addresses.

        Raises NotificationForbidden if we may not connect to it, NotificationFailed if it has no
        address.
        """
        with _map_errors():
            return resolve_target(url, hosts=self.hosts, resolve=self.resolve)

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        """POST `body` once and return if the response is 2xx; the response's body is not read.

        Raises NotificationForbidden if nothing may be sent there, NotificationFailed for everything
        else, including a redirect. Then it may have arrived all the same.
        """
        until = self.clock() + self.total_s
        with (
            _map_errors(),
            exchange(
                "POST",
                self.resolve_target(url),
                headers=HEADERS | dict(headers) | {"Content-Length": str(len(body))},
                body=body,
                connect_s=self.connect_s,
                left_s=lambda: until - self.clock(),
            ) as response,
        ):
            status = response.status
        if not 200 <= status < 300:
            raise NotificationFailed(f"http_{status}")
