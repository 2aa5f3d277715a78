"""The simulated PoYo's faults in submits, tasks, statuses and files, and the rules for them."""

import json
import struct
import time
from collections.abc import Iterable, Iterator
from itertools import islice

import pytest
import requests

from local.poyo_simulator.background_server import in_background
from local.poyo_simulator.callback_faults import CALLBACK_FAULTS
from local.poyo_simulator.faults import FAULTS
from local.poyo_simulator.file_faults import FILE_FAULTS
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.status_faults import STATUS_FAULTS
from local.poyo_simulator.submit_faults import SUBMIT_FAULTS
from local.poyo_simulator.task_faults import TASK_FAULTS
from tests.local.test_poyo_simulator import AT_ONCE, NEVER, NOBODY, Poyo

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
PNG = b"\x89PNG\r\n\x1a\n"
END = b"IEND\xaeB`\x82"


@pytest.fixture
def poyo() -> Iterator[Poyo]:
    with in_background(AT_ONCE) as origin:
        yield Poyo(origin)


@pytest.fixture
def slow_poyo() -> Iterator[Poyo]:
    with in_background(NEVER) as origin:
        yield Poyo(origin)


def finished(poyo: Poyo, fault: str) -> str:
    task_id = poyo.accepted(f"A lighthouse [[fault:{fault}]]")
    poyo.wait_for(task_id)
    return task_id


def tasks(poyo: Poyo) -> int:
    return len(poyo.control("GET", "tasks")["tasks"])


def test_every_fault_in_the_table_has_an_effect_and_the_reverse() -> None:
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
def test_a_dropped_submit_has_no_answer(poyo: Poyo, fault: str, created: int) -> None:
    with pytest.raises(requests.ConnectionError):
        poyo.submit(f"[[fault:{fault}]]")

    assert tasks(poyo) == created
    event = poyo.events("submit")[0]
    assert (event["outcome"], event["http"], event["created"]) == ("dropped", None, bool(created))


def test_submit_timeout_creates_the_task_and_answers_late(poyo: Poyo) -> None:
    with pytest.raises(requests.ReadTimeout):
        poyo.submit("[[fault:submit-timeout=5]]", timeout_s=0.2)
    assert tasks(poyo) == 1

    started = time.monotonic()
    assert poyo.submit("[[fault:submit-timeout=0.2]]").status_code == 200
    assert time.monotonic() - started >= 0.2


