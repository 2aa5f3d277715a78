"""The faults that a run may inject, by service and operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FAULTS: Mapping[str, tuple[str, ...]] = {
    "table.read": ("unavailable",),
    "table.write": ("unavailable", "response_lost", "retried", "throttled", "conflict"),
    "queue.send": ("rejected", "response_lost", "duplicated", "delayed"),
    "queue.deliver": ("twice", "not_deleted", "delayed"),
    "secrets.get": ("unavailable", "not_json", "empty"),
    "bucket.head": ("unavailable", "forbidden"),
    "bucket.put": ("unavailable", "response_lost", "retried", "conflict"),
    "bucket.delete": ("unavailable", "partial", "response_lost"),
    "notification.post": ("unreachable", "http_503", "too_slow", "response_lost", "not_allowed"),
    "file.fetch": (
        "unresolved",
        "unreachable",
        "broken_off",
        "too_slow",
        "http_500",
        "http_403",
        "re_encoded",
        "html",
        "truncated",
        "trailer",
        "host_not_listed",
        "address_not_public",
    ),
    "poyo.submit": (
        "not_sent",
        "request_lost",
        "response_lost",
        "response_delayed",
        "busy_429",
        "busy_429_with_wait",
        "busy_429_in_200",
        "invalid_400",
        "invalid_400_in_200",
        "moderated_400",
        "unauthorized_401",
        "no_credits_402",
        "forbidden_403",
        "model_not_found_404",
        "unprocessable_422",
        "timeout_408",
        "timeout_408_created",
        "error_500",
        "error_500_created",
        "error_500_in_200_created",
        "html_502",
        "html_502_created",
        "garbage_200_created",
        "no_id_200_created",
        "empty_200_created",
    ),
    "poyo.status": (
        "not_sent",
        "response_lost",
        "not_found_404",
        "busy_429",
        "unauthorized_401",
        "error_500",
        "html_502",
        "garbage_200",
        "error_500_in_200",
        "stale",
        "no_files",
        "false_failure",
    ),
    "poyo.work": ("instant", "slow", "about_a_day", "stuck", "exception", "moderated", "two_files"),
    "poyo.callback": (
        "lost",
        "duplicated",
        "delayed",
        "at_deadline",
        "truncated",
        "garbled",
        "stale_signature",
    ),
}
"""The kinds of fault by family: which client's call, or which behaviour of PoYo."""

DENIED_CREATIONS = ("busy_429_created", "invalid_400_created", "moderated_400_created")
"""PoYo denies a task that it created: only its callback, if it comes in time, tells us."""

INVALID_CALLBACKS = ("wrong_mac", "unknown_kid", "mac_of_another_task", "malformed", "retired_kid")
LEAKED_URL_BODIES = ("unknown_id", "id_of_another_task", "no_body", "nested_body", "not_utf8")


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault that lasts: from `begin` to `end` (ms) every call of `family` fails with `kind`."""

    family: str
    kind: str
    begin: int
    end: int
