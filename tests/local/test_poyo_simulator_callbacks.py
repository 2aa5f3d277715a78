"""The simulated PoYo's callbacks, as they arrive."""

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
from local.poyo_simulator.listener import Listener, Rung
from local.poyo_simulator.settings import Settings
from tests.local.test_poyo_simulator import AT_ONCE, NEVER, Poyo

KEY = "whsec_test_0123456789abcdef"
SIGNED = replace(AT_ONCE, webhook_key=KEY)
OURS = "/callbacks/poyo/k1/task-1/mac?x=1"


@contextmanager
def listening(*answers: int) -> Iterator[Listener]:
    with Listener(answers=answers) as listener:
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
def poyo() -> Iterator[Poyo]:
    with in_background(SIGNED) as origin:
        yield Poyo(origin)


def rung(listener: Listener) -> Rung:
    return listener.rung.get(timeout=5)


def silent(listener: Listener, for_s: float = 0.15) -> bool:
    try:
        listener.rung.get(timeout=for_s)
    except Empty:
        return True
    return False


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ring(poyo: Poyo, listener: Listener, fault: str = "", **given: Any) -> tuple[str, Rung]:
    """The id of a task with one fault, and the first callback that comes."""
    prompt = f"A lighthouse {f'[[fault:{fault}]]' if fault else ''}"
    task_id = poyo.accepted(prompt, callback_url=listener.url + OURS, **given)
    return task_id, rung(listener)


def well_signed(letter: Rung) -> bool:
    timestamp = letter.headers["X-Webhook-Timestamp"]
    expected = sign(KEY, str(letter.json["task_id"]), timestamp)
    return letter.headers["X-Webhook-Signature"] == expected


def test_the_signature_is_that_of_the_known_vector() -> None:
    signature = sign(KEY, "TESTTASK00000001", "1783680000")

    assert signature == "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU="


def test_a_callback_is_the_signed_task_object_at_the_url_as_given(
    poyo: Poyo, listener: Listener
) -> None:
    task_id, letter = ring(poyo, listener)

    assert letter.path == OURS
    assert letter.json == poyo.told(task_id)
    assert well_signed(letter)
    assert abs(int(letter.headers["X-Webhook-Timestamp"]) - time.time()) < 5
    assert silent(listener)


def test_without_a_webhook_key_a_callback_is_unsigned(listener: Listener) -> None:
    with in_background(AT_ONCE) as origin:
        _, letter = ring(Poyo(origin), listener)

    assert not [name for name in letter.headers if name.startswith("X-Webhook")]


def test_callbacks_can_be_wrapped_for_a_run(listener: Listener) -> None:
    with in_background(replace(AT_ONCE, wrapped=True)) as origin:
        task_id, letter = ring(Poyo(origin), listener)

    assert letter.json["code"] == 200
    assert letter.json["data"]["task_id"] == task_id  # type: ignore[index]  # free-form JSON


def test_a_failed_task_rings_too(listener: Listener) -> None:
    with in_background(NEVER) as origin:
        poyo = Poyo(origin)
        task_id = poyo.accepted(callback_url=listener.url)
        poyo.control("POST", f"tasks/{task_id}/fail", {"message": "Server exception"})

        letter = rung(listener)

    assert (letter.json["status"], letter.json["error_message"]) == ("failed", "Server exception")


def test_a_refused_callback_is_repeated_after_doubling_waits() -> None:
    with listening(500, 503, 302, 404) as listener, in_background(AT_ONCE) as origin:
        poyo = Poyo(origin)
        task_id = poyo.accepted(callback_url=listener.url)
        for seconds in (61, 121, 241, 481):
            rung(listener)
            assert silent(listener, 0.05)
            poyo.control("PUT", "clock", {"advance_seconds": seconds})
        rung(listener)
        until(lambda: len(poyo.task(task_id)["callbacks"]) == 5)

        attempts = poyo.task(task_id)["callbacks"]

    assert [(a["attempt"], a["http"]) for a in attempts] == [
        (1, 500), (2, 503), (3, 302), (4, 404), (5, 200),
    ]  # fmt: skip
    waits = [later["at"] - sooner["at"] for sooner, later in pairwise(attempts)]
    assert all(wait >= least for wait, least in zip(waits, (60, 120, 240, 480), strict=True))


def test_the_retries_come_to_an_end() -> None:
    settings = replace(AT_ONCE, callback_retries=3, callback_first_wait=1.0)
    with listening(*[500] * 9) as listener, in_background(settings, speed=500) as origin:
        poyo = Poyo(origin)
        poyo.accepted(callback_url=listener.url)
        for _ in range(4):
            rung(listener)

        assert silent(listener)


def test_nobody_at_home_is_an_unanswered_callback(poyo: Poyo) -> None:
    with Listener() as gone:
        url = gone.url
    task_id = poyo.accepted(callback_url=url)

    until(lambda: poyo.task(task_id)["callbacks"])

    assert poyo.task(task_id)["callbacks"][0]["http"] is None
    assert poyo.events("callback")[0]["outcome"] == "unanswered"


