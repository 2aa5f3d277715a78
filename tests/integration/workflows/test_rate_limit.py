"""Submits keep within PoYo's rate limit, and a circuit breaker sends few while PoYo fails."""

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
    with new_environment() as environment:
        environment.fake_poyo.respond_with(
            "POST", *(submit_response(f"POYO{n:04}") for n in range(200))
        )
        yield environment


def at_window(number: int) -> ManualClock:
    clock = ManualClock()
    clock.now = number * 10_000
    return clock


def submit_window(sent: int, failures: int = 0) -> SubmitWindow:
    return SubmitWindow(window=WINDOW, sent=sent, consecutive_failures=failures)


def test_first_twenty_submits_of_a_window_are_sent_at_once() -> None:
    clock = make_clock(at_window(WINDOW))

    waits = [submit_window(sent).slot(clock).wait_s for sent in range(1, 22)]

    assert waits[:20] == [None] * 20
    assert waits[20] is not None


def test_burst_is_spread_over_the_windows_that_have_room() -> None:
    clock = make_clock(at_window(WINDOW))

    for sent in range(21, 400):
        wait_s = submit_window(sent).slot(clock).wait_s

        ahead = (sent - 1) // 20
        assert wait_s is not None
        assert ahead * 10 <= wait_s <= ahead * 10 + 10


def test_no_submit_waits_longer_than_five_minutes() -> None:
    assert submit_window(1_000_000).slot(make_clock(at_window(WINDOW))).wait_s == 300


@pytest.mark.parametrize(("failures", "every"), [(3, 1), (4, 2), (5, 4), (8, 32), (50, 32)])
def test_failing_poyo_gets_one_submit_in_ever_fewer_windows(failures: int, every: int) -> None:
    windows = [
        window
        for window in range(128)
        if SubmitWindow(window=window, sent=1, consecutive_failures=failures)
        .slot(make_clock(at_window(window)))
        .wait_s
        is None
    ]

    assert windows == list(range(0, 128, every))


def test_second_submit_in_the_window_of_a_probe_waits() -> None:
    slot = submit_window(2, failures=3).slot(make_clock(at_window(WINDOW)))

    assert slot.wait_s is not None
    assert slot.after_failures


def test_burst_sends_twenty_orders_and_defers_the_rest(env: TestEnvironment) -> None:
    tasks = [env.submitter.submit(order(f"burst-{n}")).task for n in range(50)]

    states = [task.state for task in tasks]
    assert states.count("running") == 20
    assert states.count("pending") == 30
    assert env.fake_poyo.request_count("POST") == 20
    assert all(env.is_due(task) for task in tasks)


def test_deferred_orders_are_submitted_in_later_windows(env: TestEnvironment) -> None:
    tasks = [env.submitter.submit(order(f"burst-{n}")).task for n in range(30)]

    for _ in range(12):
        env.time.forward(5)
        for task in tasks:
            if env.read(task).state == "pending":
                env.reconcile(task)

    assert {env.read(task).state for task in tasks} == {"running"}
    assert env.fake_poyo.request_count("POST") == 30


def test_next_window_counts_from_zero(env: TestEnvironment) -> None:
    for n in range(20):
        env.submitter.submit(order(f"first-{n}"))
    env.time.forward(10)

    assert env.submitter.submit(order("second")).task.state == "running"


def test_submit_by_a_slow_clock_counts_in_the_latest_window(env: TestEnvironment) -> None:
    env.submitter.submit(order("ahead"))
    window = current_window(env.clock)
    env.time.forward(-300)

    env.submitter.submit(order("behind"))

    item = env.table.get(WINDOW_PK)
    assert (item["window"], item["sent"]) == (window, 2)


def test_three_lost_responses_in_a_row_defer_the_next_order(env: TestEnvironment) -> None:
    env.time.now = WINDOW * 10_000
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))
    unknown = [env.submitter.submit(order(f"unknown-{n}")).task.state for n in range(3)]

    deferred = env.submitter.submit(order("next")).task

    assert unknown == ["unknown"] * 3
    assert deferred.state == "pending"
    assert env.fake_poyo.request_count("POST") == 3


def test_successful_submit_closes_the_circuit_breaker(env: TestEnvironment) -> None:
    env.time.now = WINDOW * 10_000
    env.fake_poyo.respond_with(
        "POST", *[ResponseLost("ReadTimeout")] * 3, submit_response("A1"), submit_response("A2")
    )
    for n in range(3):
        env.submitter.submit(order(f"unknown-{n}"))
    env.time.forward(10)

    probe = env.submitter.submit(order("probe")).task
    after = env.submitter.submit(order("after")).task

    assert (probe.state, after.state) == ("running", "running")
    assert env.table.get(WINDOW_PK)["consecutive_failures"] == 0


def test_rejected_order_does_not_count_as_a_failure(env: TestEnvironment) -> None:
    rejection = {"code": 400, "error": {"message": "no", "type": "validation_error"}}
    env.fake_poyo.respond_with("POST", poyo_response(rejection, 400))
    for n in range(5):
        env.submitter.submit(order(f"rejected-{n}"))

    assert env.table.get(WINDOW_PK)["consecutive_failures"] == 0
