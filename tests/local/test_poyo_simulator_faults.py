"""The simulated PoYo's faults in submits, tasks and statuses."""

import json
import time
from collections.abc import Iterable

import pytest
import requests

from local.poyo_simulator.callback_faults import CALLBACK_FAULTS
from local.poyo_simulator.faults import FAULTS
from local.poyo_simulator.file_faults import FILE_FAULTS
from local.poyo_simulator.status_faults import STATUS_FAULTS
from local.poyo_simulator.submit_faults import SUBMIT_FAULTS
from local.poyo_simulator.task_faults import TASK_FAULTS
from tests.local.simulator_client import UNREACHABLE, SimulatorClient

PNG = b"\x89PNG\r\n\x1a\n"


def test_every_fault_in_the_table_has_an_effect_and_every_effect_a_fault() -> None:
    effects: dict[str, Iterable[str]] = {
        "submit": SUBMIT_FAULTS,
        "task": TASK_FAULTS,
        "status": STATUS_FAULTS,
        "callback": CALLBACK_FAULTS,
        "file": FILE_FAULTS,
    }

    in_table = {(fault.stage, name) for name, fault in FAULTS.items()}

    assert in_table == {(stage, name) for stage, rows in effects.items() for name in rows}


# Submits


@pytest.mark.parametrize(("fault", "created"), [("submit-drop", 1), ("submit-drop-before", 0)])
def test_a_dropped_submit_has_no_response(poyo: SimulatorClient, fault: str, created: int) -> None:
    with pytest.raises(requests.ConnectionError):
        poyo.submit(f"[[fault:{fault}]]")

    assert poyo.task_count() == created
    event = poyo.events("submit")[0]
    assert (event["outcome"], event["http"], event["created"]) == ("dropped", None, bool(created))


def test_submit_timeout_creates_the_task_and_responds_late(poyo: SimulatorClient) -> None:
    with pytest.raises(requests.ReadTimeout):
        poyo.submit("[[fault:submit-timeout=5]]", timeout_s=0.2)
    assert poyo.task_count() == 1

    started = time.monotonic()
    assert poyo.submit("[[fault:submit-timeout=0.2]]").status_code == 200
    assert time.monotonic() - started >= 0.2


def test_submit_garbage_is_a_200_that_is_not_json(poyo: SimulatorClient) -> None:
    response = poyo.submit("[[fault:submit-garbage]]")

    assert (response.status_code, poyo.task_count()) == (200, 1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text)


@pytest.mark.parametrize(("mark", "created"), [("", 1), ("=true", 1), ("=false", 0)])
def test_submit_502_html_may_have_created_the_task(
    poyo: SimulatorClient, mark: str, created: int
) -> None:
    response = poyo.submit(f"[[fault:submit-502-html{mark}]]")

    assert (response.status_code, response.headers["Content-Type"]) == (
        502,
        "text/html; charset=utf-8",
    )
    assert "<html>" in response.text
    assert poyo.task_count() == created


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("submit-429", 429, "rate_limit_error"),
        ("submit-401", 401, "authentication_error"),
        ("submit-402", 402, "insufficient_credits_error"),
        ("submit-200-code-400", 200, "validation_error"),
        ("submit-moderated", 400, "content_moderation_error"),
    ],
)
def test_a_rejected_submit_creates_nothing(
    poyo: SimulatorClient, fault: str, status: int, kind: str
) -> None:
    response = poyo.submit(f"[[fault:{fault}]]")

    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.json()["code"] >= 400
    assert "Retry-After" not in response.headers
    assert (poyo.task_count(), poyo.balance()) == (0, 10_000)


def test_submit_503_is_empty_and_ends_after_n_submits(poyo: SimulatorClient) -> None:
    statuses = []
    for _ in range(3):
        response = poyo.submit("[[fault:submit-503=2]]", callback_url=f"{UNREACHABLE}/same")
        statuses.append((response.status_code, bool(response.text)))

    assert statuses == [(503, False), (503, False), (200, True)]


# Tasks


