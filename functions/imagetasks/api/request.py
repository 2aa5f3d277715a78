"""What a request says of itself, read from API Gateway's event."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from imagetasks.api import pagination
from imagetasks.api.pagination import ListPosition
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import (
    BODY_TOO_LARGE,
    IDEMPOTENCY_KEY_REQUIRED,
    INVALID_IDEMPOTENCY_KEY,
    INVALID_OWNER,
)
from imagetasks.errors import InvalidParameter
from imagetasks.tasks.task import PUBLIC_STATUS, Status

USER = re.compile(r"[A-Za-z0-9._~@:+-]{1,128}")
STATUSES = tuple(dict.fromkeys(PUBLIC_STATUS.values()))
MAX_WAIT_S = 20  # the function has 25 s, the gateway 30
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 20
MAX_BODY_BYTES = 256 * 1024  # sixteen addresses, 20,000 characters of four bytes, and some air


def bearer_token(event: APIGatewayProxyEventV2) -> str:
    """The bearer key, empty when there is none."""
    scheme, _, key = event.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def acting_user(event: APIGatewayProxyEventV2) -> str:
    """Whom the caller acts for, empty for itself. Raises Refusal when that is no name."""
    named = event.headers.get("x-owner")
    if named is None:
        return ""
    if not USER.fullmatch(named):
        raise ProblemError(INVALID_OWNER)
    return named


def idempotency_key(event: APIGatewayProxyEventV2) -> str:
    """The Idempotency-Key. Raises Refusal when there is no usable one."""
    key = optional_idempotency_key(event)
    if key is None:
        raise ProblemError(IDEMPOTENCY_KEY_REQUIRED)
    return key


def optional_idempotency_key(event: APIGatewayProxyEventV2) -> str | None:
    """The Idempotency-Key, None when none was sent. Raises Refusal when it is no usable one."""
    key = event.headers.get("idempotency-key", "").strip(" \t")  # nothing else is a header's air
    if not key:
        return None
    if not (len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ProblemError(INVALID_IDEMPOTENCY_KEY)
    return key


def raw_body(event: APIGatewayProxyEventV2) -> bytes:
    """The body's bytes, whichever way the gateway packed them."""
    body = event.body or ""
    if not event.is_base64_encoded:
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body)
    except ValueError:  # not base64, or not even ASCII
        return b""


def limited_body(event: APIGatewayProxyEventV2) -> bytes:
    """The body of an order. Raises Refusal when no order is that long."""
    body = raw_body(event)
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError(BODY_TOO_LARGE)
    return body


def query_parameters(event: APIGatewayProxyEventV2, *known: str) -> Mapping[str, str]:
    """The query's parameters. Raises InvalidParameter for one that is not `known`: a filter with a
    typing error would show everything."""
    given = event.query_string_parameters or {}
    for name in given:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InvalidParameter(name[:64], f"not known here, allowed: {allowed}")
    return given


def wait_s(given: Mapping[str, str]) -> int:
    """Seconds that the caller would wait for another status."""
    return _integer(given, "wait", 0, 0, MAX_WAIT_S)


def page_limit(given: Mapping[str, str]) -> int:
    """How many tasks a page may have."""
    return _integer(given, "limit", DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE)


def status_filter(given: Mapping[str, str]) -> Status | None:
    """The one status that is asked for."""
    for known in STATUSES:
        if given.get("status") == known:
            return known
    if "status" in given:
        raise InvalidParameter("status", f"must be one of {', '.join(STATUSES)}")
    return None


def list_position(given: Mapping[str, str]) -> ListPosition | None:
    """Where the page begins, None at the newest."""
    if "cursor" not in given:
        return None
    try:
        return pagination.decode_cursor(given["cursor"])
    except ValueError:
        raise InvalidParameter("cursor", "must be a `next_cursor` of an earlier page") from None


def public_base_url(event: APIGatewayProxyEventV2) -> str:
    """Scheme and host that the outside reaches us at: PUBLIC_URL, else what the gateway was called."""
    return os.environ["PUBLIC_URL"].rstrip("/") or f"https://{event.request_context.domain_name}"


def _integer(given: Mapping[str, str], name: str, usual: int, least: int, most: int) -> int:
    text = given.get(name, str(usual))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and least <= int(text) <= most):
        raise InvalidParameter(name, f"must be a whole number from {least} to {most}")
    return int(text)
