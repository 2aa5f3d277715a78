"""The simulated PoYo's callbacks: signatures, retries and faults, as a listener receives them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from queue import Empty
from typing import Any

import pytest

from local.poyo_simulator.background_server import in_background
from local.poyo_simulator.callbacks import sign
from local.poyo_simulator.listener import Listener, ReceivedCallback
from local.poyo_simulator.settings import Settings
from tests.local.simulator_client import INSTANT, NEVER_ENDING, SimulatorClient

KEY = "whsec_test_0123456789abcdef"
SIGNED = replace(INSTANT, webhook_key=KEY)
CALLBACK_PATH = "/callbacks/poyo/k1/task-1/mac?x=1"


@contextmanager
def listening(*statuses: int) -> Iterator[Listener]:
    with Listener(statuses=statuses) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as one:
        yield one


@pytest.fixture
def poyo() -> Iterator[SimulatorClient]:
    with in_background(SIGNED) as origin:
        yield SimulatorClient(origin)


def next_callback(listener: Listener) -> ReceivedCallback:
    return listener.received.get(timeout=5)


def no_callback(listener: Listener, for_s: float = 0.15) -> bool:
    try:
        listener.received.get(timeout=for_s)
    except Empty:
        return True
    return False


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def trigger_callback(
    poyo: SimulatorClient, listener: Listener, fault: str = "", **given: Any
) -> tuple[str, ReceivedCallback]:
    """Submit a task with one fault; returns its id and the first callback received."""
    prompt = f"A lighthouse {f'[[fault:{fault}]]' if fault else ''}"
    task_id = poyo.submit_task(prompt, callback_url=listener.url + CALLBACK_PATH, **given)
    return task_id, next_callback(listener)


def has_valid_signature(callback: ReceivedCallback) -> bool:
    timestamp = callback.headers["X-Webhook-Timestamp"]
    expected = sign(KEY, str(callback.json["task_id"]), timestamp)
    return callback.headers["X-Webhook-Signature"] == expected


def test_the_signature_matches_the_known_test_vector() -> None:
    signature = sign(KEY, "TESTTASK00000001", "1783680000")

    assert signature == "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU="


def test_a_callback_posts_the_signed_task_object_to_the_exact_callback_url(
    poyo: SimulatorClient, listener: Listener
) -> None:
    task_id, callback = trigger_callback(poyo, listener)

    assert callback.path == CALLBACK_PATH
    assert callback.json == poyo.task_status(task_id)
    assert has_valid_signature(callback)
    assert abs(int(callback.headers["X-Webhook-Timestamp"]) - time.time()) < 5
    assert no_callback(listener)


def test_a_callback_is_unsigned_without_a_webhook_key(listener: Listener) -> None:
    with in_background(INSTANT) as origin:
        _, callback = trigger_callback(SimulatorClient(origin), listener)

    assert not [name for name in callback.headers if name.startswith("X-Webhook")]


def test_the_wrapped_setting_wraps_every_callback(listener: Listener) -> None:
    with in_background(replace(INSTANT, wrapped=True)) as origin:
        task_id, callback = trigger_callback(SimulatorClient(origin), listener)

    assert callback.json["code"] == 200
    assert callback.json["data"]["task_id"] == task_id  # type: ignore[index]  # free-form JSON


def test_a_failed_task_sends_a_callback(listener: Listener) -> None:
    with in_background(NEVER_ENDING) as origin:
        poyo = SimulatorClient(origin)
        task_id = poyo.submit_task(callback_url=listener.url)
        poyo.control("POST", f"tasks/{task_id}/fail", {"message": "Server exception"})

        callback = next_callback(listener)

    assert (callback.json["status"], callback.json["error_message"]) == (
        "failed",
        "Server exception",
    )


def test_a_callback_is_retried_after_doubling_waits_until_a_2xx_response() -> None:
    with listening(500, 503, 302, 404) as listener, in_background(INSTANT) as origin:
        poyo = SimulatorClient(origin)
        task_id = poyo.submit_task(callback_url=listener.url)
        for seconds in (61, 121, 241, 481):
            next_callback(listener)
            assert no_callback(listener, 0.05)
            poyo.control("PUT", "clock", {"advance_seconds": seconds})
        next_callback(listener)
        wait_until(lambda: len(poyo.task(task_id)["callbacks"]) == 5)

        attempts = poyo.task(task_id)["callbacks"]

    assert [(a["attempt"], a["http"]) for a in attempts] == [
        (1, 500), (2, 503), (3, 302), (4, 404), (5, 200),
    ]  # fmt: skip
    waits = [later["at"] - earlier["at"] for earlier, later in pairwise(attempts)]
    assert all(wait >= least for wait, least in zip(waits, (60, 120, 240, 480), strict=True))


def test_retries_stop_at_the_configured_number() -> None:
    settings = replace(INSTANT, callback_retries=3, callback_first_wait=1.0)
    with listening(*[500] * 9) as listener, in_background(settings, speed=500) as origin:
        poyo = SimulatorClient(origin)
        poyo.submit_task(callback_url=listener.url)
        for _ in range(4):
            next_callback(listener)

        assert no_callback(listener)


def test_a_callback_to_a_closed_port_is_logged_as_unanswered(poyo: SimulatorClient) -> None:
    with Listener() as closed:
        url = closed.url
    task_id = poyo.submit_task(callback_url=url)

    wait_until(lambda: poyo.task(task_id)["callbacks"])

    assert poyo.task(task_id)["callbacks"][0]["http"] is None
    assert poyo.events("callback")[0]["outcome"] == "unanswered"


def test_the_retry_button_sends_the_callback_once_more(
    poyo: SimulatorClient, listener: Listener
) -> None:
    task_id, first = trigger_callback(poyo, listener)

    poyo.control("POST", f"tasks/{task_id}/callback")

    assert next_callback(listener).json == first.json
    wait_until(lambda: len(poyo.task(task_id)["callbacks"]) == 2)
    assert [c["variant"] for c in poyo.task(task_id)["callbacks"]] == ["original", "manual"]


def test_callback_none_is_never_sent(poyo: SimulatorClient, listener: Listener) -> None:
    task_id = poyo.submit_task("[[fault:callback-none]]", callback_url=listener.url)
    poyo.wait_for(task_id)

    assert no_callback(listener)
    assert poyo.events("callback")[0]["outcome"] == "not sent"


def test_callback_double_is_sent_n_more_times(poyo: SimulatorClient, listener: Listener) -> None:
    _, callback = trigger_callback(poyo, listener, "callback-double=3")

    assert [next_callback(listener).body for _ in range(3)] == [callback.body] * 3
    assert no_callback(listener)


def test_callback_late_is_sent_hours_later(poyo: SimulatorClient, listener: Listener) -> None:
    prompt = "[[fault:callback-late=7200]]"
    poyo.wait_for(poyo.submit_task(prompt, callback_url=listener.url))
    assert no_callback(listener)

    poyo.control("PUT", "clock", {"advance_seconds": 7201})

    assert has_valid_signature(next_callback(listener))


def test_callback_wrapped_has_its_body_inside_code_and_data(
    poyo: SimulatorClient, listener: Listener
) -> None:
    _, callback = trigger_callback(poyo, listener, "callback-wrapped")

    assert set(callback.json) == {"code", "data"}


def test_callback_bad_signature_does_not_verify(poyo: SimulatorClient, listener: Listener) -> None:
    _, callback = trigger_callback(poyo, listener, "callback-bad-signature")

    assert not has_valid_signature(callback)


def test_callback_stale_signature_verifies_but_is_old(
    poyo: SimulatorClient, listener: Listener
) -> None:
    _, callback = trigger_callback(poyo, listener, "callback-stale-signature=400")

    assert has_valid_signature(callback)
    assert 395 < time.time() - int(callback.headers["X-Webhook-Timestamp"]) < 410


def test_callback_no_signature_has_no_headers(poyo: SimulatorClient, listener: Listener) -> None:
    _, callback = trigger_callback(poyo, listener, "callback-no-signature")

    assert "X-Webhook-Signature" not in callback.headers


def test_callback_forged_adds_the_opposite_status_of_another_task(
    poyo: SimulatorClient, listener: Listener
) -> None:
    task_id, one = trigger_callback(poyo, listener, "callback-forged")
    callbacks = {str(each.json["task_id"]): each for each in (one, next_callback(listener))}

    original = callbacks.pop(task_id)
    _, forged = callbacks.popitem()

    assert (original.json["status"], forged.json["status"]) == ("finished", "failed")
    assert original.path == forged.path
    assert has_valid_signature(original)
    assert not has_valid_signature(forged)


def test_callback_says_failed_reports_a_finished_task_as_failed(
    poyo: SimulatorClient, listener: Listener
) -> None:
    task_id, callback = trigger_callback(poyo, listener, "callback-says-failed")

    assert (callback.json["status"], callback.json["files"]) == ("failed", [])
    assert poyo.task_status(task_id)["status"] == "finished"


def test_callback_truncated_is_not_json(poyo: SimulatorClient, listener: Listener) -> None:
    _, callback = trigger_callback(poyo, listener, "callback-truncated")

    with pytest.raises(json.JSONDecodeError):
        json.loads(callback.body)


def test_callback_says_finished_early_is_sent_while_the_status_is_running(
    poyo: SimulatorClient, listener: Listener
) -> None:
    task_id, callback = trigger_callback(poyo, listener, "callback-says-finished-early=30")

    assert callback.json["status"] == "finished"
    assert poyo.task_status(task_id)["status"] == "running"
    assert poyo.file(task_id).status_code == 404
    poyo.control("PUT", "clock", {"advance_seconds": 31})
    poyo.wait_for(task_id)
    assert no_callback(listener)


def test_callback_early_is_sent_before_the_submit_responds(listener: Listener) -> None:
    with in_background(NEVER_ENDING) as origin:
        poyo = SimulatorClient(origin)

        task_id = poyo.submit_task("[[fault:callback-early]]", callback_url=listener.url)

        assert listener.received.get_nowait().json["task_id"] == task_id
        assert poyo.task_status(task_id)["status"] == "finished"


def test_callback_early_combines_with_a_lost_submit_response(listener: Listener) -> None:
    with in_background(NEVER_ENDING) as origin:
        poyo = SimulatorClient(origin)
        prompt = "[[fault:submit-502-html]] [[fault:callback-early]]"

        response = poyo.submit(prompt, callback_url=listener.url)

        assert response.status_code == 502
        assert listener.received.get_nowait().json["status"] == "finished"


def test_a_rule_for_the_run_doubles_the_callback_of_every_task(listener: Listener) -> None:
    with in_background(Settings(seconds=(0.0, 0.0))) as origin:
        poyo = SimulatorClient(origin)
        poyo.control("PUT", "faults", [{"fault": "callback-double", "copies": 1}])

        for _ in range(3):
            poyo.submit_task(callback_url=listener.url)

        ids = [next_callback(listener).json["task_id"] for _ in range(6)]
        assert sorted(ids.count(one) for one in set(ids)) == [2, 2, 2]
