"""One HTTP request, once: the only thing that speaks to PoYo, and it never repeats itself.

A fresh connection for each request: a kept-alive one that died while the sandbox was frozen is
noticed only after the paid request went out, and every such accident would look ambiguous.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter

from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.outbound.deadline import deadline_response
from imagetasks.poyo.reply import HttpResponse

CONNECT_S = 3.0
MAX_RESPONSE_BYTES = 64 * 1024  # a status is a few hundred bytes


def base_url_from_env() -> str:
    """The upstream's origin, without a trailing slash."""
    return os.environ["POYO_BASE_URL"].rstrip("/")


def send(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, read_s: float
) -> HttpResponse:
    """Send one request and read its whole answer within `read_s` seconds of having sent it.

    Raises NotSent when not a byte of the request left (name, connect, TLS), AnswerLost on
    everything later: no answer, a broken one, one longer than 64 KiB. Follows no redirect, and
    without a session there is none that could: nor a .netrc, a proxy or a cookie.
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
            answer = adapter.send(prepared, stream=True, timeout=(CONNECT_S, read_s))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _classified(error) from error
        with closing(answer):
            return HttpResponse(answer.status_code, _read(answer))


def _read(answer: requests.Response) -> bytes:
    """The body, or AnswerLost when it is broken, endless or late."""
    kept = b""
    try:
        while piece := answer.raw.read1(8192, decode_content=True):
            kept += piece
            if len(kept) > MAX_RESPONSE_BYTES:
                raise ResponseLost("the answer is longer than 64 KiB")
    except urllib3.exceptions.HTTPError as error:
        raise ResponseLost(type(error).__name__) from error
    return kept


def _classified(error: Exception) -> RequestNotSent | ResponseLost:
    """Sent or not: decided by where it failed, never by what the message says."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return RequestNotSent(type(reason.__cause__ or reason).__name__)
    if isinstance(error, requests.ConnectTimeout):
        return RequestNotSent(type(error).__name__)
    return ResponseLost(type(error).__name__)


class _HTTP(urllib3.connection.HTTPConnection):
    """Marks any failure before the connection stands, so that it cannot be taken for a later one,
    and gives the answer, headers included, one timeout from beginning to end."""

    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise urllib3.exceptions.NewConnectionError(self, "not connected") from error

    def getresponse(self) -> Any:
        until = time.monotonic() + cast(float, self.timeout)
        answer: Any = partial(deadline_response, left_s=lambda: until - time.monotonic())
        self.response_class = answer
        return super().getresponse()


class _HTTPS(_HTTP, urllib3.connection.HTTPSConnection):
    """The same over TLS: a failed handshake is a failure to connect."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


class _Adapter(HTTPAdapter):
    """No retries, and connections that know whether they ever stood."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
