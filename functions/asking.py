"""What a request says of itself, read from API Gateway's event."""

from __future__ import annotations

import base64
import os

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from problems import NO_KEY, Refusal


def server_key(event: APIGatewayProxyEventV2) -> str:
    """The bearer key, empty when there is none."""
    scheme, _, key = event.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def idempotency_key(event: APIGatewayProxyEventV2) -> str:
    """The Idempotency-Key. Raises Refusal when there is no usable one."""
    key = event.headers.get("idempotency-key", "").strip()
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Refusal(NO_KEY)
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


def origin(event: APIGatewayProxyEventV2) -> str:
    """Scheme and host that the outside reaches us at: PUBLIC_URL, else what the gateway was called."""
    return os.environ["PUBLIC_URL"].rstrip("/") or f"https://{event.request_context.domain_name}"
