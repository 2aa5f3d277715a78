"""What a request says, read from API Gateway's event: headers and body."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import (
    BODY_TOO_LARGE,
    IDEMPOTENCY_KEY_REQUIRED,
    INVALID_IDEMPOTENCY_KEY,
    INVALID_OWNER,
)

# API Gateway joins the values of a repeated header by commas, so that no value may contain one.
KEY = re.compile(r"[ -+\--~]{1,255}")
USER = re.compile(r"[A-Za-z0-9._~@:|+-]{1,128}")
# 16 URLs of 2 KiB + a 20,000-character prompt (4 bytes each) + headroom
MAX_BODY_BYTES = 256 * 1024


def bearer_token(event: APIGatewayProxyEventV2) -> str:
    """The bearer token, empty if there is none."""
    scheme, _, token = event.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def acting_user(event: APIGatewayProxyEventV2) -> str:
    """The user that the caller acts for (`X-Owner`), empty if none. Raises ProblemError for an
    invalid name."""
    name = event.headers.get("x-owner")
    if name is None:
        return ""
    if not USER.fullmatch(name):
        raise ProblemError(INVALID_OWNER)
    return name


def idempotency_key(event: APIGatewayProxyEventV2) -> str:
    """The Idempotency-Key. Raises ProblemError if it is missing, blank or invalid."""
    key = optional_idempotency_key(event) if has_idempotency_key(event) else None
    if key is None:
        raise ProblemError(IDEMPOTENCY_KEY_REQUIRED)
    return key


def optional_idempotency_key(event: APIGatewayProxyEventV2) -> str | None:
    """The Idempotency-Key, None without the header. Raises ProblemError if it is invalid: with a blank
    one the caller means to be safe, and would not be."""
    key = event.headers.get("idempotency-key")
    if key is None:
        return None
    key = key.strip(" \t")  # optional whitespace is SP and HTAB only (RFC 9110 §5.6.3)
    if not KEY.fullmatch(key):
        raise ProblemError(INVALID_IDEMPOTENCY_KEY)
    return key


def has_idempotency_key(event: APIGatewayProxyEventV2) -> bool:
    """Whether the request has an Idempotency-Key that is not blank, valid or not."""
    return bool(event.headers.get("idempotency-key", "").strip(" \t"))


def if_none_match(event: APIGatewayProxyEventV2) -> list[str]:
    """The entity tags of If-None-Match, without the prefix of weak ones."""
    tags = event.headers.get("if-none-match", "").split(",")
    return [tag.strip().removeprefix("W/") for tag in tags]


def raw_body(event: APIGatewayProxyEventV2) -> bytes:
    """The body's bytes, whether API Gateway encoded them as base64 or not."""
    body = event.body or ""
    if not event.is_base64_encoded:
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body)
    except ValueError:  # not base64, or not even ASCII
        return b""


def limited_body(event: APIGatewayProxyEventV2) -> bytes:
    """The body of an order. Raises ProblemError if it is longer than any order."""
    body = raw_body(event)
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError(BODY_TOO_LARGE)
    return body


def request_id(event: APIGatewayProxyEventV2) -> str:
    """API Gateway's id of the request: its access log and the header `apigw-requestid` have the same."""
    return str(event.raw_event.get("requestContext", {}).get("requestId", ""))


def is_head(event: APIGatewayProxyEventV2) -> bool:
    """Whether the response has no body (RFC 9110 §9.3.2)."""
    return event.http_method == "HEAD"


def without_trailing_slash(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event of the same request without one slash at the end of its path: both mean the same."""
    path = str(event.get("rawPath", ""))
    shorter = path[:-1] if path.endswith("/") and not path.endswith("//") else path
    return {**event, "rawPath": shorter or path}


def public_base_url(event: APIGatewayProxyEventV2) -> str:
    """Scheme and host of this API on the internet: PUBLIC_URL, else the domain that was called."""
    return os.environ["PUBLIC_URL"].rstrip("/") or f"https://{event.request_context.domain_name}"
