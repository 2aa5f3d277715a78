"""Browser tokens for the page at `/` of the local system, which needs neither a key nor a login.

A deployment on AWS has no such route: there the page asks for a token or a key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import ClientSession, web

PATH = "/page/token"
KEY_VARIABLE = "GATEWAY_API_KEY"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
WANTED = {"owner": "sample", "max_credits": 100, "ttl_s": 900}


@dataclass(frozen=True, slots=True)
class PageTokens:
    """Issues tokens with the local server key, to the page of this origin only."""

    api_url: str
    session: ClientSession
    key: str

    @classmethod
    def from_env(cls, api_url: str, session: ClientSession) -> PageTokens | None:
        """GATEWAY_API_KEY: a server key; without one there are no tokens for pages."""
        key = os.environ.get(KEY_VARIABLE, "")
        return cls(api_url, session, key) if key else None

    def asks(self, request: web.Request) -> bool:
        """Whether the request is the page's for a token, on this machine. A page of another origin cannot
        send these values: its browser writes them. A page that came through a tunnel, or by a name that
        an attacker pointed here, is of the same origin, but its host is not local."""
        same_origin = request.headers.get("Sec-Fetch-Site") == "same-origin"
        hosts = (f"//{request.host}", request.headers.get("Origin", ""))
        local = all(_hostname(each) in LOCAL_HOSTS for each in hosts)
        return request.method == "POST" and request.path == PATH and same_origin and local

    async def issue(self) -> web.Response:
        """The API's answer to POST /v1/tokens."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"{self.api_url}/v1/tokens"
        async with self.session.post(url, json=WANTED, headers=headers) as response:
            body = await response.read()
            kept = {"Content-Type": response.headers["Content-Type"], "Cache-Control": "no-store"}
            return web.Response(status=response.status, body=body, headers=kept)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
