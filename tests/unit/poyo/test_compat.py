"""Our tasks, balances and errors in PoYo's shapes."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.poyo import compat
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, StoredImage
from tests.support.fakes import START, task

BASE_URL = "https://img.example"
STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/webp", bytes=7, width=4, height=3, sha256="a" * 64
)


def body_of(**changed: Any) -> Any:
    """The task object, after a round trip through JSON."""
    return json.loads(json.dumps(compat.task_body(task(**changed), public_base_url=BASE_URL)))


def test_running_task_has_every_key_and_no_credits_yet() -> None:
    assert body_of(state=State.RUNNING, progress=Decimal("37.5")) == {
        "task_id": task().task_id,
        "status": "running",
        "progress": 37.5,
        "files": [],
        "created_time": compat.created_time(START),
        "credits_amount": None,
    }


@pytest.mark.parametrize(("progress", "expected"), [(None, 0.0), (Decimal(100), 100.0)])
def test_progress_and_credits_are_floats_as_in_poyos_api(
    progress: Decimal | None, expected: float
) -> None:
    body = body_of(state=State.FINISHED, progress=progress, charged_credits=Decimal(2))

    assert (body["progress"], body["credits_amount"]) == (expected, 2.0)
    assert {type(body["progress"]), type(body["credits_amount"])} == {float}


def test_file_has_a_signed_url_and_a_name_with_its_extension() -> None:
    [file] = body_of(state=State.FINISHED, files=(STORED_IMAGE,), file_url_key="k")["files"]

    signed_url = re.escape(f"{BASE_URL}/files/{task().task_id}/0/") + "[A-Za-z0-9_-]{43}"
    assert re.fullmatch(signed_url, file.pop("file_url"))
    assert file == {
        "file_type": "image",
        "format": "webp",
        "content_type": "image/webp",
        "file_name": f"{task().task_id}-0.webp",
        "file_size": 7,
    }


@pytest.mark.parametrize("name", REASONS)
def test_failed_task_has_our_message_and_its_credits_if_they_are_known(name: str) -> None:
    body = body_of(state=State.FAILED, reason=name, detail="for the operator's eyes")

    assert body["status"] == "failed"
    assert body["error_message"] == REASONS[name].message
    assert body["credits_amount"] == (0.0 if REASONS[name].charged is False else None)
    assert "operator's" not in json.dumps(body)


def test_failed_task_shows_the_credits_that_were_charged() -> None:
    assert (
        body_of(state=State.FAILED, reason="bad_result", charged_credits=Decimal(2))[
            "credits_amount"
        ]
        == 2
    )


def test_unknown_failure_reason_of_a_newer_version_is_shown_as_failed() -> None:
    body = body_of(state=State.FAILED, reason="invented later")

    assert (body["status"], body["credits_amount"]) == ("failed", None)
    assert body["error_message"]


def test_unknown_state_of_a_newer_version_is_shown_as_running() -> None:
    assert body_of(state="invented later")["status"] == "running"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.SUBMITTING, "not_started"),
        (State.PENDING, "not_started"),
        (State.UNKNOWN, "not_started"),
        (State.RUNNING, "running"),
    ],
)
def test_submit_body_has_the_keys_of_poyos(state: State, status: str) -> None:
    assert compat.submit_body(task(state=state)) == {
        "code": 200,
        "data": {
            "task_id": task().task_id,
            "status": status,
            "created_time": compat.created_time(START),
        },
    }


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (0, "1970-01-01T00:00:00"),
        (1_786_088_493_999, "2026-08-07T07:41:33"),
        (951_782_399_000, "2000-02-28T23:59:59"),
    ],
)
def test_created_time_is_utc_to_the_second_without_a_zone(ms: int, expected: str) -> None:
    assert compat.created_time(ms) == expected


def test_balance_has_an_empty_email() -> None:
    assert compat.balance_body(Decimal("9765.25")) == {
        "code": 200,
        "data": {"email": "", "credits_amount": 9765.25},
    }


@pytest.mark.parametrize(
    ("status", "code", "error_type"),
    [
        (400, "invalid_order", "validation_error"),
        (400, "moderated", "content_moderation_error"),
        (400, compat.INVALID_IMAGE, "file_format_error"),
        (401, "unauthorized", "authentication_error"),
        (402, "insufficient_credits", "insufficient_credits_error"),
        (404, "no_such_task", "resource_not_found_error"),
        (429, "slow_down", "rate_limit_error"),
        (500, "internal", "server_error"),
        (503, "unavailable", "server_error"),
    ],
)
def test_error_body_has_the_http_status_and_poyos_error_type(
    status: int, code: str, error_type: str
) -> None:
    body = compat.error_body(status, code, "A sentence.")

    assert body == {"code": status, "error": {"message": "A sentence.", "type": error_type}}
