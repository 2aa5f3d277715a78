"""One HTTP request, sent once: the only module that connects to PoYo, and it never retries.

Each request uses a new connection. A kept-alive connection that died while the sandbox was frozen
is noticed only after the paid request was sent, and each such accident would have an unknown outcome.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import urllib3

from imagetasks.errors import HostUnreachable, RequestNotSent, ResponseLost
from imagetasks.outbound.connection import open_connection, request
from imagetasks.outbound.url_policy import PORTS, Target
from imagetasks.poyo.retry_after import header_wait_s
from imagetasks.tasks.host_names import PRINTABLE

CONNECT_S = 3.0  # the name, every address and TLS together
MAX_ADDRESSES = 8  # of PoYo's name
# A request has at most 256 KiB, and an answer may repeat its prompt and addresses more than once.
MAX_RESPONSE_BYTES = 1024 * 1024
READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete HTTP response: `body` has at most `MAX_RESPONSE_BYTES`, `retry_after_s` is the wait
    that its Retry-After names."""

    status: int
    body: bytes
    retry_after_s: float | None = field(default=None, compare=False)


def base_url_from_env() -> str:
    """PoYo's origin from POYO_BASE_URL, without a trailing slash."""
    return os.environ["POYO_BASE_URL"].rstrip("/")


def send(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, read_s: float
) -> HttpResponse:
    """Connect within `CONNECT_S`, then send one request and read its whole response within `read_s`
    seconds: no call lasts longer than both together.

    Raises RequestNotSent if no byte of the request left (name, connect, TLS), ResponseLost for
    everything later: no response, a broken one, one longer than 1 MiB. There is no redirect, .netrc,
    proxy or cookie.
    """
    with ExitStack() as stack:
        try:
            target = _target(url)
            _check_headers(headers)
            connection = stack.enter_context(_connection(target))
        except (HostUnreachable, ValueError) as error:
            raise RequestNotSent(str(error)) from error
        until = time.monotonic() + read_s
        try:
            response = stack.enter_context(
                request(
                    connection,
                    method,
                    target,
                    headers={**headers, **_added_headers(body)},
                    body=body,
                    left_s=lambda: until - time.monotonic(),
                )
            )
        except HostUnreachable as error:
            raise ResponseLost(error.detail) from error
        named = "retry-after" in response.headers
        wait_s = header_wait_s(response.headers, now_s=time.time()) if named else None
        return HttpResponse(response.status, _read(response), wait_s)


def _connection(target: Target) -> AbstractContextManager[urllib3.connection.HTTPConnection]:
    return open_connection(
        target, connect_s=CONNECT_S, left_s=lambda: CONNECT_S, max_addresses=MAX_ADDRESSES
    )


def _target(url: str) -> Target:
    """Where `url` leads; its name is resolved when connecting. Raises ValueError if it is no URL."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or not PRINTABLE.fullmatch(url):
        raise ValueError("PoYo's base URL is no URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port or PORTS[parts.scheme]
    return Target(parts.scheme, parts.hostname, port, path, (parts.hostname,))


def _added_headers(body: bytes | None) -> dict[str, str]:
    length = {} if body is None else {"Content-Length": str(len(body))}
    return {"Accept-Encoding": "identity", **length}


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError for a header that cannot be sent, before anything is."""
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name} cannot be sent")


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """The body, or ResponseLost with what was read of it if it is broken, endless or late."""
    body = bytearray()
    try:
        while chunk := response.read1(READ_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                raise ResponseLost("longer than 1 MiB", partial=bytes(body))
    except urllib3.exceptions.HTTPError as error:
        raise ResponseLost(type(error).__name__, partial=bytes(body)) from error
    return bytes(body)
