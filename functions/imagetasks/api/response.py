"""Responses of the API's routes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from imagetasks.api.request import if_none_match

JSON = "application/json"
NO_HEADERS: Mapping[str, str] = {}
REDIRECT_CACHE = "private, max-age=3600"  # the presigned URL works for one hour more


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] = NO_HEADERS
) -> Response[str]:
    """A JSON response."""
    return Response(status, JSON, json.dumps(body, ensure_ascii=False), headers=dict(headers))


def conditional_response(
    event: APIGatewayProxyEventV2, body: Mapping[str, Any], headers: Mapping[str, str] = NO_HEADERS
) -> Response[str]:
    """A JSON response with an ETag, or 304 if the caller has it already (RFC 9110 §13)."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    etag = f'"{digest[:32]}"'
    if {etag, "*"} & set(if_none_match(event)):
        return Response(304, None, "", headers={**headers, "ETag": etag})
    return json_response(body, 200, {**headers, "ETag": etag})


def redirect(url: str) -> Response[str]:
    """A redirect to a file's presigned URL. It varies by Origin: the response to an `<img>` has no
    CORS headers, so a page must not reuse it for `fetch`."""
    headers: dict[str, str | list[str]] = {
        "Location": url,
        "Cache-Control": REDIRECT_CACHE,
        "Vary": "Origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(302, "text/plain", "", headers=headers)
