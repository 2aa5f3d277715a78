"""What a request says: its headers, its body and the address that it was sent to."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import (
    BODY_TOO_LARGE,
    IDEMPOTENCY_KEY_REQUIRED,
    INVALID_IDEMPOTENCY_KEY,
    INVALID_OWNER,
)

if TYPE_CHECKING:
    from imagetasks.api.api_gateway import HttpEvent

# API Gateway joins the values of a repeated header by commas, so that no value may contain one.
KEY = re.compile(r"[ -+\--~]{1,255}")
USER = re.compile(r"[A-Za-z0-9._~@:|+-]{1,128}")
# 16 URLs of 2 KiB + a 20,000-character prompt (4 bytes each) + headroom
MAX_BODY_BYTES = 256 * 1024


def bearer_token(event: HttpEvent) -> str:
    """The bearer token, empty if there is none."""
    scheme, _, token = event.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def acting_user(event: HttpEvent) -> str:
    """The user that the caller acts for (`X-Owner`), empty if none. Raises ProblemError for an
    invalid name."""
    name = event.headers.get("x-owner")
    if name is None:
        return ""
    if not USER.fullmatch(name):
        raise ProblemError(INVALID_OWNER)
    return name


def idempotency_key(event: HttpEvent) -> str:
    """The Idempotency-Key. Raises ProblemError if it is missing, blank or invalid."""
    key = optional_idempotency_key(event) if has_idempotency_key(event) else None
    if key is None:
        raise ProblemError(IDEMPOTENCY_KEY_REQUIRED)
    return key


def optional_idempotency_key(event: HttpEvent) -> str | None:
    """The Idempotency-Key, None without the header. Raises ProblemError if it is invalid: with a blank
    one the caller means to be safe, and would not be."""
    key = event.headers.get("idempotency-key")
    if key is None:
        return None
    key = key.strip(" \t")  # optional whitespace is SP and HTAB only (RFC 9110 §5.6.3)
    if not KEY.fullmatch(key):
        raise ProblemError(INVALID_IDEMPOTENCY_KEY)
    return key


def has_idempotency_key(event: HttpEvent) -> bool:
    """Whether the request has an Idempotency-Key that is not blank, valid or not."""
    return bool(event.headers.get("idempotency-key", "").strip(" \t"))


def if_none_match(event: HttpEvent) -> list[str]:
    """The entity tags of If-None-Match, without the prefix of weak ones."""
    tags = event.headers.get("if-none-match", "").split(",")
    return [tag.strip().removeprefix("W/") for tag in tags]


def limited_body(event: HttpEvent) -> bytes:
    """The body of an order. Raises ProblemError if it is longer than any order."""
    if len(event.body) > MAX_BODY_BYTES:
        raise ProblemError(BODY_TOO_LARGE)
    return event.body


def is_head(event: HttpEvent) -> bool:
    """Whether the response has no body (RFC 9110 §9.3.2)."""
    return event.method == "HEAD"


def public_base_url(event: HttpEvent) -> str:
    """Scheme and host of this API on the internet: PUBLIC_URL, else the domain that was called."""
    return os.environ["PUBLIC_URL"].rstrip("/") or f"https://{event.domain_name}"
