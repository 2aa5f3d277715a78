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


def timely(
    sock: socket.socket, *args: Any, left_s: Callable[[], float], **kwargs: Any
) -> http.client.HTTPResponse:
    """The `response_class` of a connection whose answers are read only while seconds are left."""
    answer = http.client.HTTPResponse(sock, *args, **kwargs)
    raw = answer.fp.detach()
    answer.fp = io.BufferedReader(_Timely(raw, sock, left_s))
    return answer


class _Timely(io.RawIOBase):
    """A socket's bytes, each read given only the time that is left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._raw, self._sock, self._left_s = raw, sock, left_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._left_s()
        if left_s <= 0:
            raise TimeoutError("the whole answer took too long")
        self._sock.settimeout(left_s)
        return cast(int | None, self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()
