"""What is said aloud: the facts on the list, where in our code it went wrong, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from imagetasks import telemetry
from imagetasks.aws.task_repository import WriteResult
from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import StoredImage, Task, derive_task_id
from imagetasks.workflows.task_updater import log_transition
from tests.support.environment import CALLBACK_KEY, aws, template
from tests.support.fakes import PROMPT, task
from tests.support.lambdas import captured_logs, http_event, invoke, load_handler

ROOT = Path(__file__).parents[3]
ALWAYS = {"level", "location", "message", "timestamp", "service"}
MOVED = {"task_id", "transition", "applied", "state", "reason", "attempt", "poyo_id", "age_ms"}
CODE = "\n".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
# TaskUpdater.enqueue chooses between a warning and an alarm, so its message is not in a plain call.
ALARMS = sorted({"enqueue_failed", *re.findall(r'telemetry\.alarm\(\s*"(\w+)"', CODE)})
# An error in the log, which then holds the only record of an id. It recovers, or UnconfirmedAlarm fires.
WITHOUT_ALARM = {"enqueue_failed"}


@pytest.fixture(autouse=True)
def no_request() -> None:
    """As after a cold start: nothing that an earlier request left with the logger."""
    telemetry.bind_request({})


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def ended(**changed: Any) -> Task:
    """A finished task that is full of what may not be said."""
    kept = StoredImage(
        key="images/canary-key",
        content_type="image/png",
        bytes=7,
        width=4,
        height=3,
        sha256="a" * 64,
    )
    usual: dict[str, Any] = {"state": "finished", "poyo_id": "POYO1", "files": (kept, kept)}
    usual |= {"attempt": 2, "updated_at": task().created_at + 5853}
    usual |= {"notification_url": "https://canary.example/?canary=1", "detail": "canary-detail"}
    return task(**usual | changed)


def test_a_transition_is_one_line_of_ids_state_milliseconds_and_bytes() -> None:
    with captured_logs() as log:
        log_transition("finish", WriteResult(True, ended()))

    [line] = lines(log.getvalue())
    assert {name: line[name] for name in line.keys() - ALWAYS} == {
        "task_id": derive_task_id("owner", "key"),
        "transition": "finish",
        "applied": True,
        "state": "finished",
        "attempt": 2,
        "poyo_id": "POYO1",
        "age_ms": 5853,
        "image_bytes": 14,
    }


def test_no_transition_says_what_was_ordered_or_where_its_image_lies() -> None:
    with captured_logs() as log:
        for transition in (
            "submit",
            "confirm_submission",
            "defer",
            "mark_unknown",
            "fail",
            "finish",
            "reschedule",
            "delete",
        ):
            log_transition(transition, WriteResult(True, ended(reason="upstream")))

    said = log.getvalue()
    assert len(lines(said)) == 8
    for canary in (PROMPT, "canary", "birds", "a1a1", "images/", "https://", "a" * 64):
        assert canary not in said
    assert set().union(*lines(said)) <= ALWAYS | MOVED | {"image_bytes"}


@pytest.mark.parametrize(
    ("transition", "won", "reason", "metric"),
    [
        ("finish", True, None, "Finished"),
        ("finish", False, None, None),
        ("fail", True, "result_expired", "FailedResultExpired"),
        ("fail", False, "upstream", None),
        ("reschedule", True, None, None),
    ],
)
def test_who_ends_a_task_counts_it_once(
    capsys: pytest.CaptureFixture[str],
    transition: str,
    won: bool,
    reason: str | None,
    metric: str | None,
) -> None:
    log_transition(transition, WriteResult(won, ended(reason=reason)))

    counted = [
        each["Name"]
        for line in lines(capsys.readouterr().out)
        for each in line.get("_aws", {}).get("CloudWatchMetrics", [{}])[0].get("Metrics", [])
    ]
    assert counted == ([metric] if metric else [])


def test_a_page_says_where_in_our_code_it_happened_and_not_what_was_said() -> None:
    with captured_logs() as log:
        try:
            signed_urls.callback_path("k1", "key", 7)  # type: ignore[arg-type]  # a defect
        except AttributeError as error:
            telemetry.alarm("api_unexpected_error", error=type(error).__name__)
        try:
            json.loads("canary")
        except ValueError:
            telemetry.alarm("api_unexpected_error")
        telemetry.alarm("api_unexpected_error")

    ours, others, none = lines(log.getvalue())
    assert re.fullmatch(r"(signed_urls\.py:\d+ ?)+", ours["where"])
    assert others["where"] == ""
    assert "where" not in none
    assert "canary" not in log.getvalue()


def test_the_request_is_named_as_in_the_access_log_until_the_next_one() -> None:
    with captured_logs() as log:
        telemetry.bind_request({"requestContext": {"requestId": "first"}})
        telemetry.info("one")
        telemetry.bind_request({"requestContext": {"requestId": "second"}})
        telemetry.info("two")
        telemetry.bind_request({})
        telemetry.info("three")

    assert [line.get("request_id") for line in lines(log.getvalue())] == ["first", "second", None]
    access = template()["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"]
    assert json.loads(access)["request_id"] == "$context.requestId"


def test_an_error_nobody_foresaw_at_the_callbacks_door_is_ours_to_answer_and_to_hear_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    task_id = derive_task_id("owner", "key")
    path = signed_urls.callback_path("k1", CALLBACK_KEY, task_id)
    unforeseen = http_event("POST", path) | {"body": 7}  # no gateway sends that
    with aws() as cloud, load_handler("webhook", cloud) as door, captured_logs() as log:
        answer = invoke(door, unforeseen)

    [line] = lines(log.getvalue())
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (line["message"], line["error"], line["level"]) == (
        "callback_not_enqueued",
        "AttributeError",
        "ERROR",
    )
    assert re.fullmatch(r"webhook\.py:\d+ request\.py:\d+", line["where"])
    assert line["request_id"] == "request"
    assert "CallbackNotEnqueued" in capsys.readouterr().out
    assert path.rpartition("/")[2] not in log.getvalue()


@pytest.mark.parametrize("message", ALARMS)
def test_each_alarm_message_has_a_cloudwatch_alarm(message: str) -> None:
    metric = "".join(word.capitalize() for word in message.split("_"))
    listening = [
        name
        for name, each in template()["Resources"].items()
        if each["Type"] == "AWS::CloudWatch::Alarm" and each["Properties"]["MetricName"] == metric
    ]

    assert bool(listening) is (message not in WITHOUT_ALARM)