def test_submit_garbage_is_a_200_that_is_no_json(poyo: Poyo) -> None:
    answer = poyo.submit("[[fault:submit-garbage]]")

    assert (answer.status_code, tasks(poyo)) == (200, 1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


@pytest.mark.parametrize(("mark", "created"), [("", 1), ("=true", 1), ("=false", 0)])
def test_submit_502_html_may_have_created_the_task(poyo: Poyo, mark: str, created: int) -> None:
    answer = poyo.submit(f"[[fault:submit-502-html{mark}]]")

    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert "<html>" in answer.text
    assert tasks(poyo) == created


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
def test_a_refused_submit_creates_nothing(poyo: Poyo, fault: str, status: int, kind: str) -> None:
    answer = poyo.submit(f"[[fault:{fault}]]")

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert answer.json()["code"] >= 400
    assert "Retry-After" not in answer.headers
    assert (tasks(poyo), poyo.balance()) == (0, 10_000)


def test_submit_503_is_empty_and_heals_at_the_second_submit(poyo: Poyo) -> None:
    statuses = []
    for _ in range(3):
        answer = poyo.submit("[[fault:submit-503=2]]", callback_url=f"{NOBODY}/same")
        statuses.append((answer.status_code, bool(answer.text)))

    assert statuses == [(503, False), (503, False), (200, True)]


# Tasks


def test_slow_not_started_waits_before_it_runs(poyo: Poyo) -> None:
    task_id = poyo.accepted("[[fault:slow-not-started=120]]")
    poyo.control("PUT", "clock", {"advance_seconds": 110})
    assert poyo.told(task_id)["status"] == "not_started"

    poyo.control("PUT", "clock", {"advance_seconds": 11})

    poyo.wait_for(task_id)


def test_stuck_running_runs_for_hours_or_for_ever(poyo: Poyo) -> None:
    hours = poyo.accepted("[[fault:stuck-running=7200]]")
    ever = poyo.accepted("[[fault:stuck-running]]")
    poyo.control("PUT", "clock", {"advance_seconds": 7100})
    assert poyo.told(hours)["status"] == poyo.told(ever)["status"] == "running"
    poyo.control("PUT", "clock", {"advance_seconds": 1e6})

    poyo.wait_for(hours)
    assert (poyo.told(ever)["status"], poyo.told(ever)["progress"]) == ("running", 50.0)


def test_fail_server_exception_fails_with_its_message_and_costs_nothing(poyo: Poyo) -> None:
    usual = poyo.accepted("[[fault:fail-server-exception]]")
    body = [{"fault": "fail-server-exception", "message": "Please enter a prompt and try again"}]
    poyo.control("PUT", "faults", body)
    other = poyo.accepted()
    poyo.wait_for(usual, "failed")
    poyo.wait_for(other, "failed")

    assert poyo.told(usual)["error_message"] == "Server exception"
    assert poyo.told(other)["error_message"] == "Please enter a prompt and try again"
    assert poyo.balance() == 10_000


def test_fail_moderation_has_a_nested_json_message(poyo: Poyo) -> None:
    task_id = poyo.accepted("[[fault:fail-moderation]]")
    poyo.wait_for(task_id, "failed")

    message = json.loads(poyo.told(task_id)["error_message"])

    assert message["error"]["code"] == "moderation_blocked"


def test_credits_drift_changes_price_and_balance(poyo: Poyo) -> None:
    task_id = finished(poyo, "credits-drift=2.5")

    assert poyo.told(task_id)["credits_amount"] == 5.0
    assert poyo.balance() == 9_995


def test_same_id_twice_gives_two_tasks_one_id(poyo: Poyo) -> None:
    first = poyo.accepted()

    second = poyo.accepted("[[fault:same-id-twice]]")

    assert first == second
    assert [t["task_id"] for t in poyo.control("GET", "tasks")["tasks"]] == [first, first]
    assert poyo.balance() == 9_996


def test_file_new_host_is_served_under_another_name(poyo: Poyo) -> None:
    usual = poyo.told(finished(poyo, "file-new-host"))["files"][0]["file_url"]
    chosen = poyo.told(finished(poyo, "file-new-host=https://cdn.example"))["files"][0]["file_url"]

    assert usual.startswith(poyo.origin.replace("127.0.0.1", "localhost") + "/files/")
    assert chosen.startswith("https://cdn.example/files/")
    assert requests.get(usual, timeout=5).content.startswith(PNG)


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
def test_a_status_fails_n_times(poyo: Poyo, fault: str, status: int, code: int) -> None:
    task_id = finished(poyo, f"{fault}=2")

    answers = [poyo.status(task_id) for _ in range(3)]

    seen = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert seen == [(status, code)] * 2 + [(200, 200)]
    assert "Retry-After" not in answers[0].headers


def test_status_no_files_waits_for_the_end_to_strike(slow_poyo: Poyo) -> None:
    task_id = slow_poyo.accepted("[[fault:status-no-files=2]]")
    slow_poyo.told(task_id)
    slow_poyo.control("POST", f"tasks/{task_id}/finish")

    seen = [slow_poyo.told(task_id) for _ in range(3)]

    assert [(told["status"], len(told["files"])) for told in seen] == [
        ("finished", 0),
        ("finished", 0),
        ("finished", 1),
    ]


def test_status_missing_keys_has_only_what_is_needed(slow_poyo: Poyo) -> None:
    task_id = slow_poyo.accepted("[[fault:status-missing-keys]]")
    assert set(slow_poyo.told(task_id)) == {"task_id", "status"}

    slow_poyo.control("POST", f"tasks/{task_id}/finish")

    assert set(slow_poyo.told(task_id)) == {"task_id", "status", "files"}


def test_status_unknown_word_says_another_word_n_times(poyo: Poyo) -> None:
    task_id = finished(poyo, "status-unknown-word=2 word=SUCCEEDED")

    words = [poyo.told(task_id)["status"] for _ in range(3)]

    assert words == ["SUCCEEDED", "SUCCEEDED", "finished"]


def test_status_unwrapped_is_the_bare_task(poyo: Poyo) -> None:
    task_id = finished(poyo, "status-unwrapped")

    answer = poyo.status(task_id).json()

    assert answer["task_id"] == task_id
    assert "code" not in answer


# Files


def test_file_403_agent_wants_a_browser(poyo: Poyo) -> None:
    task_id = finished(poyo, "file-403-agent")

    assert poyo.file(task_id).status_code == 403
    assert poyo.file(task_id, headers=BROWSER).content.startswith(PNG)


@pytest.mark.parametrize(("fault", "status"), [("file-404", 404), ("file-500", 500)])
def test_a_file_fails_n_times(poyo: Poyo, fault: str, status: int) -> None:
    task_id = finished(poyo, f"{fault}=2")

    assert [poyo.file(task_id).status_code for _ in range(3)] == [status, status, 200]
    assert poyo.task(task_id)["file_reads"] == 3


def test_file_octet_stream_is_still_the_picture(poyo: Poyo) -> None:
    answer = poyo.file(finished(poyo, "file-octet-stream"))

    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.content.endswith(END)


@pytest.mark.parametrize(
    ("fault", "content_type", "start"),
    [
        ("file-html", "text/html", b"<!doctype html>"),
        ("file-html content_type=image/png", "image/png", b"<!doctype html>"),
        ("file-svg", "image/svg+xml", b"<svg "),
    ],
)
def test_a_file_is_something_else(poyo: Poyo, fault: str, content_type: str, start: bytes) -> None:
    answer = poyo.file(finished(poyo, fault))

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.content.startswith(start)


def test_file_endless_goes_on_after_the_picture(poyo: Poyo) -> None:
    task_id = finished(poyo, "file-endless=20000000")

    with poyo.file(task_id, stream=True) as answer:
        pieces = list(islice(answer.iter_content(65536), 64))

    assert pieces[0].startswith(PNG)
    assert sum(map(len, pieces)) > 10 * poyo.task(task_id)["bytes"]


def test_file_trickle_keeps_its_pace(poyo: Poyo) -> None:
    task_id = finished(poyo, "file-trickle=2000")
    started = time.monotonic()

    with poyo.file(task_id, stream=True) as answer:
        read = b"".join(islice(answer.iter_content(100), 8))

    assert read.startswith(PNG)
    assert time.monotonic() - started > 0.3
    assert int(answer.headers["Content-Length"]) == poyo.task(task_id)["bytes"]


def test_file_truncated_breaks_off_or_lies_well(poyo: Poyo) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        poyo.file(finished(poyo, "file-truncated"))

    task_id = finished(poyo, "file-truncated honest=true")
    content = poyo.file(task_id).content
    assert len(content) == poyo.task(task_id)["bytes"] // 2
    assert not content.endswith(END)


def test_file_longer_sends_more_than_it_announces(poyo: Poyo) -> None:
    task_id = finished(poyo, "file-longer")
    whole = poyo.task(task_id)["bytes"]

    answer = poyo.file(task_id)

    assert len(answer.content) == int(answer.headers["Content-Length"]) == whole // 2


def test_file_redirect_private_points_at_the_metadata_service(poyo: Poyo) -> None:
    answer = poyo.file(finished(poyo, "file-redirect-private"))

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("http://169.254.169.254/")


def test_file_gzip_bomb_swells(poyo: Poyo) -> None:
    task_id = finished(poyo, "file-gzip-bomb=8")

    with poyo.file(task_id, stream=True) as answer:
        raw = answer.raw.read(decode_content=False)
    swollen = poyo.file(task_id).content

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(raw) < poyo.task(task_id)["bytes"] + 100_000
    assert len(swollen) == poyo.task(task_id)["bytes"] + 8 * 1024 * 1024
    assert swollen.startswith(PNG)


def test_file_pixel_bomb_claims_a_vast_picture(poyo: Poyo) -> None:
    content = poyo.file(finished(poyo, "file-pixel-bomb")).content

    assert struct.unpack(">II", content[16:24]) == (50_000, 50_000)
    assert content.startswith(PNG)


def test_file_wrong_magic_is_no_png(poyo: Poyo) -> None:
    answer = poyo.file(finished(poyo, "file-wrong-magic"))

    assert answer.headers["Content-Type"] == "image/png"
    assert not answer.content.startswith(PNG)
    assert answer.content.endswith(END)


# Rules


def test_a_rule_strikes_at_most_so_many_times(poyo: Poyo) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-503", "times": 2, "n": 0}])

    statuses = [poyo.submit(f"Prompt {number}").status_code for number in range(4)]

    assert statuses == [503, 503, 200, 200]
    assert poyo.control("GET", "faults")["rules"][0]["used"] == 2


def test_a_rate_strikes_about_that_often_and_repeatably() -> None:
    seen = []
    for _ in range(2):
        with in_background(AT_ONCE, seed="7") as origin:
            poyo = Poyo(origin)
            poyo.control("PUT", "faults", [{"fault": "submit-503", "rate": 0.3}])
            seen.append([poyo.submit(f"Prompt {n}").status_code for n in range(60)])

    assert seen[0] == seen[1]
    assert 8 <= seen[0].count(503) <= 28


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        ({"prompt_contains": "cat"}, 1),
        ({"model": "gpt-image-2-edit"}, 0),
        ({"callback_contains": "/ours-2"}, 1),
        ({"prompt_contains": "cat", "callback_contains": "/ours-2"}, 0),
        ({}, 2),
    ],
)
def test_a_rule_concerns_only_what_it_matches(
    poyo: Poyo, match: dict[str, str], struck: int
) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-402", "match": match}])

    answers = [
        poyo.submit("A cat", callback_url=f"{NOBODY}/ours-1"),
        poyo.submit("A dog", callback_url=f"{NOBODY}/ours-2"),
    ]

    assert [answer.status_code for answer in answers].count(402) == struck


