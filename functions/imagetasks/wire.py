"""One HTTP request, once: the only thing that speaks to PoYo, and it never repeats itself.

A fresh connection for each request: a kept-alive one that died while the sandbox was frozen is
noticed only after the paid request went out, and every such accident would look ambiguous.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from imagetasks.errors import AnswerLost, NotSent
from imagetasks.reply import Reply

CONNECT_S = 3.0
ANSWER_BYTES = 64 * 1024  # a status is a few hundred bytes


def base_url_from_env() -> str:
    """The upstream's origin, without a trailing slash."""
    return os.environ["POYO_BASE_URL"].rstrip("/")


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    read_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> Reply:
    """Send one request and read its whole answer: `read_s` seconds from a standing connection.

    Raises NotSent when not a byte of the request left (name, connect, TLS), AnswerLost on
    everything later: no answer, a broken one, one longer than 64 KiB. Follows no redirect.
    """
    deadline = clock() + CONNECT_S + read_s
    with requests.Session() as session:
        session.trust_env = False  # a stray .netrc would replace our Authorization
        session.mount("https://", _Adapter())
        session.mount("http://", _Adapter())
        try:
            answer = session.request(
                method,
                url,
                headers=dict(headers) | {"Accept-Encoding": "identity"},
                data=body,
                timeout=(CONNECT_S, read_s),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            raise _classified(error) from error
        return Reply(answer.status_code, _read(answer, deadline, clock))


def _read(answer: requests.Response, deadline: float, clock: Callable[[], float]) -> bytes:
    """The body, or AnswerLost when it is endless or dribbles past `deadline`."""
    kept = b""
    try:
        while piece := answer.raw.read1(8192, decode_content=True):
            kept += piece
            if len(kept) > ANSWER_BYTES:
                raise AnswerLost("the answer is longer than 64 KiB")
            if clock() > deadline:
                raise AnswerLost("the answer took too long")
    except urllib3.exceptions.HTTPError as error:
        raise AnswerLost(type(error).__name__) from error
    return kept


def _classified(error: requests.RequestException) -> NotSent | AnswerLost:
    """Sent or not: decided by where it failed, never by what the message says."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return NotSent(type(reason.__cause__ or reason).__name__)
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL):
        return NotSent(type(error).__name__)
    return AnswerLost(type(error).__name__)


class _Connects:
    """Marks any failure before the connection stands, so that it cannot be taken for a later one."""

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except Exception as error:
            raise urllib3.exceptions.NewConnectionError(self, "not connected") from error  # type: ignore[arg-type]


class _HTTP(_Connects, urllib3.connection.HTTPConnection):
    """A plain connection, for the upstream simulated on this machine."""


class _HTTPS(_Connects, urllib3.connection.HTTPSConnection):
    """A TLS connection: a failed handshake is a failure to connect."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


class _Adapter(HTTPAdapter):
    """No retries, and connections that know whether they ever stood."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
