"""Where the service is and how a request to it looks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import httpx

from imagetasks_client.bearer import KeyAuth, TokenAuth
from imagetasks_client.effects import Send

SETTINGS = {"base_url": "IMAGETASKS_URL", "key": "IMAGETASKS_KEY", "owner": "IMAGETASKS_OWNER"}


@dataclass(frozen=True, slots=True)
class Connection:
    """The address of a service, what is sent with each request, and the user that a server key acts for."""

    base_url: str
    auth: httpx.Auth = field(repr=False)
    owner: str | None = None

    @classmethod
    def of(
        cls,
        base_url: str | None,
        key: str | None,
        owner: str | None,
        tokens: TokenAuth | None = None,
    ) -> Connection:
        """What is None is read from the environment; no key is needed beside `tokens`. Raises ValueError
        if address or key is missing."""
        values = {"base_url": base_url, "key": key, "owner": owner}
        found = {name: value or os.environ.get(SETTINGS[name]) for name, value in values.items()}
        for name in ("base_url",) if tokens else ("base_url", "key"):
            if not found[name]:
                raise ValueError(f"{name} is missing: pass it or set {SETTINGS[name]}")
        address = httpx.URL(str(found["base_url"]))
        if address.scheme not in ("http", "https") or not address.host:
            raise ValueError(f"base_url is no http address: {found['base_url']}")
        if not tokens and not (str(found["key"]).isascii() and str(found["key"]).isprintable()):
            raise ValueError("the key has a line break or letters that no key has")
        auth = tokens or KeyAuth(str(found["key"]))
        return cls(str(address).rstrip("/"), auth, found["owner"])

    def auth_of(self, send: Send) -> httpx.Auth | None:
        """Only a path of the service gets the key; the bucket and other hosts never do."""
        return self.auth if send.to_service else None

    def request(self, send: Send) -> httpx.Request:
        """The request, without the key."""
        headers = dict(send.headers)
        if send.to_service and self.owner:
            headers["X-Owner"] = self.owner
        return httpx.Request(
            send.method,
            self.base_url + send.url if send.to_service else send.url,
            params=send.params or None,
            headers=headers,
            json=send.json,
            data=send.form,
            files={"file": send.file} if send.file else None,
            extensions={"timeout": httpx.Timeout(send.timeout_s, connect=10.0).as_dict()},
        )
