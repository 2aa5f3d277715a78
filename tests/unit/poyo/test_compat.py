"""PoYo's own shapes, made from rows of ours."""

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

ORIGIN = "https://img.example"
KEPT = StoredImage(
    key="images/t/0", content_type="image/webp", bytes=7, width=4, height=3, sha256="a" * 64
)


def shown(**facts: Any) -> Any:
    """A task as it goes over the wire."""
    return json.loads(json.dumps(compat.task_body(task(**facts), public_base_url=ORIGIN)))


def test_a_task_that_runs_has_every_key_and_no_money_yet() -> None:
    assert shown(state=State.RUNNING, progress=Decimal("37.5")) == {
        "task_id": task().task_id,
        "status": "running",
        "progress": 37.5,
        "files": [],
        "created_time": compat.created_time(START),
        "credits_amount": None,
    }


@pytest.mark.parametrize(("progress", "told"), [(None, 0.0), (Decimal(100), 100.0)])
def test_progress_and_credits_are_floats_as_poyos_are(
    progress: Decimal | None, told: float
) -> None:
    said = shown(state=State.FINISHED, progress=progress, charged_credits=Decimal(2))

    assert (said["progress"], said["credits_amount"]) == (told, 2.0)
    assert {type(said["progress"]), type(said["credits_amount"])} == {float}


def test_a_file_has_our_link_and_a_name_that_says_what_it_is() -> None:
    [file] = shown(state=State.FINISHED, files=(KEPT,), file_url_key="k")["files"]

    link = re.escape(f"{ORIGIN}/files/{task().task_id}/0/") + "[A-Za-z0-9_-]{43}"
    assert re.fullmatch(link, file.pop("file_url"))
    assert file == {
        "file_type": "image",
        "format": "webp",
        "content_type": "image/webp",
        "file_name": f"{task().task_id}-0.webp",
        "file_size": 7,
    }


@pytest.mark.parametrize("name", REASONS)
def test_a_failure_is_told_in_our_words_and_its_money_as_far_as_it_is_known(name: str) -> None:
    said = shown(state=State.FAILED, reason=name, detail="the operator's own business")

    assert said["status"] == "failed"
    assert said["error_message"] == REASONS[name].message
    assert said["credits_amount"] == (0.0 if REASONS[name].charged is False else None)
    assert "operator's" not in json.dumps(said)


def test_a_failure_that_was_charged_says_so() -> None:
    assert (
        shown(state=State.FAILED, reason="bad_result", charged_credits=Decimal(2))["credits_amount"]
        == 2
    )


def test_a_reason_of_a_newer_version_is_a_failure_all_the_same() -> None:
    said = shown(state=State.FAILED, reason="invented later")

    assert (said["status"], said["credits_amount"]) == ("failed", None)
    assert said["error_message"]


def test_a_state_of_a_newer_version_is_shown_as_running() -> None:
    assert shown(state="invented later")["status"] == "running"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.SUBMITTING, "not_started"),
        (State.PENDING, "not_started"),
        (State.UNKNOWN, "not_started"),
        (State.RUNNING, "running"),
    ],
)
def test_a_submit_is_answered_with_what_poyo_answers(state: State, status: str) -> None:
    assert compat.submit_body(task(state=state)) == {
        "code": 200,
        "data": {
            "task_id": task().task_id,
            "status": status,
            "created_time": compat.created_time(START),
        },
    }


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (0, "1970-01-01T00:00:00"),
        (1_786_088_493_999, "2026-08-07T07:41:33"),
        (951_782_399_000, "2000-02-28T23:59:59"),
    ],
)
def test_created_time_is_utc_to_the_second_and_does_not_say_so(ms: int, told: str) -> None:
    assert compat.created_time(ms) == told


def test_the_balance_names_nobody() -> None:
    assert compat.balance_body(Decimal("9765.25")) == {
        "code": 200,
        "data": {"email": "", "credits_amount": 9765.25},
    }


@pytest.mark.parametrize(
    ("status", "code", "kind"),
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
def test_an_error_has_its_status_in_the_body_and_poyos_word_for_its_kind(
    status: int, code: str, kind: str
) -> None:
    said = compat.error_body(status, code, "A sentence.")

    assert said == {"code": status, "error": {"message": "A sentence.", "type": kind}}
