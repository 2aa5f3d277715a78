"""Everything that may go wrong: by wire, by caller, by PoYo's word."""

from __future__ import annotations

from collections.abc import Mapping

FAULTS: Mapping[str, tuple[str, ...]] = {
    "table.read": ("unavailable",),
    "table.write": ("unavailable", "lost", "repeated", "throttled", "conflict"),
    "queue.send": ("refused", "lost", "doubled", "late"),
    "queue.deliver": ("twice", "undeleted", "late"),
    "secrets.get": ("unavailable", "not_json", "emptied"),
    "bucket.head": ("unavailable", "forbidden"),
    "bucket.put": ("unavailable", "lost", "repeated", "conflict"),
    "bucket.delete": ("unavailable", "partial", "lost"),
    "deliver.post": ("unreachable", "refused", "too_slow", "answer_lost", "not_allowed"),
    "file.fetch": (
        "unresolved",
        "unreachable",
        "broken_off",
        "too_slow",
        "http_500",
        "http_403",
        "encoded_anew",
        "html",
        "truncated",
        "not_listed",
        "private_address",
    ),
    "poyo.submit": (
        "not_sent",
        "request_lost",
        "answer_lost",
        "answer_late",
        "busy_429",
        "busy_429_with_wait",
        "busy_429_in_200",
        "invalid_400",
        "invalid_400_in_200",
        "moderated_400",
        "unauthorised_401",
        "empty_402",
        "forbidden_403",
        "no_model_404",
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
        "answer_lost",
        "unknown_404",
        "busy_429",
        "unauthorised_401",
        "error_500",
        "html_502",
        "garbage_200",
        "error_500_in_200",
        "behind",
        "no_files",
    ),
    "poyo.work": ("instant", "slow", "a_day", "stuck", "exception", "moderated", "two_files"),
    "poyo.callback": (
        "lost",
        "doubled",
        "late",
        "last_minute",
        "truncated",
        "garbled",
        "stale_signature",
    ),
}
"""Everything that may go wrong, by the wire on which it does."""

LIES = ("busy_429_created", "invalid_400_created", "moderated_400_created")
"""PoYo says that nothing was created and has created it: no client of it can be right then."""

STRANGERS = ("wrong_mac", "unknown_kid", "mac_of_another_task", "malformed", "retired_kid")
LEAKS = ("id_nobody_has", "id_of_another_task", "no_body", "nested_body", "not_utf8")
