"""What a request to the service is sent with: a key, or browser tokens that are renewed before they end."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import inspect
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from typing import Any

import httpx

from imagetasks_client.errors import api_error

RENEW_AT = 0.8  # of a token's life
ANOTHER_USER = {
    "code": "another_user",
    "retry": "never",
    "charged": None,
    "detail": "the callback has returned another user's token; make a client for each user.",
}
Issued = str | Mapping[str, Any]  # a token, or the answer of POST /v1/tokens
AuthCallback = Callable[[], Issued]
AsyncAuthCallback = Callable[[], Issued | Awaitable[Issued]]


class KeyAuth(httpx.Auth):
    """A key that stays the same."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send the request with the key."""
        yield _signed(request, self._key)


class TokenAuth(httpx.Auth):
    """Tokens of `callback`: one until 80 % of its life are over or the service has refused it, then the
    next, which all requests wait for that need it. A token of another user is an ApiError. While the callback fails with an httpx.HTTPError,
    a token serves until its end. `clock` returns seconds."""

    def __init__(self, callback: AsyncAuthCallback, clock: Callable[[], float]) -> None:
        self._callback, self._clock = callback, clock
        self._current = ""
        self._user: str | None = None
        self._renew_at = self._ends_at = float("-inf")
        self._lock, self._async_lock = threading.Lock(), asyncio.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send the request, and once more with another token after a 401."""
        token = self._newest(None)
        response = yield _signed(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield _signed(request, self._newest(token))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The same with `async`."""
        token = await self._async_newest(None)
        response = yield _signed(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield _signed(request, await self._async_newest(token))

    def _newest(self, refused: str | None) -> str:
        with self._lock:
            if not self._serves(self._renew_at, refused):
                try:
                    self._take(self._callback())
                except httpx.HTTPError:
                    if not self._serves(self._ends_at, refused):
                        raise
            return self._current

    async def _async_newest(self, refused: str | None) -> str:
        async with self._async_lock:
            if not self._serves(self._renew_at, refused):
                try:
                    answer = self._callback()
                    self._take(await answer if inspect.isawaitable(answer) else answer)
                except httpx.HTTPError:
                    if not self._serves(self._ends_at, refused):
                        raise
            return self._current

    def _serves(self, until: float, refused: str | None) -> bool:
        return self._clock() < until and self._current != refused

    def _take(self, answer: Any) -> None:
        token = answer if isinstance(answer, str) else str(answer["token"])
        user, life_s, now = _user(token), _life_s(token), self._clock()
        self._user = self._user or user
        if user != self._user:
            raise api_error(401, ANOTHER_USER, None)
        self._current, self._renew_at, self._ends_at = token, now + RENEW_AT * life_s, now + life_s


def account_of(key: str) -> str:
    """Whose key it is: the user of a token, which stays the same when it is renewed; else a digest of the key."""
    return _user(key) or hashlib.sha256(key.encode()).hexdigest()[:16]


def _signed(request: httpx.Request, bearer: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {bearer}"
    return request


def _life_s(token: str) -> float:
    """The seconds from a token's issue to its end, by its claims; endless if they cannot be read."""
    try:
        claims = _claims(token)
        return float(claims["exp"] - claims["iat"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _user(token: str) -> str | None:
    user = _claims(token).get("sub")
    return user if isinstance(user, str) else None


def _claims(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
