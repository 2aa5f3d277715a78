"""The rules and prompt marks that set the simulated PoYo's faults."""

import time

import pytest
import requests

from local.poyo_simulator.background_server import in_background
from local.poyo_simulator.faults import FAULTS
from local.poyo_simulator.settings import Settings
from tests.local.simulator_client import INSTANT, UNREACHABLE, SimulatorClient


def test_a_rule_is_used_at_most_times_times(poyo: SimulatorClient) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-503", "times": 2, "n": 0}])

    statuses = [poyo.submit(f"Prompt {number}").status_code for number in range(4)]

    assert statuses == [503, 503, 200, 200]
    assert poyo.control("GET", "faults")["rules"][0]["used"] == 2


def test_a_rate_applies_about_that_often_and_repeatably() -> None:
    seen = []
    for _ in range(2):
        with in_background(INSTANT, seed="7") as origin:
            poyo = SimulatorClient(origin)
            poyo.control("PUT", "faults", [{"fault": "submit-503", "rate": 0.3}])
            seen.append([poyo.submit(f"Prompt {n}").status_code for n in range(60)])

    assert seen[0] == seen[1]
    assert 8 <= seen[0].count(503) <= 28


@pytest.mark.parametrize(
    ("match", "rejected"),
    [
        ({"prompt_contains": "cat"}, 1),
        ({"model": "gpt-image-2-edit"}, 0),
        ({"callback_contains": "/ours-2"}, 1),
        ({"prompt_contains": "cat", "callback_contains": "/ours-2"}, 0),
        ({}, 2),
    ],
)
def test_a_rule_applies_only_to_orders_that_it_matches(
    poyo: SimulatorClient, match: dict[str, str], rejected: int
) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-402", "match": match}])

    responses = [
        poyo.submit("A cat", callback_url=f"{UNREACHABLE}/ours-1"),
        poyo.submit("A dog", callback_url=f"{UNREACHABLE}/ours-2"),
    ]

    assert [response.status_code for response in responses].count(402) == rejected


def test_a_rule_can_match_one_task(poyo: SimulatorClient) -> None:
    one, other = poyo.submit_task(), poyo.submit_task()
    poyo.control("PUT", "faults", [{"fault": "status-500", "match": {"task_id": one}}])

    assert (poyo.status(one).status_code, poyo.status(other).status_code) == (500, 200)


def test_deleting_the_rules_stops_the_faults(poyo: SimulatorClient) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-402"}])
    assert poyo.submit().status_code == 402

    poyo.control("DELETE", "faults")

    assert poyo.submit().status_code == 200


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"fault": "sumbit-drop"}], "the nearest is 'submit-drop'"),
        ([{"fault": "callback-dubble"}], "the nearest is 'callback-double'"),
        ([{"fault": "submit-429", "secnods": 3}], "it has: n, seconds"),
        ([{"fault": "submit-429", "seconds": "soon"}], "must be of type float"),
        ([{"fault": "submit-502-html", "created": 1}], "must be of type bool"),
        ([{"fault": "submit-drop", "rate": 2}], "rate must be"),
        ([{"fault": "submit-drop", "times": "2"}], "times must be"),
        ([{"fault": "submit-drop", "match": {"prompt": "x"}}], "match allows"),
        ({"fault": "submit-drop"}, "send a list"),
    ],
)
def test_an_invalid_rule_is_rejected_and_changes_nothing(
    poyo: SimulatorClient, rules: object, message: str
) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-402"}])

    response = poyo.control("PUT", "faults", rules)

    assert response["code"] == 400
    assert message in response["error"]["message"]
    assert [rule["fault"] for rule in poyo.control("GET", "faults")["rules"]] == ["submit-402"]


@pytest.mark.parametrize("mark", ["[[fault:nonsense]]", "[[fault:submit-drop n=some]]"])
def test_an_invalid_mark_in_a_prompt_gets_400(poyo: SimulatorClient, mark: str) -> None:
    response = poyo.submit(mark)

    assert response.status_code == 400
    assert poyo.task_count() == 0


def test_the_control_api_lists_every_fault_with_its_parameters(poyo: SimulatorClient) -> None:
    available = poyo.control("GET", "faults")["available"]

    assert available.keys() == FAULTS.keys()
    assert available["submit-429"]["parameters"] == {"n": 1, "seconds": 5.0}


def test_two_hundred_tasks_with_mixed_faults_all_end() -> None:
    settings = Settings(seconds=(1.0, 60.0), rate=0)
    with in_background(settings, speed=200, seed="1") as origin:
        poyo = SimulatorClient(origin)
        names = ("submit-drop", "status-500", "callback-none", "slow-not-started", "submit-429")
        poyo.control("PUT", "faults", [{"fault": name, "rate": 0.2} for name in names])
        for number in range(200):
            try:
                poyo.submit(f"Prompt {number}", callback_url=f"{UNREACHABLE}/{number}")
            except requests.ConnectionError:
                continue
        poyo.control("PUT", "clock", {"advance_seconds": 3600})

        deadline = time.monotonic() + 5
        while (ended := len(poyo.events("task"))) < 2 * sum(
            event["created"] for event in poyo.events("submit")
        ):
            assert time.monotonic() < deadline, ended
            time.sleep(0.05)
