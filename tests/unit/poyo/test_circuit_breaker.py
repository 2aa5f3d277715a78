"""CircuitBreaker: when it opens, when the next probe is due, and which failures count."""

import pytest

from imagetasks.limits import Limits
from imagetasks.poyo.circuit_breaker import CircuitBreaker

LIMITS = Limits(breaker_threshold=3, probe_backoff_s=(10, 60), failure_counts_s=600)
NOW = 1_000_000_000


def failing(times: int, *, gap_s: int = 1) -> CircuitBreaker:
    """The breaker after so many failures, the last one at NOW."""
    breaker = CircuitBreaker()
    for n in reversed(range(times)):
        breaker = breaker.after_failure(NOW - n * gap_s * 1000, LIMITS)
    return breaker


@pytest.mark.parametrize(("failures", "is_open"), [(0, False), (2, False), (3, True), (50, True)])
def test_third_failure_in_a_row_opens_the_breaker(failures: int, is_open: bool) -> None:
    assert failing(failures).is_open(NOW, LIMITS) is is_open


@pytest.mark.parametrize(("failures", "delay_s"), [(3, 10), (4, 20), (5, 40), (6, 60), (5000, 60)])
def test_probes_are_ten_seconds_apart_then_twice_as_long_up_to_a_minute(
    failures: int, delay_s: int
) -> None:
    assert failing(min(failures, 60)).probe_at(LIMITS) == NOW + delay_s * 1000


def test_failures_over_a_night_do_not_open_the_breaker() -> None:
    assert not failing(8, gap_s=601).is_open(NOW, LIMITS)
    assert failing(8, gap_s=599).is_open(NOW, LIMITS)


def test_an_open_breaker_closes_ten_minutes_after_the_last_failure() -> None:
    breaker = failing(20)

    assert breaker.is_open(NOW + 599_000, LIMITS)
    assert not breaker.is_open(NOW + 600_000, LIMITS)


def test_failures_that_a_clock_a_year_ahead_recorded_do_not_count() -> None:
    assert not failing(8).is_open(NOW - 365 * 86_400_000, LIMITS)