def test_a_rule_can_be_for_one_task(poyo: Poyo) -> None:
    one, other = poyo.accepted(), poyo.accepted()
    poyo.control("PUT", "faults", [{"fault": "status-500", "match": {"task_id": one}}])

    assert (poyo.status(one).status_code, poyo.status(other).status_code) == (500, 200)


def test_deleting_the_rules_ends_the_trouble(poyo: Poyo) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-402"}])
    assert poyo.submit().status_code == 402

    poyo.control("DELETE", "faults")

    assert poyo.submit().status_code == 200


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([{"fault": "sumbit-drop"}], "the nearest is 'submit-drop'"),
        ([{"fault": "callback-dubble"}], "the nearest is 'callback-double'"),
        ([{"fault": "submit-429", "secnods": 3}], "it has: n, seconds"),
        ([{"fault": "submit-429", "seconds": "soon"}], "must be of type float"),
        ([{"fault": "submit-502-html", "created": 1}], "must be of type bool"),
        ([{"fault": "submit-drop", "rate": 2}], "rate must be"),
        ([{"fault": "submit-drop", "times": "2"}], "times must be"),
        ([{"fault": "submit-drop", "match": {"prompt": "x"}}], "match knows"),
        ({"fault": "submit-drop"}, "send a list"),
    ],
)
def test_a_wrong_rule_is_refused_and_changes_nothing(poyo: Poyo, rules: object, says: str) -> None:
    poyo.control("PUT", "faults", [{"fault": "submit-402"}])

    answer = poyo.control("PUT", "faults", rules)

    assert answer["code"] == 400
    assert says in answer["error"]["message"]
    assert [rule["fault"] for rule in poyo.control("GET", "faults")["rules"]] == ["submit-402"]


