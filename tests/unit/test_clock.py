"""Clock: instants, backoff within its bounds, and write tokens that differ."""

import pytest

from imagetasks.clock import Clock, system_clock
from imagetasks.limits import Limits
from tests.support.fakes import START, ManualClock, make_clock

LIMITS = Limits(fast_retry_s=(5, 15))


@pytest.fixture
def clock() -> Clock:
    return make_clock(ManualClock(), LIMITS)


def test_instants_are_counted_from_now_in_milliseconds(clock: Clock) -> None:
    assert clock.after(1.5) == START + 1500
    assert clock.has_elapsed(START - 2000, 2)
    assert not clock.has_elapsed(START - 1999, 2)


def test_every_stamp_has_another_write_token(clock: Clock) -> None:
    stamps = [clock.stamp() for _ in range(100)]

    assert {each.now for each in stamps} == {START}
    assert {len(each.write_token) for each in stamps} == {16}
    assert len({each.write_token for each in stamps}) == 100


@pytest.mark.parametrize(("tries", "max_s"), [(0, 4), (1, 8), (3, 30), (1_000_000, 30)])
def test_backoff_is_exponential_with_full_jitter_up_to_its_bound(
    clock: Clock, tries: int, max_s: int
) -> None:
    delays = [clock.backoff_s(tries, (4, 30)) for _ in range(500)]

    assert 0 <= min(delays) < 0.1 * max_s
    assert 0.9 * max_s < max(delays) <= max_s


def test_fast_retries_come_before_the_backoff(clock: Clock) -> None:
    for tries, expected_s in enumerate(LIMITS.fast_retry_s):
        delays = [clock.fast_retry_s(tries, (4, 30)) for _ in range(100)]
        assert 0.8 * expected_s <= min(delays) < max(delays) <= 1.2 * expected_s
    assert max(clock.fast_retry_s(2, (4, 30)) for _ in range(500)) <= 4


def test_write_tokens_of_two_system_clocks_differ() -> None:
    """SystemRandom has no state that a restored snapshot could repeat."""
    first, second = (system_clock(LIMITS).stamp() for _ in range(2))

    assert first.write_token != second.write_token
