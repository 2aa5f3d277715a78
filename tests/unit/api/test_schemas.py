"""The public JSON of a task: PoYo's statuses, our timestamps, and nothing internal."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from imagetasks.api.quote_bodies import quote
from imagetasks.api.schemas import rfc3339, task_body, warnings
from imagetasks.poyo.model_catalog import model
from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import StoredImage
from imagetasks.workflows.spending import Standing
from tests.support.fakes import POYO_ID, START, task

DAY_MS = 24 * 60 * 60 * 1000
UNLIMITED = Standing(limits=(), spends={}, paused=False, now=START)
BASE_URL = "https://img.example"
STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_123, "2026-09-21T14:13:20.123Z"),
        (1_790_000_000_999, "2026-09-21T14:13:20.999Z"),
    ],
)
def test_timestamps_are_utc_to_the_millisecond(ms: int, expected: str) -> None:
    assert rfc3339(ms) == expected


def test_finished_task_has_its_files_and_the_credits_charged() -> None:
    finished = task(
        state="finished",
        files=(STORED_IMAGE, replace(STORED_IMAGE, key="images/t/1")),
        charged_credits=Decimal("8.48"),
        finished_at=START,
    )

    body = task_body(finished, public_base_url=BASE_URL)

    assert body["status"] == "finished"
    assert body["credits"] == {"estimated": 2, "exact": True, "charged": 8.48}
    assert [file["file_url"] for file in body["files"]] == [
        BASE_URL + signed_urls.file_path(finished.file_url_key, finished.task_id, n) for n in (0, 1)
    ]
    assert "key" not in body["files"][0]
    assert body["finished_at"] == rfc3339(START)
    json.dumps(body)


@pytest.mark.parametrize(
    ("days", "expires_at"),
    [(0, None), (1, rfc3339(START + DAY_MS)), (30, rfc3339(START + 30 * DAY_MS))],
)
def test_file_says_when_the_bucket_deletes_it(days: int, expires_at: str | None) -> None:
    finished = task(state="finished", files=(STORED_IMAGE,), finished_at=START)

    [file] = task_body(finished, public_base_url=BASE_URL, retention_days=days)["files"]

    assert file["expires_at"] == expires_at


def test_file_url_key_and_callback_url_are_not_shown() -> None:
    finished = task(
        state="finished", files=(STORED_IMAGE,), notification_url="https://shop.example/"
    )

    body = json.dumps(task_body(finished, public_base_url=BASE_URL))

    assert finished.file_url_key not in body
    assert "shop.example" not in body


@pytest.mark.parametrize(
    ("image_input", "billed"),
    [
        ({"size": "1:1", "resolution": "4K"}, "2K"),
        ({"size": "auto", "resolution": "2K"}, "1K"),
        ({"resolution": "4K"}, "1K"),
        ({"size": "16:9", "resolution": "4K"}, None),
        ({"size": "3840x2160", "resolution": "4K"}, None),
        ({"size": "auto", "resolution": "1K"}, None),
        ({}, None),
    ],
)
def test_resolution_that_poyo_bills_differently_gets_a_warning(
    image_input: dict[str, str], billed: str | None
) -> None:
    chosen = model("gpt-image-2")
    found = warnings(chosen.effective(image_input), chosen.billed_resolution(image_input))

    assert [each["pointer"] for each in found] == ["/input/resolution"] * (billed is not None)
    assert all(f"bills this size at {billed}" in each["detail"] for each in found)
    assert quote(chosen, image_input, UNLIMITED)["warnings"] == found


@pytest.mark.parametrize("reason", REASONS)
def test_failed_task_has_the_reason_in_our_words(reason: str) -> None:
    body = task_body(
        task(state="failed", reason=reason, detail="raw text of PoYo"), public_base_url=BASE_URL
    )

    assert body["error"] == {
        "code": reason,
        "message": REASONS[reason].message,
        "retry": "new_key" if REASONS[reason].retryable else "never",
        "charged": REASONS[reason].charged,
    }
    free = REASONS[reason].charged is False
    assert body["credits"]["charged"] == (0 if free else None)


@pytest.mark.parametrize("reason", ["upstream", "moderated", "timed_out", "bad_result"])
@pytest.mark.parametrize("named", [Decimal(0), Decimal("2.5")])
def test_failed_task_was_charged_if_poyo_named_credits_and_not_if_it_named_none(
    reason: str, named: Decimal
) -> None:
    failed = task(state="failed", reason=reason, charged_credits=named)

    body = task_body(failed, public_base_url=BASE_URL)

    assert body["error"] is not None
    assert body["error"]["charged"] is (named > 0)
    assert body["credits"]["charged"] == named


@pytest.mark.parametrize(
    ("estimated", "charged", "expected"),
    [
        ("2", None, {"estimated": 0.01, "charged": None}),
        ("200", "0", {"estimated": 1, "charged": 0}),
        ("8.48", "8.48", {"estimated": 0.0424, "charged": 0.0424}),
        ("2.65", "1.31", {"estimated": 0.01325, "charged": 0.00655}),
    ],
)
def test_usd_is_the_exact_list_price_of_the_credits(
    estimated: str, charged: str | None, expected: dict[str, float | None]
) -> None:
    ordered = task(
        estimated_credits=Decimal(estimated),
        charged_credits=None if charged is None else Decimal(charged),
    )

    assert task_body(ordered, public_base_url=BASE_URL)["usd"] == expected


def test_failed_task_that_was_not_charged_costs_no_usd() -> None:
    failed = task_body(task(state="failed", reason="upstream"), public_base_url=BASE_URL)

    assert failed["usd"] == {"estimated": 0.01, "charged": 0}


@pytest.mark.parametrize("seconds", [None, 30])
def test_typical_seconds_are_those_of_the_order(seconds: int | None) -> None:
    ordered = task(typical_seconds=seconds)

    assert task_body(ordered, public_base_url=BASE_URL)["typical_seconds"] == seconds


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(None, None), (Decimal("33.3333"), 33.3333), (Decimal(100), 100), (Decimal("40.0"), 40)],
)
def test_progress_is_a_number_or_null_until_there_is_one(
    progress: Decimal | None, expected: float | None
) -> None:
    found = task_body(task(progress=progress), public_base_url=BASE_URL)["progress"]

    assert (found, type(found)) == (expected, type(expected))


def test_internal_attributes_are_not_shown() -> None:
    running = task(
        state="running",
        poyo_id=POYO_ID,
        candidate_poyo_ids=("CANDIDATE",),
        detail="raw text of PoYo",
        write_token="s" * 24,
        owner="canary-owner",
    )

    body = json.dumps(task_body(running, public_base_url=BASE_URL))

    for internal in (POYO_ID, "CANDIDATE", "raw text", "s" * 24, "canary-owner", "f" * 64, "due"):
        assert internal not in body


def test_unknown_failure_reason_of_a_newer_version_has_no_error() -> None:
    assert (
        task_body(task(state="failed", reason="invented_later"), public_base_url=BASE_URL)["error"]
        is None
    )
