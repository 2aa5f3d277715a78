"""Answers that are whole by a deadline, or a TimeoutError.

A timeout of a socket starts anew with every byte, so it never fires on a server that dribbles, be
it the status line, the headers or the body. Here every read gets what is left of the whole.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from typing import Any, cast


def deadline_response(
    sock: socket.socket, *args: Any, left_s: Callable[[], float], **kwargs: Any
) -> http.client.HTTPResponse:
    """The `response_class` of a connection whose answers are read only while seconds are left."""
    answer = http.client.HTTPResponse(sock, *args, **kwargs)
    raw = answer.fp.detach()
    answer.fp = io.BufferedReader(_Timely(raw, sock, left_s))
    return answer


def deadline_reader(sock: socket.socket, left_s: Callable[[], float]) -> io.BufferedReader:
    """What comes in from `sock`, read only while seconds are left."""
    return io.BufferedReader(_Timely(sock.makefile("rb", buffering=0), sock, left_s))


def set_remaining_timeout(sock: socket.socket, left_s: Callable[[], float]) -> None:
    """What `sock` does next gets the seconds that are left. Raises TimeoutError when none are."""
    seconds = left_s()
    if seconds <= 0:
        raise TimeoutError("the whole took too long")
    sock.settimeout(seconds)


class _Timely(io.RawIOBase):
    """A socket's bytes, each read given only the time that is left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._raw, self._sock, self._left_s = raw, sock, left_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        set_remaining_timeout(self._sock, self._left_s)
        return cast(int | None, self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()
