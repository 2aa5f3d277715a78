"""Signed URLs: a path that carries its own proof, verified without calling another service."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

PART = re.compile(r"[A-Za-z0-9_-]{1,64}")  # ASCII only, which compare_digest requires of strings
# The purpose is part of the signed bytes, so a token of one kind is never valid as the other.
FILE_PURPOSE = b"imagetasks file v1\0"
CALLBACK_PURPOSE = b"imagetasks callback v1\0"


def callback_token(key: str, task_id: str) -> str:
    """The token of a callback URL: HMAC-SHA256 of the task id under `key`, 43 base64url characters."""
    return _hmac(key, CALLBACK_PURPOSE + task_id.encode())


def callback_path(kid: str, key: str, task_id: str) -> str:
    """Path of the callback URL of `task_id`; `kid` names the key so that keys can rotate."""
    return f"/callbacks/poyo/{kid}/{task_id}/{callback_token(key, task_id)}"


def verify_callback(keys: Mapping[str, str], kid: str, task_id: str, token: str) -> bool:
    """Whether `token` is that of `task_id` under the key named `kid`, compared in constant time."""
    if not all(map(PART.fullmatch, (kid, task_id, token))):
        return False
    expected = callback_token(keys.get(kid, ""), task_id)
    return hmac.compare_digest(expected, token) and bool(keys.get(kid))


def file_token(file_url_key: str, n: int) -> str:
    """The token of a file URL: HMAC-SHA256 of the file's number, 43 base64url characters.

    The key is an attribute of the task, so rotating our own keys breaks no link in a page.
    """
    return _hmac(file_url_key, FILE_PURPOSE + str(n).encode())


def file_path(file_url_key: str, task_id: str, n: int) -> str:
    """Path of the URL that shows the `n`th file of a task to anyone who has the URL."""
    return f"/files/{task_id}/{n}/{file_token(file_url_key, n)}"


def verify_file(file_url_key: str, n: int, token: str) -> bool:
    """Whether `token` is that of the `n`th file, compared in constant time; without a key, never."""
    if not PART.fullmatch(token):
        return False
    return hmac.compare_digest(file_token(file_url_key, n), token) and bool(file_url_key)


def _hmac(key: str, content: bytes) -> str:
    digest = hmac.digest(key.encode(), content, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
