"""Watches every connection this thread attempts, by the interpreter's own audit events."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Watch:
    """What was attempted: addresses connected to, and names that the system was asked for."""

    allowed: frozenset[tuple[str, int]]
    thread: int = field(default_factory=threading.get_ident)
    connects: list[Any] = field(default_factory=list)
    lookups: list[Any] = field(default_factory=list)

    def saw(self, event: str, arguments: tuple[Any, ...]) -> None:
        if threading.get_ident() != self.thread:
            return
        if event == "socket.getaddrinfo":
            self.lookups.append(arguments[0])
        elif event == "socket.connect":
            self.connects.append(arguments[1])
            if tuple(arguments[1][:2]) not in self.allowed:
                raise ConnectionRefusedError


_watches: list[Watch] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watches and event in ("socket.connect", "socket.getaddrinfo"):
        _watches[-1].saw(event, arguments)


sys.addaudithook(_hook)


@contextmanager
def watching(*allowed: tuple[str, int]) -> Iterator[Watch]:
    """Connections to anything but `allowed` are noted and refused while the block runs."""
    _watches.append(Watch(frozenset(allowed)))
    try:
        yield _watches[-1]
    finally:
        _watches.pop()
