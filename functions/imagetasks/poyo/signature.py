"""PoYo's signature of a callback: the same whether it is checked or made."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping


def headers(key: str, task_id: str, at_s: int) -> Mapping[str, str]:
    """The two headers that prove a callback about `task_id`, sent at `at_s`, to who holds `key`."""
    stamp = str(at_s)
    return {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": compute(key, task_id, stamp)}


def compute(key: str, task_id: str, stamp: str) -> str:
    """base64(HMAC-SHA256(key, task_id + "." + stamp)), whatever characters a stranger's stamp has."""
    said = f"{task_id}.{stamp}".encode(errors="replace")
    return base64.b64encode(hmac.digest(key.encode(), said, hashlib.sha256)).decode()
