"""How long PoYo asks us to wait, in a header, as a number or in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetasks.poyo.retry_after import MAX_WAIT_S, header_wait_s, number_wait_s, text_wait_s

NOW_S = 1_795_845_600.0  # Sat, 28 Nov 2026 06:00:00 GMT


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("Please try again in 17 seconds.", 17.0),
        ("Try Again In 3s", 3.0),
        ("try again in 40.5s", 40.5),
        ("try again in about 20 sec", 20.0),
        ("try again in 1 minute", 60.0),
        ("Try again in 1.5 minutes", 90.0),
        ("try again in 2 minutes 5 seconds", 125.0),
        ("try again in 2 minutes and 5 seconds", 125.0),
        ("try again in 1m30s", 90.0),
        ("try again in 1500ms", 1.5),
        ("try again in 500 milliseconds", 0.5),
        ("retry after 30 seconds", 30.0),
        ("wait 1 hour", 3600.0),
        ("请在30秒后重试", 30.0),
        ("2分钟后再试", 120.0),
        ("try again in 9999 hours", MAX_WAIT_S),
        ("available in 20 seconds", 20.0),
        ("Too many requests. Retry-After: 30", 30.0),
        ("Please retry after 20.", 20.0),
        ("retry_after_seconds: 12", 12.0),
        ("20 requests per 10 seconds", None),
        ("retry after 12:30", None),
        ("retry after 2026-11-28", None),
        ("retry after 20 requests", None),
        ("try again later", None),
        ("Too many requests", None),
        ("", None),
    ],
)
def test_wait_is_read_from_words(text: str, wait_s: float | None) -> None:
    assert text_wait_s(text) == wait_s


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("40.5", 40.5),
        ("Sat, 28 Nov 2026 06:00:40 GMT", 40.0),
        ("Sat, 28 Nov 2026 05:00:00 GMT", 0.0),
        ("99999999", MAX_WAIT_S),
        ("9" * 400, MAX_WAIT_S),
        ("30, 60", 30.0),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_an_instant(value: str, wait_s: float | None) -> None:
    assert header_wait_s({"retry-after": value}, now_s=NOW_S) == wait_s


def test_instant_is_measured_from_the_date_of_the_response() -> None:
    headers = {
        "retry-after": "Sat, 28 Nov 2026 08:00:40 GMT",
        "date": "Sat, 28 Nov 2026 08:00:00 GMT",
    }

    assert header_wait_s(headers, now_s=NOW_S) == 40.0
    assert header_wait_s({}, now_s=NOW_S) is None


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [(12, 12.0), (1.5, 1.5), ("12", 12.0), (True, None), (None, None), (-1, None)],
)
def test_number_in_json_is_seconds(value: object, wait_s: float | None) -> None:
    assert number_wait_s(value) == wait_s


@given(st.text())
def test_any_text_names_a_bounded_wait_or_none(text: str) -> None:
    for wait_s in (text_wait_s(text), header_wait_s({"retry-after": text}, now_s=NOW_S)):
        assert wait_s is None or 0 <= wait_s <= MAX_WAIT_S


def test_long_text_is_read_in_bounded_time() -> None:
    assert text_wait_s("1 s " * 50_000) is None
