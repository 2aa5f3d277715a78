"""Records every connection and name lookup that the current thread attempts, through Python's audit events."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ConnectionAudit:
    """The attempts of one thread: addresses it connected to, and host names it looked up."""

    allowed: frozenset[tuple[str, int]]
    thread: int = field(default_factory=threading.get_ident)
    connects: list[Any] = field(default_factory=list)
    lookups: list[Any] = field(default_factory=list)

    def record(self, event: str, arguments: tuple[Any, ...]) -> None:
        if threading.get_ident() != self.thread:
            return
        if event == "socket.getaddrinfo":
            self.lookups.append(arguments[0])
        elif event == "socket.connect":
            self.connects.append(arguments[1])
            if tuple(arguments[1][:2]) not in self.allowed:
                raise ConnectionRefusedError


_audits: list[ConnectionAudit] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _audits and event in ("socket.connect", "socket.getaddrinfo"):
        _audits[-1].record(event, arguments)


sys.addaudithook(_hook)  # an audit hook cannot be removed, so one serves every test


@contextmanager
def audited_connections(*allowed: tuple[str, int]) -> Iterator[ConnectionAudit]:
    """Record connections while the block runs, and refuse every address that is not `allowed`."""
    _audits.append(ConnectionAudit(frozenset(allowed)))
    try:
        yield _audits[-1]
    finally:
        _audits.pop()
