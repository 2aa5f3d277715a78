"""Responses that are complete by a deadline, or a TimeoutError.

A socket's timeout restarts with every byte, so it never fires for a server that sends its status
line, headers or body byte by byte. Here every read gets only the time that is left of the whole.
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
    """The `response_class` of a connection whose response is read only while `left_s()` is positive."""
    return _FinalResponse(cast(Any, _DeadlineSocket(sock, left_s)), *args, **kwargs)


def set_remaining_timeout(sock: socket.socket, left_s: Callable[[], float]) -> None:
    """Give the next operation on `sock` the seconds that are left. Raises TimeoutError if none are."""
    seconds = left_s()
    if seconds <= 0:
        raise TimeoutError("the whole took too long")
    sock.settimeout(seconds)


class _FinalResponse(http.client.HTTPResponse):
    """Skips every interim response, such as 103 Early Hints, as the parent class skips 100 Continue
    (RFC 9110 §15.2)."""

    fp: Any = None  # Python closes a response whose constructor Ctrl-C has interrupted, too

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, http.client.CONTINUE if 102 <= status < 200 else status, reason


class _DeadlineSocket:
    """As much of a socket as a response uses."""

    def __init__(self, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._sock, self._left_s = sock, left_s

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The bytes that come, by the deadline."""
        raw = self._sock.makefile("rb", buffering=0)
        return io.BufferedReader(_DeadlineReader(raw, self._sock, self._left_s))


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes, each read limited to the time that is left."""

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
