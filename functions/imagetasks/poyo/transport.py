"""One HTTP request, sent once: the only module that connects to PoYo, and it never retries.

Each request uses a new connection. A kept-alive connection that died while the sandbox was frozen
is noticed only after the paid request was sent, and each such accident would have an unknown outcome.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter

from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.outbound.deadline import deadline_response

CONNECT_S = 3.0
MAX_RESPONSE_BYTES = 64 * 1024  # a status is a few hundred bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete HTTP response: `body` has at most `MAX_RESPONSE_BYTES`."""

    status: int
    body: bytes


def base_url_from_env() -> str:
    """PoYo's origin from POYO_BASE_URL, without a trailing slash."""
    return os.environ["POYO_BASE_URL"].rstrip("/")


def send(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, read_s: float
) -> HttpResponse:
    """Send one request and read its whole response within `read_s` seconds of having sent it.

    Raises RequestNotSent if no byte of the request left (name, connect, TLS), ResponseLost for
    everything later: no response, a broken one, one longer than 64 KiB. Without a session there is
    no redirect, .netrc, proxy or cookie.
    """
    request = requests.Request(
        method, url, headers=dict(headers) | {"Accept-Encoding": "identity"}, data=body
    )
    with closing(_Adapter()) as adapter:
        try:
            prepared = request.prepare()
        except requests.RequestException as error:
            raise RequestNotSent(type(error).__name__) from error
        try:
            response = adapter.send(prepared, stream=True, timeout=(CONNECT_S, read_s))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _classified(error) from error
        with closing(response):
            return HttpResponse(response.status_code, _read(response))


def _read(response: requests.Response) -> bytes:
    """The body, or ResponseLost if it is broken, endless or late."""
    body = b""
    try:
        while chunk := response.raw.read1(8192, decode_content=True):
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                raise ResponseLost("the answer is longer than 64 KiB")
    except urllib3.exceptions.HTTPError as error:
        raise ResponseLost(type(error).__name__) from error
    return body


def _classified(error: Exception) -> RequestNotSent | ResponseLost:
    """Sent or not: decided by where it failed, never by the text of the error."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return RequestNotSent(type(reason.__cause__ or reason).__name__)
    if isinstance(error, requests.ConnectTimeout):
        return RequestNotSent(type(error).__name__)
    return ResponseLost(type(error).__name__)


class _HTTP(urllib3.connection.HTTPConnection):
    """Marks every failure before the connection is established, so that it cannot be mistaken for a
    later one, and gives the whole response, headers included, one timeout."""

    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise urllib3.exceptions.NewConnectionError(self, "not connected") from error

    def getresponse(self) -> Any:
        until = time.monotonic() + cast(float, self.timeout)
        response: Any = partial(deadline_response, left_s=lambda: until - time.monotonic())
        self.response_class = response
        return super().getresponse()


class _HTTPS(_HTTP, urllib3.connection.HTTPSConnection):
    """The same over TLS: a failed handshake is a failure to connect."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


class _Adapter(HTTPAdapter):
    """No retries, and connections that know whether they were established."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
