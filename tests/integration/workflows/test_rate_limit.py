"""Submits keep to PoYo's pace, and a PoYo in trouble is asked seldom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagetasks.errors import AnswerLost
from imagetasks.poyo.rate_limit import QUOTA_KEY, Quota, window_of
from tests.support.environment import World, order, world
from tests.support.fakes import Clock, accepted, pace, reply

WINDOW = 1000


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        made.upstream.answers("POST", *(accepted(f"POYO{n:04}") for n in range(200)))
        yield made


def at_window(number: int) -> Clock:
    clock = Clock()
    clock.now = number * 10_000
    return clock


def quota(sent: int, trouble: int = 0) -> Quota:
    return Quota(window=WINDOW, sent=sent, trouble=trouble)


def test_the_first_twenty_of_a_window_go_at_once() -> None:
    held = pace(at_window(WINDOW))

    waits = [quota(sent).turn(held).wait_s for sent in range(1, 22)]

    assert waits[:20] == [None] * 20
    assert waits[20] is not None


def test_a_burst_is_spread_over_the_windows_that_have_room_for_it() -> None:
    held = pace(at_window(WINDOW))

    for sent in range(21, 400):
        wait_s = quota(sent).turn(held).wait_s

        ahead = (sent - 1) // 20
        assert wait_s is not None
        assert ahead * 10 <= wait_s <= ahead * 10 + 10


def test_nobody_waits_longer_than_five_minutes_before_asking_again() -> None:
    assert quota(1_000_000).turn(pace(at_window(WINDOW))).wait_s == 300


@pytest.mark.parametrize(("trouble", "every"), [(3, 1), (4, 2), (5, 4), (8, 32), (50, 32)])
def test_a_poyo_in_trouble_is_asked_once_in_ever_more_windows(trouble: int, every: int) -> None:
    asked = [
        window
        for window in range(128)
        if Quota(window=window, sent=1, trouble=trouble).turn(pace(at_window(window))).wait_s
        is None
    ]

    assert asked == list(range(0, 128, every))


def test_a_second_submit_beside_the_probe_waits() -> None:
    turn = quota(2, trouble=3).turn(pace(at_window(WINDOW)))

    assert turn.wait_s is not None
    assert turn.troubled


def test_a_burst_sends_twenty_and_lets_the_rest_wait(here: World) -> None:
    made = [here.submitter.submit(order(f"burst-{n}"))[0] for n in range(50)]

    states = [task.state for task in made]
    assert states.count("running") == 20
    assert states.count("pending") == 30
    assert here.upstream.count("POST") == 20
    assert all(here.due(task) for task in made)


def test_those_who_waited_are_sent_when_their_turn_comes(here: World) -> None:
    made = [here.submitter.submit(order(f"burst-{n}"))[0] for n in range(30)]

    for _ in range(12):
        here.clock.forward(5)
        for task in made:
            if here.read(task).state == "pending":
                here.look(task)

    assert {here.read(task).state for task in made} == {"running"}
    assert here.upstream.count("POST") == 30


def test_the_next_window_begins_anew(here: World) -> None:
    for n in range(20):
        here.submitter.submit(order(f"first-{n}"))
    here.clock.forward(10)

    assert here.submitter.submit(order("second"))[0].state == "running"


def test_a_clock_that_is_behind_counts_in_the_window_of_the_others(here: World) -> None:
    here.submitter.submit(order("ahead"))
    window = window_of(here.pace)
    here.clock.forward(-300)

    here.submitter.submit(order("behind"))

    row = here.table.get(QUOTA_KEY)
    assert (row["window"], row["sent"]) == (window, 2)


def test_three_lost_answers_in_a_row_hold_the_others_back(here: World) -> None:
    here.clock.now = WINDOW * 10_000
    here.upstream.answers("POST", AnswerLost("ReadTimeout"))
    doubted = [here.submitter.submit(order(f"doubt-{n}"))[0].state for n in range(3)]

    held_back = here.submitter.submit(order("next"))[0]

    assert doubted == ["unknown"] * 3
    assert held_back.state == "pending"
    assert here.upstream.count("POST") == 3


def test_one_that_goes_well_ends_the_trouble(here: World) -> None:
    here.clock.now = WINDOW * 10_000
    here.upstream.answers("POST", *[AnswerLost("ReadTimeout")] * 3, accepted("A1"), accepted("A2"))
    for n in range(3):
        here.submitter.submit(order(f"doubt-{n}"))
    here.clock.forward(10)

    probe = here.submitter.submit(order("probe"))[0]
    after = here.submitter.submit(order("after"))[0]

    assert (probe.state, after.state) == ("running", "running")
    assert here.table.get(QUOTA_KEY)["trouble"] == 0


def test_an_order_that_poyo_refuses_is_no_trouble(here: World) -> None:
    refusal = {"code": 400, "error": {"message": "no", "type": "validation_error"}}
    here.upstream.answers("POST", reply(refusal, 400))
    for n in range(5):
        here.submitter.submit(order(f"refused-{n}"))

    assert here.table.get(QUOTA_KEY)["trouble"] == 0