def test_slow_not_started_delays_the_running_state(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task("[[fault:slow-not-started=120]]")
    poyo.control("PUT", "clock", {"advance_seconds": 110})
    assert poyo.task_status(task_id)["status"] == "not_started"

    poyo.control("PUT", "clock", {"advance_seconds": 11})

    poyo.wait_for(task_id)


def test_stuck_running_runs_for_hours_or_without_end(poyo: SimulatorClient) -> None:
    hours = poyo.submit_task("[[fault:stuck-running=7200]]")
    endless = poyo.submit_task("[[fault:stuck-running]]")
    poyo.control("PUT", "clock", {"advance_seconds": 7100})
    assert poyo.task_status(hours)["status"] == poyo.task_status(endless)["status"] == "running"
    poyo.control("PUT", "clock", {"advance_seconds": 1e6})

    poyo.wait_for(hours)
    assert (poyo.task_status(endless)["status"], poyo.task_status(endless)["progress"]) == (
        "running",
        50.0,
    )


def test_fail_server_exception_fails_with_its_message_and_costs_nothing(
    poyo: SimulatorClient,
) -> None:
    default = poyo.submit_task("[[fault:fail-server-exception]]")
    body = [{"fault": "fail-server-exception", "message": "Please enter a prompt and try again"}]
    poyo.control("PUT", "faults", body)
    other = poyo.submit_task()
    poyo.wait_for(default, "failed")
    poyo.wait_for(other, "failed")

    assert poyo.task_status(default)["error_message"] == "Server exception"
    assert poyo.task_status(other)["error_message"] == "Please enter a prompt and try again"
    assert poyo.balance() == 10_000


def test_fail_moderation_has_a_nested_json_message(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task("[[fault:fail-moderation]]")
    poyo.wait_for(task_id, "failed")

    message = json.loads(poyo.task_status(task_id)["error_message"])

    assert message["error"]["code"] == "moderation_blocked"


def test_credits_drift_changes_price_and_balance(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("credits-drift=2.5")

    assert poyo.task_status(task_id)["credits_amount"] == 5.0
    assert poyo.balance() == 9_995


def test_same_id_twice_gives_two_tasks_the_same_id(poyo: SimulatorClient) -> None:
    first = poyo.submit_task()

    second = poyo.submit_task("[[fault:same-id-twice]]")

    assert first == second
    assert [t["task_id"] for t in poyo.control("GET", "tasks")["tasks"]] == [first, first]
    assert poyo.balance() == 9_996


def test_file_urls_may_be_relative_or_not_percent_encoded(poyo: SimulatorClient) -> None:
    def file_url(fault: str) -> str:
        return str(poyo.task_status(poyo.finished_task(fault))["files"][0]["file_url"])

    assert file_url("file-relative").startswith("/files/")
    assert file_url("file-raw-url").startswith(f"{poyo.origin}/files/")
    assert file_url("file-raw-url").endswith("?title=Zwei Bären")
    for url in (poyo.origin + file_url("file-relative"), file_url("file-raw-url")):
        assert requests.get(url, timeout=5).content.startswith(PNG)


def test_file_new_host_has_a_file_url_on_another_host(poyo: SimulatorClient) -> None:
    default = poyo.task_status(poyo.finished_task("file-new-host"))["files"][0]["file_url"]
    chosen = poyo.task_status(poyo.finished_task("file-new-host=https://cdn.example"))["files"][0][
        "file_url"
    ]

    assert default.startswith(poyo.origin.replace("127.0.0.1", "localhost") + "/files/")
    assert chosen.startswith("https://cdn.example/files/")
    assert requests.get(default, timeout=5).content.startswith(PNG)


# Statuses


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("status-404-first", 404, 404),
        ("status-500", 500, 500),
        ("status-429", 429, 429),
        ("status-401", 401, 401),
        ("status-200-code-400", 200, 400),
    ],
)
def test_a_status_fails_n_times(poyo: SimulatorClient, fault: str, status: int, code: int) -> None:
    task_id = poyo.finished_task(f"{fault}=2")

    responses = [poyo.status(task_id) for _ in range(3)]

    seen = [(response.status_code, response.json()["code"]) for response in responses]
    assert seen == [(status, code)] * 2 + [(200, 200)]
    assert "Retry-After" not in responses[0].headers


def test_status_no_files_applies_only_to_a_finished_task(slow_poyo: SimulatorClient) -> None:
    task_id = slow_poyo.submit_task("[[fault:status-no-files=2]]")
    slow_poyo.task_status(task_id)
    slow_poyo.control("POST", f"tasks/{task_id}/finish")

    seen = [slow_poyo.task_status(task_id) for _ in range(3)]

    assert [(status["status"], len(status["files"])) for status in seen] == [
        ("finished", 0),
        ("finished", 0),
        ("finished", 1),
    ]


def test_status_missing_keys_omits_every_optional_key(slow_poyo: SimulatorClient) -> None:
    task_id = slow_poyo.submit_task("[[fault:status-missing-keys]]")
    assert set(slow_poyo.task_status(task_id)) == {"task_id", "status"}

    slow_poyo.control("POST", f"tasks/{task_id}/finish")

    assert set(slow_poyo.task_status(task_id)) == {"task_id", "status", "files"}


def test_status_unknown_word_returns_another_status_n_times(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("status-unknown-word=2 word=SUCCEEDED")

    words = [poyo.task_status(task_id)["status"] for _ in range(3)]

    assert words == ["SUCCEEDED", "SUCCEEDED", "finished"]


def test_status_unwrapped_is_the_bare_task(poyo: SimulatorClient) -> None:
    task_id = poyo.finished_task("status-unwrapped")

    response = poyo.status(task_id).json()

    assert response["task_id"] == task_id
    assert "code" not in response
