"""How long PoYo asks us to wait: in the Retry-After header, in its JSON, or in the words of an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_WAIT_S = 24 * 60 * 60.0  # a longer wait counts as this one
MAX_TEXT_CHARS = 2_000  # of an error, searched for a wait
SECONDS: Mapping[str, float] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)
# The first one, if a proxy adds its own.
HEADER_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(?:\s*,.*)?", re.ASCII)
AMOUNT = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?)\s?(?:(?P<ms>milliseconds?\b|msecs?\b|ms\b|毫秒)"
    r"|(?P<s>seconds?\b|secs?\b|s(?![a-z])|秒)|(?P<m>minutes?\b|mins?\b|m(?![a-z])|分钟?)"
    r"|(?P<h>hours?\b|hrs?\b|h(?![a-z])|小时))",
    re.ASCII | re.IGNORECASE,
)
BETWEEN = re.compile(r"[\s,]*(?:and\s+)?", re.IGNORECASE)
# What stands before a wait, with few words between ("try again in about", "retry after").
BEFORE = re.compile(
    r"(?:\bagain|\bretry|\bwait|\bresets?|\bavailable|稍后|请在|请等待|等待)[^\d.。]{0,24}",
    re.IGNORECASE,
)
# What is a number of seconds without a unit: "Retry-After: 30", "retry after 20."
SECONDS_ALONE = re.compile(
    r"\bretry[\s_-]?after(?:[\s_-]?sec(?:ond)?s)?[\s:=\"]{1,4}(\d{1,9}(?:\.\d{1,9})?)\"?(?=[,.;)}]?(?:\s|\Z))"
    r"(?!\s?[a-z%\d])",
    re.ASCII | re.IGNORECASE,
)
AFTER = re.compile(r"\s?(?:之?后|以后)", re.IGNORECASE)  # "30秒后重试"


def header_wait_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds that Retry-After names: a number, or an instant (RFC 9110 §10.2.3) as seen from the
    response's own Date, else from `now_s`, seconds since 1970."""
    value = headers.get("retry-after", "").strip()
    if number := HEADER_NUMBER.fullmatch(value):
        return _bounded(float(number[1]))
    until_s = _instant_s(value)
    if until_s is None:
        return None
    answered_s = _instant_s(headers.get("date", ""))
    return _bounded(until_s - (now_s if answered_s is None else answered_s))


def text_wait_s(text: str) -> float | None:
    """Seconds that a sentence names: "try again in 40.5s", "retry after 1 minute 5 seconds"."""
    text = text[:MAX_TEXT_CHARS]
    for before in BEFORE.finditer(text):
        found = _amounts_s(text, before.end())
        if found is not None:
            return _bounded(found[0])
    for amount in AMOUNT.finditer(text):
        found = _amounts_s(text, amount.start())
        if found is not None and AFTER.match(text, found[1]):
            return _bounded(found[0])
    alone = SECONDS_ALONE.search(text)
    return _bounded(float(alone[1])) if alone else None


def number_wait_s(value: object) -> float | None:
    """Seconds that a JSON value names: a number, or a text of one."""
    text = "" if isinstance(value, bool) else str(value)
    return _bounded(float(text)) if NUMBER.fullmatch(text) else None


def _amounts_s(text: str, start: int) -> tuple[float, int] | None:
    """The sum of the amounts that follow one another from `start` on, and where they end."""
    total_s, end = 0.0, start
    for _ in SECONDS:
        between = BETWEEN.match(text, end) if end > start else None
        amount = AMOUNT.match(text, between.end() if between else end)
        if amount is None:
            break
        total_s += float(amount[1]) * SECONDS[amount.lastgroup or "s"]
        end = amount.end()
    return (total_s, end) if end > start else None


def _instant_s(text: str) -> float | None:
    """An HTTP date in seconds since 1970."""
    try:
        parsed = parsedate_to_datetime(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_WAIT_S)
