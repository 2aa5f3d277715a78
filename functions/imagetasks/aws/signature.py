"""Signature Version 4 of AWS, for the requests of `signed_client`: POST to `/` without a query.

Source: "Create a signed AWS API request" in the IAM user guide, as of November 2026.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys of a role's session; without `session_token` those of a user."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def authorization(
    credentials: Credentials,
    region: str,
    service: str,
    headers: Mapping[str, str],
    body: bytes,
    now_s: float,
) -> dict[str, str]:
    """The headers that sign a request with `headers` (lower-case names, each value without space around
    it) and `body` at `now_s`, in seconds since 1970."""
    instant = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    added = {"x-amz-date": instant}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    signed = dict(sorted({**headers, **added}.items()))
    lines = [f"{name}:{value}" for name, value in signed.items()]
    names, digest = ";".join(signed), hashlib.sha256(body).hexdigest()
    canonical = "\n".join(["POST", "/", "", *lines, "", names, digest])
    scope = f"{instant[:8]}/{region}/{service}/aws4_request"
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    text = f"{ALGORITHM}\n{instant}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key, text.encode(), hashlib.sha256).hex()
    credential = f"{credentials.access_key_id}/{scope}"
    value = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**added, "authorization": value}
