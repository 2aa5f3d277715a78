"""Logs and metrics: only allowed fields, and the place in our code where an error happened."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from imagetasks import telemetry
from imagetasks.aws.task_repository import WriteResult
from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import StoredImage, Task, derive_task_id
from imagetasks.workflows.task_updater import log_transition
from tests.support.aws_over_http import loaded_webhook
from tests.support.emulated_aws import CALLBACK_KEY, aws
from tests.support.fakes import PROMPT, task
from tests.support.lambdas import captured_logs, http_event, invoke
from tests.support.template import template

COMMON_FIELDS = {"level", "message", "timestamp", "service"}
TRANSITION_FIELDS = {
    "task_id",
    "transition",
    "applied",
    "state",
    "reason",
    "attempt",
    "poyo_id",
    "age_ms",
}


@pytest.fixture(autouse=True)
def no_request() -> None:
    """Remove the fields that an earlier request bound to the logger, as after a cold start."""
    telemetry.bind_request({})


def log_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def finished_task(**changed: Any) -> Task:
    """A finished task full of values that must not be logged."""
    image = StoredImage(
        key="images/canary-key/0",
        content_type="image/png",
        bytes=7,
        width=4,
        height=3,
        sha256="a" * 64,
    )
    values: dict[str, Any] = {"state": "finished", "poyo_id": "POYO1", "files": (image, image)}
    values |= {"attempt": 2, "updated_at": task().created_at + 5853}
    values |= {"notification_url": "https://canary.example/?canary=1", "detail": "canary-detail"}
    return task(**values | changed)


def test_transition_is_logged_in_one_line_with_ids_state_age_and_size() -> None:
    with captured_logs() as log:
        log_transition("finish", WriteResult(True, finished_task()))

    [line] = log_lines(log.getvalue())
    assert {name: line[name] for name in line.keys() - COMMON_FIELDS} == {
        "task_id": derive_task_id("owner", "key"),
        "transition": "finish",
        "applied": True,
        "state": "finished",
        "attempt": 2,
        "poyo_id": "POYO1",
        "age_ms": 5853,
        "image_bytes": 14,
    }


def test_no_transition_logs_the_order_or_the_keys_of_its_images() -> None:
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
            log_transition(transition, WriteResult(True, finished_task(reason="upstream")))

    logs = log.getvalue()
    assert len(log_lines(logs)) == 8
    for canary in (PROMPT, "canary", "birds", "a1a1", "images/", "https://", "a" * 64):
        assert canary not in logs
    assert set().union(*log_lines(logs)) <= COMMON_FIELDS | TRANSITION_FIELDS | {"image_bytes"}


@pytest.mark.parametrize(
    ("transition", "applied", "reason", "metric"),
    [
        ("finish", True, None, "Finished"),
        ("finish", False, None, None),
        ("fail", True, "result_expired", "FailedResultExpired"),
        ("fail", False, "upstream", None),
        ("reschedule", True, None, None),
    ],
)
def test_only_the_applied_final_transition_is_counted(
    capsys: pytest.CaptureFixture[str],
    transition: str,
    applied: bool,
    reason: str | None,
    metric: str | None,
) -> None:
    log_transition(transition, WriteResult(applied, finished_task(reason=reason)))

    counted = [
        each["Name"]
        for line in log_lines(capsys.readouterr().out)
        for each in line.get("_aws", {}).get("CloudWatchMetrics", [{}])[0].get("Metrics", [])
    ]
    assert counted == ([metric] if metric else [])


def test_alarm_logs_the_place_in_our_code_and_not_the_error_text() -> None:
    with captured_logs() as log:
        try:
            signed_urls.callback_path("k1", "key", 7)  # type: ignore[arg-type]  # a programming error
        except AttributeError as error:
            telemetry.alarm("api_unexpected_error", error=type(error).__name__)
        try:
            json.loads("canary")
        except ValueError:
            telemetry.alarm("api_unexpected_error")
        telemetry.alarm("api_unexpected_error")

    in_our_code, in_a_library, without_error = log_lines(log.getvalue())
    assert re.fullmatch(r"(signed_urls\.py:\d+ ?)+", in_our_code["where"])
    assert in_a_library["where"] == ""
    assert "where" not in without_error
    assert "canary" not in log.getvalue()


def test_request_id_is_logged_as_in_the_access_log_until_the_next_request() -> None:
    with captured_logs() as log:
        telemetry.bind_request({"requestContext": {"requestId": "first"}})
        telemetry.info("one")
        telemetry.bind_request({"requestContext": {"requestId": "second"}})
        telemetry.info("two")
        telemetry.bind_request({})
        telemetry.info("three")

    assert [line.get("request_id") for line in log_lines(log.getvalue())] == [
        "first",
        "second",
        None,
    ]
    access_log_format = template()["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"][
        "Format"
    ]
    assert json.loads(access_log_format)["request_id"] == "$context.requestId"


def test_unexpected_error_of_the_webhook_gets_500_and_raises_an_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    task_id = derive_task_id("owner", "key")
    path = signed_urls.callback_path("k1", CALLBACK_KEY, task_id)
    event = http_event("POST", path) | {"body": 7}  # API Gateway never sends a number
    with aws() as cloud, loaded_webhook(cloud) as (webhook, _), captured_logs() as log:
        response = invoke(webhook, event)

    [line] = log_lines(log.getvalue())
    assert (response.status, response.json["code"]) == (500, "internal")
    assert response.headers["content-type"] == "application/problem+json"
    assert (line["message"], line["error"], line["level"]) == (
        "callback_not_enqueued",
        "AttributeError",
        "ERROR",
    )
    assert re.fullmatch(r"webhook\.py:\d+ webhook\.py:\d+ api_gateway\.py:\d+", line["where"])
    assert line["request_id"] == "request"
    assert "CallbackNotEnqueued" in capsys.readouterr().out
    assert path.rpartition("/")[2] not in log.getvalue()
