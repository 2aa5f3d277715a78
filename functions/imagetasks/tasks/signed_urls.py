"""The callback URL is the key: a path nobody can guess, checked without asking anyone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

PART = re.compile(r"[A-Za-z0-9_-]{1,64}")  # ASCII only, as compare_digest wants its strings
FILE_PURPOSE = b"imagetasks file v1\0"
PURPOSE = b"imagetasks callback v1\0"  # a mac made for another purpose never opens this door


def callback_token(key: str, task_id: str) -> str:
    """The 43 base64url characters that open the door of `task_id` under `key`."""
    digest = hmac.digest(key.encode(), PURPOSE + task_id.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def callback_path(kid: str, key: str, task_id: str) -> str:
    """Path of the callback URL of `task_id`; `kid` names the key so that keys can rotate."""
    return f"/callbacks/poyo/{kid}/{task_id}/{callback_token(key, task_id)}"


def verify_callback(keys: Mapping[str, str], kid: str, task_id: str, presented: str) -> bool:
    """Whether `presented` is the mac of `task_id` under the key named `kid`, in constant time."""
    if not all(map(PART.fullmatch, (kid, task_id, presented))):
        return False
    expected = callback_token(keys.get(kid, ""), task_id)
    return hmac.compare_digest(expected, presented) and bool(keys.get(kid))


def file_token(file_url_key: str, n: int) -> str:
    """The 43 base64url characters that open the `n`th file of the task that holds `link_key`.

    The key lives and dies with the task's row, so no rotation of ours breaks a link in a page.
    """
    digest = hmac.digest(file_url_key.encode(), FILE_PURPOSE + str(n).encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def file_path(file_url_key: str, task_id: str, n: int) -> str:
    """Path of the link that shows the `n`th file of a task to whoever has it."""
    return f"/files/{task_id}/{n}/{file_token(file_url_key, n)}"


def verify_file(file_url_key: str, n: int, presented: str) -> bool:
    """Whether `presented` opens the `n`th file, in constant time; without a key nothing does."""
    if not PART.fullmatch(presented):
        return False
    return hmac.compare_digest(file_token(file_url_key, n), presented) and bool(file_url_key)
