"""Many orders over hours, through the real workflows: all are sent, in order, within PoYo's limit, and
soon after PoYo has recovered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagetasks import telemetry
from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.poyo.transport import HttpResponse
from tests.support.fakes import poyo_response
from tests.support.traffic import SlidingPoyo, Traffic

HOUR_S = 3600
NO_CREDITS = poyo_response({"code": 402, "error": {"message": "no credits"}}, 402)
FIREWALL = HttpResponse(403, b"<html>forbidden</html>")
WINDOW_OF_SUBMITS = 20  # messages arrive to the second, so submits of one window may change places


@pytest.fixture(autouse=True)
def without_logs() -> Iterator[None]:
    """Thousands of log lines are slower than what is tested."""
    telemetry.log.setLevel("CRITICAL")
    yield
    telemetry.log.setLevel("INFO")


def fail_until(traffic: Traffic, end_s: float, failure: HttpResponse | Exception) -> None:
    end = traffic.begin + round(end_s * 1000)
    traffic.poyo.failing = lambda now: failure if now < end else None


def states(traffic: Traffic) -> set[tuple[str, str | None]]:
    tasks = [traffic.task(each.task_id) for each in traffic.orders]
    return {(task.state, task.reason) for task in tasks}


def overtaken(poyo: SlidingPoyo, traffic: Traffic) -> int:
    """By how many places a submit came earlier than its order at most."""
    place = {task_id: n for n, (_, task_id) in enumerate(poyo.sent)}
    return max(n - place[task.task_id] for n, task in enumerate(traffic.orders))


@pytest.mark.parametrize(("rate", "seconds"), [(3, HOUR_S), (10, 600), (50, 120)])
def test_every_accepted_order_is_sent_once_in_order_whatever_the_load(
    rate: int, seconds: int
) -> None:
    traffic = Traffic()
    for n in range(rate * seconds):
        traffic.order_at(n / rate)

    traffic.run(2 * HOUR_S)

    assert states(traffic) == {("running", None)}
    assert len(traffic.poyo.sent) == len(traffic.orders)
    assert traffic.poyo.refused == 0
    assert overtaken(traffic.poyo, traffic) <= WINDOW_OF_SUBMITS
    sent_at = {task_id: at for at, task_id in traffic.poyo.sent}
    waits = [sent_at[each.task_id] - each.created_at for each in traffic.orders]
    assert max(waits) / 1000 <= 30 * 60 + 5
    assert len(traffic.orders) >= 3270  # half an hour of PoYo's capacity is accepted
    assert len(traffic.orders) + len(traffic.refusals) == rate * seconds


def test_burst_uses_nearly_all_of_poyos_limit_without_a_refusal() -> None:
    traffic = Traffic()
    for n in range(200):
        traffic.order_at(n / 200)

    traffic.run(200)

    assert len(traffic.poyo.sent) == 200
    assert traffic.poyo.refused == 0
    assert traffic.sent_after_s()[-1] <= 90 / 0.95  # twenty at once and every ten seconds: 90 s


@pytest.mark.parametrize("lateness_s", [1.5, 4, 12])
def test_no_submit_is_refused_however_late_the_workers_are(lateness_s: float) -> None:
    traffic = Traffic(lateness_s=lateness_s)
    for n in range(600):
        traffic.order_at(n / 100)

    traffic.run(HOUR_S)

    assert states(traffic) == {("running", None)}
    assert len(traffic.poyo.sent) == 600
    assert traffic.poyo.refused == 0


def test_refused_orders_are_accepted_after_the_time_in_retry_after() -> None:
    traffic = Traffic()
    for _ in range(3600):
        traffic.order_at(0)
    traffic.run(1)
    first = traffic.refusals[0]
    accepted = len(traffic.orders)

    traffic.order_at(1 + first)
    traffic.run(2 + first)

    assert len(traffic.orders) == accepted + 1


def test_the_same_load_below_the_limit_never_waits() -> None:
    traffic = Traffic()
    for n in range(1500):
        traffic.order_at(n / 1.5)

    traffic.run(HOUR_S)

    assert all(task.state == "running" for task in traffic.orders)


def test_lost_messages_delay_only_their_own_orders() -> None:
    traffic = Traffic()
    lost = iter(range(10**6))
    traffic.lose_message = lambda: (n := next(lost)) % 10 == 0 and n < 500
    for n in range(600):
        traffic.order_at(n / 10)

    traffic.run(HOUR_S)

    assert states(traffic) == {("running", None)}
    assert traffic.sent_after_s()[-1] < 600


@pytest.mark.parametrize(
    "failure", [NO_CREDITS, ResponseLost("ReadTimeout"), RequestNotSent("ConnectTimeout"), FIREWALL]
)
@pytest.mark.parametrize("outage_s", [60, 600, 1500])
def test_first_and_hundredth_order_are_sent_soon_after_poyo_has_recovered(
    failure: HttpResponse | Exception, outage_s: int
) -> None:
    traffic = Traffic()
    fail_until(traffic, outage_s, failure)
    for n in range(300):
        traffic.order_at(n * outage_s / 300)

    traffic.run(2 * HOUR_S)

    after_s = [each - outage_s for each in traffic.sent_after_s()]
    assert after_s[0] <= 65  # docs/operating.md repeats these bounds
    assert after_s[99] <= 150
    lost = len(traffic.orders) - len(traffic.poyo.sent)
    assert lost <= 5 + outage_s / 60  # three to open the circuit breaker, then one for each probe
    assert ("failed", "unavailable") not in states(traffic)


@pytest.mark.parametrize("failure", [RequestNotSent("ConnectTimeout"), FIREWALL])
def test_orders_of_before_an_outage_are_sent_soon_after_it(
    failure: HttpResponse | Exception,
) -> None:
    traffic = Traffic()
    fail_until(traffic, 1500, failure)
    for n in range(100):
        traffic.order_at(n / 10)

    traffic.run(HOUR_S)

    after_s = [each - 1500 for each in traffic.sent_after_s()]
    assert len(after_s) == 100
    assert after_s[0] <= 65
    assert after_s[-6] <= 150  # probes that failed have waited longer


def test_orders_wait_in_their_order_while_poyo_fails() -> None:
    traffic = Traffic()
    fail_until(traffic, 600, ResponseLost("ReadTimeout"))
    for n in range(100):
        traffic.order_at(n * 6)

    traffic.run(HOUR_S)

    sent = [task_id for _, task_id in traffic.poyo.sent]
    waited = [each.task_id for each in traffic.orders if each.task_id in set(sent)]
    assert [waited.index(each) for each in sent] == pytest.approx(range(len(sent)), abs=5)


def test_one_order_an_hour_is_sent_at_once_after_a_night_of_failures() -> None:
    traffic = Traffic()
    fail_until(traffic, 8 * HOUR_S, NO_CREDITS)
    for hour in range(24):
        traffic.order_at(hour * HOUR_S + 1000)

    traffic.run(25 * HOUR_S)

    assert traffic.sent_after_s() == [hour * HOUR_S + 1000 for hour in range(8, 24)]


def test_orders_fail_as_unavailable_only_after_half_an_hour_of_refusals() -> None:
    traffic = Traffic()
    fail_until(traffic, 2 * HOUR_S, RequestNotSent("ConnectTimeout"))
    traffic.order_at(0)

    traffic.run(29 * 60)
    assert states(traffic) == {("pending", None)}
    traffic.run(45 * 60)

    assert states(traffic) == {("failed", "unavailable")}


def test_nobody_submits_before_the_wait_that_poyo_named() -> None:
    traffic = Traffic()
    message = "Rate limit exceeded, please try again in 30 seconds"
    failure = poyo_response({"code": 429, "error": {"message": message}}, 429)
    asked: list[int] = []

    def failing(now: int) -> HttpResponse | None:
        asked.append(now - traffic.begin)
        return failure if len(asked) == 1 else None

    traffic.poyo.failing = failing
    for n in range(40):
        traffic.order_at(n)
    traffic.run(HOUR_S)

    assert asked[0] == 0
    assert min(asked[1:]) >= 30_000
    assert states(traffic) == {("running", None)}


@pytest.mark.parametrize("every", [10, 290])
@pytest.mark.parametrize("skew_s", [-365 * 86_400, -300, 300, 365 * 86_400])
def test_orders_of_a_function_whose_clock_is_wrong_hold_no_others_back(
    skew_s: int, every: int
) -> None:
    traffic = Traffic()
    clock = replace(traffic.clock, now_ms=lambda: traffic.time.now + skew_s * 1000)
    wrong = traffic.submitter_with(clock)
    for n in range(290):
        traffic.order_at(n, wrong if n % every == 0 else None)

    traffic.run(HOUR_S)

    assert [task.state for task in traffic.orders] == ["running"] * 290
    assert traffic.refusals == []
    assert traffic.poyo.refused == 0


@pytest.mark.parametrize("skew_s", [-365 * 86_400, -300, 300, 365 * 86_400])
def test_orders_that_wait_are_sent_although_a_clock_is_wrong(skew_s: int) -> None:
    traffic = Traffic()
    clock = replace(traffic.clock, now_ms=lambda: traffic.time.now + skew_s * 1000)
    wrong = traffic.submitter_with(clock)
    for n in range(600):
        traffic.order_at(n / 10, wrong if n == 300 else None)

    traffic.run(HOUR_S)

    if skew_s < -86_400:
        del traffic.orders[300]  # its own: by that clock PoYo has refused it for a year
    assert states(traffic) == {("running", None)}
    assert traffic.refusals == []
