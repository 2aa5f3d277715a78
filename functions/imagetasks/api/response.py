"""Responses of the API's routes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.request import if_none_match

JSON = "application/json"
NO_HEADERS: Mapping[str, str] = {}
REDIRECT_CACHE = "private, max-age=3600"  # the presigned URL works for one hour more


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] = NO_HEADERS
) -> HttpResponse:
    """A JSON response."""
    return HttpResponse(status, JSON, json.dumps(body, ensure_ascii=False), headers=dict(headers))


def conditional_response(
    event: HttpEvent, body: Mapping[str, Any], headers: Mapping[str, str] = NO_HEADERS
) -> HttpResponse:
    """A JSON response with an ETag, or 304 if the caller has it already (RFC 9110 §13)."""
    etag = entity_tag(body)
    if {etag, "*"} & set(if_none_match(event)):
        return HttpResponse(304, None, "", headers={**headers, "ETag": etag})
    return json_response(body, 200, {**headers, "ETag": etag})


def entity_tag(body: Mapping[str, Any]) -> str:
    """The ETag of a body: equal bodies have equal ones."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f'"{digest[:32]}"'


def known_entity_tags(event: HttpEvent) -> Collection[str]:
    """The ETags of the bodies that the caller has; none if it named none, or `*`, which is any."""
    tags = set(if_none_match(event)) - {""}
    return () if "*" in tags else tags


def redirect(url: str, *, cached: bool) -> HttpResponse:
    """A redirect to a file's presigned URL. If it is `cached`, it varies by Origin: the response to an
    `<img>` has no CORS headers, so a page must not reuse it for `fetch`."""
    headers = {"Location": url, "X-Content-Type-Options": "nosniff"}
    if cached:
        headers |= {"Cache-Control": REDIRECT_CACHE, "Vary": "Origin"}
    return HttpResponse(302, "text/plain", "", headers=headers)
