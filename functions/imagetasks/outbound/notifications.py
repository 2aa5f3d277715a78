"""Delivering a client's own callback: to whom it may go, in bounded time, and whether it was taken."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

import urllib3.connection

from imagetasks.errors import AddressForbidden, NotificationFailed, NotificationForbidden
from imagetasks.outbound.connection import (
    host_header,
    map_errors,
    map_network_errors,
    open_connection,
    resolve,
)
from imagetasks.outbound.deadline import deadline_reader, set_remaining_timeout
from imagetasks.outbound.url_policy import (
    Resolver,
    Target,
    parse_allow_list,
    parse_target,
    resolve_target,
)

STATUS = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
LINES, LINE_BYTES = 100, 4096  # as much of an answer is read in search of its status
CHUNK_BYTES = 16 * 1024
HEADERS = {"Content-Type": "application/json", "User-Agent": "imagetasks/1", "Connection": "close"}
_mapped = partial(map_errors, NotificationFailed, NotificationForbidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSender:
    """Posts to `hosts`: names (https, 443, public addresses), `*` for all, or whole origins."""

    hosts: tuple[str, ...]
    connect_s: float = 3.0
    total_s: float = 10.0  # PoYo gives a receiver as long
    resolve: Resolver = resolve
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def from_env(cls) -> NotificationSender:
        """The hosts listed, comma-separated, in NOTIFICATION_HOSTS; when it is empty nobody is called."""
        return cls(hosts=parse_allow_list(os.environ["NOTIFICATION_HOSTS"]))

    def allows(self, url: str) -> bool:
        """Whether `url` is one that may be called, as far as it tells without being resolved."""
        try:
            parse_target(url, hosts=self.hosts)
        except AddressForbidden:
            return False
        return True

    def resolve_target(self, url: str) -> Target:
        """Where `url` leads, resolved once.

        Raises DeliveryForbidden when we may not connect there, DeliveryFailed when it has no address.
        """
        with _mapped():
            return resolve_target(url, hosts=self.hosts, resolve=self.resolve)

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        """Send `body` once and return when it was taken: answered 2xx, of which no more is read.

        Raises DeliveryForbidden when nothing may be sent there, DeliveryFailed on everything
        else, a redirect included. Then it may have arrived all the same.
        """
        until = self.clock() + self.total_s

        def left_s() -> float:
            return until - self.clock()

        target = self.resolve_target(url)
        way = open_connection(target, connect_s=self.connect_s, left_s=left_s)
        with _mapped(), way as standing, map_network_errors():
            _send(standing, target, body, headers, left_s)
            with deadline_reader(standing.sock, left_s) as answer:
                code = status(iter(partial(answer.readline, LINE_BYTES), b""))
        if not 200 <= code < 300:
            raise NotificationFailed(f"http_{code}")


def status(lines: Iterable[bytes]) -> int:
    """The status of an answer: the first that does not only announce another one (100 to 199).

    Raises DeliveryFailed when the first hundred lines have none.
    """
    few = islice(lines, LINES)
    for line in few:
        found = STATUS.fullmatch(line)
        if not found:
            break
        if found[1] >= b"200":
            return int(found[1])
        for header in few:
            if not header.strip():
                break
    raise NotificationFailed("no_answer")


def _send(
    standing: urllib3.connection.HTTPConnection,
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    left_s: Callable[[], float],
) -> None:
    """The whole request, or a TimeoutError."""

    def pieces() -> Iterator[bytes]:  # over TLS a timeout starts anew with every piece
        for start in range(0, len(body), CHUNK_BYTES):
            set_remaining_timeout(standing.sock, left_s)
            yield body[start : start + CHUNK_BYTES]

    ours = {"Host": host_header(target), "Content-Length": str(len(body))}
    standing.request("POST", target.path, body=pieces(), headers=HEADERS | dict(headers) | ours)
