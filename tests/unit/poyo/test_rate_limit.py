"""SubmitQueue: when each numbered submit may be sent, also after pauses and with wrong clocks."""

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, tuples

from imagetasks.limits import Limits
from imagetasks.poyo.rate_limit import SubmitQueue

LIMITS = Limits(window_s=10, window_margin_s=0, window_submits=3, max_pause_s=60)
NOW = 1_000_000
FULL = SubmitQueue(starts=(NOW - 4000, NOW - 3000, NOW - 1000), passed=7, issued=9)
"""Three submits of the last ten seconds, and two (8 and 9) that wait."""


def starts_of(queue: SubmitQueue, *numbers: int) -> list[int]:
    """The starts of `numbers` in milliseconds after NOW."""
    return [queue.start_of(number, LIMITS) - NOW for number in numbers]


def test_a_submit_starts_one_window_after_the_one_that_many_numbers_before_it() -> None:
    assert starts_of(FULL, 8, 9, 10, 11, 14) == [6000, 7000, 9000, 16000, 26000]


def test_submits_start_at_once_while_the_last_window_has_room() -> None:
    queue = SubmitQueue(starts=(NOW - 1000,), passed=5, issued=5)

    assert [start <= 0 for start in starts_of(queue, 6, 7, 8)] == [True, True, False]
    assert starts_of(queue, 8) == [9000]


def test_starts_of_submits_that_waited_count_for_the_next_ones() -> None:
    later = NOW + 16_500  # submits 8 to 10 started 10.5, 9.5 and 7.5 seconds ago, 11 half a second
    queue = SubmitQueue(starts=FULL.starts, passed=7, issued=11).started(later, LIMITS)

    assert queue.starts == (NOW + 9000, NOW + 16_000, later)
    assert (queue.passed, queue.issued) == (12, 12)


def test_one_more_start_has_room_one_window_after_the_third_last_that_was_recorded() -> None:
    queue = SubmitQueue()
    for start in (NOW, NOW + 2000, NOW + 1000, NOW - 3000):
        queue = queue.recorded(start, LIMITS)

    assert queue.sent == (NOW, NOW + 1000, NOW + 2000)
    assert queue.room_at(LIMITS) == NOW + 10_200  # and what a request may be faster than another


def test_starts_below_the_limit_have_room_at_once() -> None:
    assert SubmitQueue(sent=(NOW, NOW)).room_at(LIMITS) <= 0


def test_a_start_at_which_nothing_was_sent_does_not_count() -> None:
    queue = SubmitQueue(sent=(NOW, NOW, NOW + 5000))

    assert queue.without(NOW).sent == (NOW, NOW + 5000)
    assert queue.without(NOW + 1) == queue


@given(delays=lists(tuples(integers(0, 4000), integers(0, 3000)), max_size=60))
def test_no_window_has_more_starts_than_poyo_accepts(delays: list[tuple[int, int]]) -> None:
    """Whenever submits come, how long before its start each is recorded, and how many are moved because
    they missed theirs."""
    queue, now, sent = SubmitQueue(), NOW, []
    for after, missed in delays:
        now += after
        start = max(now, queue.room_at(LIMITS))
        queue = queue.recorded(start, LIMITS)
        if missed > 2000:
            now = max(now, start + missed)
            moved = queue.without(start)
            start = max(now, moved.room_at(LIMITS))
            queue = moved.recorded(start, LIMITS)
        sent.append(start)

    sent.sort()
    assert all(later - first >= 10_000 for first, later in zip(sent, sent[3:], strict=False))


def test_a_recorded_start_that_only_a_fast_clock_can_have_written_is_forgotten() -> None:
    queue = SubmitQueue(sent=(NOW, NOW + 1000, NOW + 300_000), passed=8, issued=9)

    assert queue.bounded(NOW, LIMITS).sent == (NOW, NOW + 1000)


def test_a_pause_moves_every_waiting_submit_on_and_keeps_the_order() -> None:
    paused = FULL.paused(NOW + 30_000, NOW, LIMITS)

    starts = starts_of(paused, 8, 9, 10, 11)
    assert starts == [30_000, 33_333, 36_666, 40_000]
    assert (paused.passed, paused.issued) == (7, 9)


def test_a_pause_repeats_the_places_of_the_last_window_but_not_earlier_ones() -> None:
    queue = SubmitQueue(starts=FULL.starts, passed=7, issued=12)
    now = NOW + 17_500  # 8 and 9 started more than a window ago, 10 and 11 within it

    assert queue.paused(now + 5000, now, LIMITS).passed == 9


def test_a_probe_gives_up_its_place_and_the_next_in_line_is_first_after_it() -> None:
    probing = FULL.paused(NOW + 20_000, NOW, LIMITS, sent=8)

    assert starts_of(probing, 9) == [20_000]


def test_after_a_pause_the_next_order_starts_at_once_if_nobody_waits() -> None:
    idle = SubmitQueue(passed=9, issued=9).paused(NOW + 20_000, NOW, LIMITS)

    assert starts_of(idle, 10) == [20_000]
    assert idle.resumed(NOW).start_of(10, LIMITS) <= NOW


def test_after_a_pause_a_new_order_stays_behind_those_that_wait() -> None:
    paused = FULL.paused(NOW + 20_000, NOW, LIMITS)

    assert paused.resumed(NOW) == paused


@pytest.mark.parametrize("ahead_s", [11.001, 300, 365 * 86_400])
def test_a_start_that_only_a_fast_clock_can_have_written_is_forgotten(ahead_s: float) -> None:
    queue = SubmitQueue(starts=(NOW, NOW + round(ahead_s * 1000)), passed=8, issued=9)

    bounded = queue.bounded(NOW, LIMITS)

    assert bounded == SubmitQueue(passed=9, issued=9)
    assert bounded.start_of(10, LIMITS) <= NOW


def test_starts_by_a_clock_that_is_a_little_fast_count() -> None:
    assert FULL.bounded(NOW - 5000, LIMITS) == FULL


def test_a_pause_is_no_wrong_clock_unless_it_is_longer_than_any_pause() -> None:
    queue = FULL.paused(NOW + 60_000, NOW, LIMITS)

    assert queue.bounded(NOW, LIMITS) == queue
    assert queue.bounded(NOW - 11_000, LIMITS) == SubmitQueue(passed=9, issued=9)


def test_a_higher_limit_applies_to_those_that_wait() -> None:
    more = Limits(window_s=10, window_margin_s=0, window_submits=6)

    assert [FULL.start_of(number, more) <= NOW for number in (8, 9, 10)] == [True] * 3
