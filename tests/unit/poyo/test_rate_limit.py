"""SubmitWindow: which submits may be sent now, and in which window the others are retried."""

import pytest

from imagetasks.limits import Limits
from imagetasks.poyo.rate_limit import MAX_PROBE_WINDOWS, Slot, SubmitWindow, current_window
from tests.support.fakes import ManualClock, make_clock

LIMITS = Limits(window_s=10, window_submits=20, breaker_threshold=3)
WINDOW_MS = LIMITS.window_s * 1000


def slot_at(window: int, *, sent: int = 1, consecutive_failures: int = 0) -> Slot:
    """The slot of a submit at the beginning of a window."""
    time = ManualClock()
    time.now = window * WINDOW_MS
    counted = SubmitWindow(window=window, sent=sent, consecutive_failures=consecutive_failures)
    clock = make_clock(time, LIMITS)
    assert current_window(clock) == window
    return counted.slot(clock)


@pytest.mark.parametrize("sent", [1, LIMITS.window_submits])
def test_submits_within_the_limit_are_sent_now(sent: int) -> None:
    assert slot_at(1000, sent=sent) == Slot(None)


@pytest.mark.parametrize(("sent", "windows"), [(21, 1), (40, 1), (41, 2), (100, 4)])
def test_submits_beyond_the_limit_wait_for_the_window_with_room(sent: int, windows: int) -> None:
    wait_s = slot_at(1000, sent=sent).wait_s

    assert wait_s is not None
    assert windows * LIMITS.window_s <= wait_s <= (windows + 1) * LIMITS.window_s


def test_a_wait_is_never_longer_than_the_longest_backoff() -> None:
    assert slot_at(1000, sent=100_000).wait_s == LIMITS.submit_backoff_s[1]


def test_submit_after_failures_below_the_threshold_is_sent_and_marked() -> None:
    assert slot_at(1000, sent=20, consecutive_failures=2) == Slot(None, after_failures=True)


@pytest.mark.parametrize(
    ("failures", "every"),
    [(3, 1), (4, 2), (5, 4), (8, MAX_PROBE_WINDOWS), (1000, MAX_PROBE_WINDOWS)],
)
def test_open_breaker_sends_one_probe_in_ever_fewer_windows(failures: int, every: int) -> None:
    windows = range(64 * MAX_PROBE_WINDOWS, 66 * MAX_PROBE_WINDOWS)

    sent = [each for each in windows if slot_at(each, consecutive_failures=failures).wait_s is None]

    assert sent == [each for each in windows if each % every == 0]
    assert slot_at(windows[0], sent=2, consecutive_failures=failures).wait_s is not None
