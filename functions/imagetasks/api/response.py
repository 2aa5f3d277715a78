"""What the API's routes answer with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

JSON = "application/json"
NONE: Mapping[str, str] = {}
LINK_AGE = "private, max-age=60"  # a redirect to a link that lives for five minutes


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] = NONE
) -> Response[str]:
    """A JSON answer."""
    return Response(status, JSON, json.dumps(body, ensure_ascii=False), headers=dict(headers))


def conditional_response(
    event: APIGatewayProxyEventV2, body: Mapping[str, Any], headers: Mapping[str, str] = NONE
) -> Response[str]:
    """The same with an ETag, or 304 when that is the one the caller has."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    etag = f'"{digest[:32]}"'
    known = [each.strip().removeprefix("W/") for each in _if_none_match(event).split(",")]
    if etag in known or "*" in known:
        return Response(304, None, "", headers={**headers, "ETag": etag})
    return json_response(body, 200, {**headers, "ETag": etag})


def redirect(link: str) -> Response[str]:
    """The way to a file, good for a few minutes. It varies: a browser that followed it for an `<img>`
    got no headers that would let a page read it."""
    headers = {"Location": link, "Cache-Control": LINK_AGE, "Vary": "Origin"}
    return Response(302, "text/plain", "", headers=dict(headers))


def _if_none_match(event: APIGatewayProxyEventV2) -> str:
    return event.headers.get("if-none-match", "")
