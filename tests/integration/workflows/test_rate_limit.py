"""Submits keep to PoYo's pace, and a PoYo in trouble is asked seldom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagetasks.errors import ResponseLost
from imagetasks.poyo.rate_limit import WINDOW_PK, SubmitWindow, current_window
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import ManualClock, make_clock, poyo_response, submit_response

WINDOW = 1000


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as made:
        made.fake_poyo.respond_with("POST", *(submit_response(f"POYO{n:04}") for n in range(200)))
        yield made


def at_window(number: int) -> ManualClock:
    clock = ManualClock()
    clock.now = number * 10_000
    return clock


def quota(sent: int, trouble: int = 0) -> SubmitWindow:
    return SubmitWindow(window=WINDOW, sent=sent, consecutive_failures=trouble)


def test_the_first_twenty_of_a_window_go_at_once() -> None:
    held = make_clock(at_window(WINDOW))

    waits = [quota(sent).slot(held).wait_s for sent in range(1, 22)]

    assert waits[:20] == [None] * 20
    assert waits[20] is not None


def test_a_burst_is_spread_over_the_windows_that_have_room_for_it() -> None:
    held = make_clock(at_window(WINDOW))

    for sent in range(21, 400):
        wait_s = quota(sent).slot(held).wait_s

        ahead = (sent - 1) // 20
        assert wait_s is not None
        assert ahead * 10 <= wait_s <= ahead * 10 + 10


def test_nobody_waits_longer_than_five_minutes_before_asking_again() -> None:
    assert quota(1_000_000).slot(make_clock(at_window(WINDOW))).wait_s == 300


@pytest.mark.parametrize(("trouble", "every"), [(3, 1), (4, 2), (5, 4), (8, 32), (50, 32)])
def test_a_poyo_in_trouble_is_asked_once_in_ever_more_windows(trouble: int, every: int) -> None:
    asked = [
        window
        for window in range(128)
        if SubmitWindow(window=window, sent=1, consecutive_failures=trouble)
        .slot(make_clock(at_window(window)))
        .wait_s
        is None
    ]

    assert asked == list(range(0, 128, every))


def test_a_second_submit_beside_the_probe_waits() -> None:
    turn = quota(2, trouble=3).slot(make_clock(at_window(WINDOW)))

    assert turn.wait_s is not None
    assert turn.after_failures


def test_a_burst_sends_twenty_and_lets_the_rest_wait(env: TestEnvironment) -> None:
    made = [env.submitter.submit(order(f"burst-{n}")).task for n in range(50)]

    states = [task.state for task in made]
    assert states.count("running") == 20
    assert states.count("pending") == 30
    assert env.fake_poyo.request_count("POST") == 20
    assert all(env.is_due(task) for task in made)


def test_those_who_waited_are_sent_when_their_turn_comes(env: TestEnvironment) -> None:
    made = [env.submitter.submit(order(f"burst-{n}")).task for n in range(30)]

    for _ in range(12):
        env.time.forward(5)
        for task in made:
            if env.read(task).state == "pending":
                env.reconcile(task)

    assert {env.read(task).state for task in made} == {"running"}
    assert env.fake_poyo.request_count("POST") == 30


def test_the_next_window_begins_anew(env: TestEnvironment) -> None:
    for n in range(20):
        env.submitter.submit(order(f"first-{n}"))
    env.time.forward(10)

    assert env.submitter.submit(order("second")).task.state == "running"


def test_a_clock_that_is_behind_counts_in_the_window_of_the_others(env: TestEnvironment) -> None:
    env.submitter.submit(order("ahead"))
    window = current_window(env.clock)
    env.time.forward(-300)

    env.submitter.submit(order("behind"))

    row = env.table.get(WINDOW_PK)
    assert (row["window"], row["sent"]) == (window, 2)


def test_three_lost_answers_in_a_row_hold_the_others_back(env: TestEnvironment) -> None:
    env.time.now = WINDOW * 10_000
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))
    doubted = [env.submitter.submit(order(f"doubt-{n}")).task.state for n in range(3)]

    held_back = env.submitter.submit(order("next")).task

    assert doubted == ["unknown"] * 3
    assert held_back.state == "pending"
    assert env.fake_poyo.request_count("POST") == 3


def test_one_that_goes_well_ends_the_trouble(env: TestEnvironment) -> None:
    env.time.now = WINDOW * 10_000
    env.fake_poyo.respond_with(
        "POST", *[ResponseLost("ReadTimeout")] * 3, submit_response("A1"), submit_response("A2")
    )
    for n in range(3):
        env.submitter.submit(order(f"doubt-{n}"))
    env.time.forward(10)

    probe = env.submitter.submit(order("probe")).task
    after = env.submitter.submit(order("after")).task

    assert (probe.state, after.state) == ("running", "running")
    assert env.table.get(WINDOW_PK)["consecutive_failures"] == 0


def test_an_order_that_poyo_refuses_is_no_trouble(env: TestEnvironment) -> None:
    refusal = {"code": 400, "error": {"message": "no", "type": "validation_error"}}
    env.fake_poyo.respond_with("POST", poyo_response(refusal, 400))
    for n in range(5):
        env.submitter.submit(order(f"refused-{n}"))

    assert env.table.get(WINDOW_PK)["consecutive_failures"] == 0
