"""What pages of other origins may send to the API and read of its responses."""

from __future__ import annotations

from typing import Any

from tests.support.template import properties


def cors() -> dict[str, Any]:
    rules: dict[str, Any] = properties("HttpApi")["CorsConfiguration"][1]
    return rules


def test_pages_may_use_every_method_and_send_the_headers_of_tracing_tools() -> None:
    assert set(cors()["AllowMethods"]) == {"GET", "HEAD", "POST", "PUT", "DELETE"}
    assert set(cors()["AllowHeaders"]) >= {
        "authorization",
        "content-type",
        "idempotency-key",
        "if-none-match",
        "x-owner",
        "traceparent",
        "tracestate",
        "baggage",
        "sentry-trace",
        "x-requested-with",
        "cache-control",
    }


def test_pages_may_read_every_header_of_a_response() -> None:
    assert set(cors()["ExposeHeaders"]) >= {
        "location",
        "retry-after",
        "etag",
        "idempotent-replayed",
        "apigw-requestid",
    }