@pytest.mark.parametrize("mark", ["[[fault:nonsense]]", "[[fault:submit-drop n=some]]"])
def test_a_wrong_mark_in_a_prompt_is_a_400(poyo: Poyo, mark: str) -> None:
    answer = poyo.submit(mark)

    assert answer.status_code == 400
    assert tasks(poyo) == 0


def test_faults_are_listed_with_what_they_do(poyo: Poyo) -> None:
    available = poyo.control("GET", "faults")["available"]

    assert available.keys() == FAULTS.keys()
    assert available["submit-429"]["parameters"] == {"n": 1, "seconds": 5.0}


def test_hundreds_of_tasks_with_a_bit_of_everything_all_end() -> None:
    settings = Settings(seconds=(1.0, 60.0), rate=0)
    with in_background(settings, speed=200, seed="1") as origin:
        poyo = Poyo(origin)
        names = ("submit-drop", "status-500", "callback-none", "slow-not-started", "submit-429")
        poyo.control("PUT", "faults", [{"fault": name, "rate": 0.2} for name in names])
        for number in range(200):
            try:
                poyo.submit(f"Prompt {number}", callback_url=f"{NOBODY}/{number}")
            except requests.ConnectionError:
                continue
        poyo.control("PUT", "clock", {"advance_seconds": 3600})

        deadline = time.monotonic() + 5
        while (ended := len(poyo.events("task"))) < 2 * sum(
            event["created"] for event in poyo.events("submit")
        ):
            assert time.monotonic() < deadline, ended
            time.sleep(0.05)