def test_the_retry_button_rings_once_more(poyo: Poyo, listener: Listener) -> None:
    task_id, first = ring(poyo, listener)

    poyo.control("POST", f"tasks/{task_id}/callback")

    assert rung(listener).json == first.json
    until(lambda: len(poyo.task(task_id)["callbacks"]) == 2)
    assert [c["ring"] for c in poyo.task(task_id)["callbacks"]] == ["true", "by hand"]


def test_callback_none_is_never_sent(poyo: Poyo, listener: Listener) -> None:
    task_id = poyo.accepted("[[fault:callback-none]]", callback_url=listener.url)
    poyo.wait_for(task_id)

    assert silent(listener)
    assert poyo.events("callback")[0]["outcome"] == "not sent"


def test_callback_double_comes_n_times_more(poyo: Poyo, listener: Listener) -> None:
    _, letter = ring(poyo, listener, "callback-double=3")

    assert [rung(listener).body for _ in range(3)] == [letter.body] * 3
    assert silent(listener)


def test_callback_late_comes_hours_later(poyo: Poyo, listener: Listener) -> None:
    prompt = "[[fault:callback-late=7200]]"
    poyo.wait_for(poyo.accepted(prompt, callback_url=listener.url))
    assert silent(listener)

    poyo.control("PUT", "clock", {"advance_seconds": 7201})

    assert well_signed(rung(listener))


def test_callback_wrapped_is_wrapped(poyo: Poyo, listener: Listener) -> None:
    _, letter = ring(poyo, listener, "callback-wrapped")

    assert set(letter.json) == {"code", "data"}


def test_callback_bad_signature_does_not_verify(poyo: Poyo, listener: Listener) -> None:
    _, letter = ring(poyo, listener, "callback-bad-signature")

    assert not well_signed(letter)


def test_callback_stale_signature_verifies_but_is_old(poyo: Poyo, listener: Listener) -> None:
    _, letter = ring(poyo, listener, "callback-stale-signature=400")

    assert well_signed(letter)
    assert 395 < time.time() - int(letter.headers["X-Webhook-Timestamp"]) < 410


def test_callback_no_signature_has_no_headers(poyo: Poyo, listener: Listener) -> None:
    _, letter = ring(poyo, listener, "callback-no-signature")

    assert "X-Webhook-Signature" not in letter.headers


def test_callback_forged_says_the_opposite_of_another_task(poyo: Poyo, listener: Listener) -> None:
    task_id, one = ring(poyo, listener, "callback-forged")
    letters = {str(letter.json["task_id"]): letter for letter in (one, rung(listener))}

    true = letters.pop(task_id)
    _, forged = letters.popitem()

    assert (true.json["status"], forged.json["status"]) == ("finished", "failed")
    assert true.path == forged.path
    assert well_signed(true)
    assert not well_signed(forged)


def test_callback_says_failed_of_a_finished_task(poyo: Poyo, listener: Listener) -> None:
    task_id, letter = ring(poyo, listener, "callback-says-failed")

    assert (letter.json["status"], letter.json["files"]) == ("failed", [])
    assert poyo.told(task_id)["status"] == "finished"


def test_callback_truncated_is_no_json(poyo: Poyo, listener: Listener) -> None:
    _, letter = ring(poyo, listener, "callback-truncated")

    with pytest.raises(json.JSONDecodeError):
        json.loads(letter.body)


def test_callback_says_finished_early_while_the_status_says_running(
    poyo: Poyo, listener: Listener
) -> None:
    task_id, letter = ring(poyo, listener, "callback-says-finished-early=30")

    assert letter.json["status"] == "finished"
    assert poyo.told(task_id)["status"] == "running"
    assert poyo.file(task_id).status_code == 404
    poyo.control("PUT", "clock", {"advance_seconds": 31})
    poyo.wait_for(task_id)
    assert silent(listener)


def test_callback_early_comes_before_the_submit_is_answered(listener: Listener) -> None:
    with in_background(NEVER) as origin:
        poyo = Poyo(origin)

        task_id = poyo.accepted("[[fault:callback-early]]", callback_url=listener.url)

        assert listener.rung.get_nowait().json["task_id"] == task_id
        assert poyo.told(task_id)["status"] == "finished"


def test_an_early_callback_can_precede_a_dropped_answer(listener: Listener) -> None:
    with in_background(NEVER) as origin:
        poyo = Poyo(origin)
        prompt = "[[fault:submit-502-html]] [[fault:callback-early]]"

        answer = poyo.submit(prompt, callback_url=listener.url)

        assert answer.status_code == 502
        assert listener.rung.get_nowait().json["status"] == "finished"


def test_what_rings_again_by_a_rule_for_a_run_rings_for_every_task(listener: Listener) -> None:
    with in_background(Settings(seconds=(0.0, 0.0))) as origin:
        poyo = Poyo(origin)
        poyo.control("PUT", "faults", [{"fault": "callback-double", "copies": 1}])

        for _ in range(3):
            poyo.accepted(callback_url=listener.url)

        ids = [rung(listener).json["task_id"] for _ in range(6)]
        assert sorted(ids.count(one) for one in set(ids)) == [2, 2, 2]
