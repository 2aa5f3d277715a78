"""API Gateway's HTTP API, payload format 2.0: the request that it hands over, the response that it takes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class HttpEvent:
    """One request. Header names are lower-case, and values of a repeated header or query parameter are
    joined by commas. `path` has no slash at its end: both spellings mean the same."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    domain_name: str
    request_id: str

    @classmethod
    def from_api_gateway(cls, event: Mapping[str, Any]) -> HttpEvent:
        """The request of the event that Lambda passes to the handler."""
        context = event["requestContext"]
        return cls(
            method=context["http"]["method"],
            path=_without_trailing_slash(event["rawPath"]),
            headers=lower_case(event["headers"]),
            query=event.get("queryStringParameters") or {},
            body=raw_body(event),
            domain_name=context["domainName"],
            request_id=context["requestId"],
        )


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, content type (None: there is no content), body, and the headers beside `Content-Type`.

    Without a `Cache-Control` of its own no cache stores it: browsers give what they have stored to another
    user's token, when a page comes back, and store an error 410 for good.
    """

    status: int
    content_type: str | None
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_api_gateway(self, *, with_body: bool = True) -> dict[str, Any]:
        """What the handler returns; without its body it is the response to HEAD."""
        content_type = {"Content-Type": self.content_type} if self.content_type else {}
        headers = {"Cache-Control": "no-store"} | content_type | dict(self.headers)
        return {
            "statusCode": self.status,
            "headers": headers,
            "body": self.body if with_body else "",
        }


def lower_case(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers by lower-case names, as API Gateway writes them and other callers may not."""
    return {name.lower(): value for name, value in headers.items()}


def raw_body(event: Mapping[str, Any]) -> bytes:
    """The body's bytes, whether API Gateway encoded them as base64 or not."""
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body)
    except ValueError:  # not base64, or not even ASCII
        return b""


def _without_trailing_slash(path: str) -> str:
    shorter = path[:-1] if path.endswith("/") and not path.endswith("//") else path
    return shorter or path
