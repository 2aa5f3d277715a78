"""PoYo's signature of a callback, which we verify on callbacks and make on notifications."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping


def headers(key: str, task_id: str, at_s: int) -> Mapping[str, str]:
    """The two headers that sign a notification about `task_id`, sent at `at_s` seconds since 1970."""
    timestamp = str(at_s)
    return {
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": compute(key, task_id, timestamp),
    }


def verify(key: str, poyo_id: str, headers: Mapping[str, str]) -> bool:
    """Whether PoYo signed a callback for `poyo_id`; header names are lower-case.

    The age of the signature does not matter: a late retry may carry its first timestamp.
    """
    expected = compute(key, poyo_id, headers.get("x-webhook-timestamp", ""))
    presented = headers.get("x-webhook-signature", "")
    return hmac.compare_digest(expected.encode(), presented.encode(errors="replace"))


def compute(key: str, task_id: str, timestamp: str) -> str:
    """base64(HMAC-SHA256(key, task_id + "." + timestamp)); the timestamp may be any text."""
    content = f"{task_id}.{timestamp}".encode(errors="replace")
    return base64.b64encode(hmac.digest(key.encode(), content, hashlib.sha256)).decode()
