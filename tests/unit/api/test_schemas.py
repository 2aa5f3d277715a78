"""A task as the outside sees it: PoYo's words, our clock, and nothing that is for the operator."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from imagetasks.api.schemas import quote, rfc3339, task_body, warnings
from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import StoredImage
from tests.support.fakes import POYO_ID, START, task

ORIGIN = "https://img.example"
KEPT = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_123, "2026-09-21T14:13:20.123Z"),
        (1_790_000_000_999, "2026-09-21T14:13:20.999Z"),
    ],
)
def test_instants_are_utc_to_the_millisecond(ms: int, said: str) -> None:
    assert rfc3339(ms) == said


def test_a_finished_task_shows_its_files_and_what_was_charged() -> None:
    made = task(
        state="finished", files=(KEPT, KEPT), charged_credits=Decimal("8.48"), finished_at=START
    )

    shown = task_body(made, public_base_url=ORIGIN)

    assert shown["status"] == "finished"
    assert shown["credits"] == {"estimated": 2, "charged": 8.48}
    assert [file["file_url"] for file in shown["files"]] == [
        ORIGIN + signed_urls.file_path(made.file_url_key, made.task_id, n) for n in (0, 1)
    ]
    assert "key" not in shown["files"][0]
    assert shown["finished_at"] == rfc3339(START)
    json.dumps(shown)


def test_neither_the_key_of_the_links_nor_a_callers_callback_is_shown() -> None:
    made = task(state="finished", files=(KEPT,), notification_url="https://shop.example/")

    said = json.dumps(task_body(made, public_base_url=ORIGIN))

    assert made.file_url_key not in said
    assert "shop.example" not in said


@pytest.mark.parametrize(
    ("wish", "billed"),
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
def test_what_is_billed_otherwise_than_asked_is_warned_of(
    wish: dict[str, str], billed: str | None
) -> None:
    warned = warnings(wish)

    assert [each["pointer"] for each in warned] == ["/input/resolution"] * (billed is not None)
    assert all(f"bills this size at {billed}" in each["detail"] for each in warned)
    assert quote("gpt-image-2", wish)["warnings"] == warned


@pytest.mark.parametrize("reason", REASONS)
def test_a_failed_task_says_why_in_our_words(reason: str) -> None:
    shown = task_body(
        task(state="failed", reason=reason, detail="raw words of PoYo"), public_base_url=ORIGIN
    )

    assert shown["error"] == {
        "code": reason,
        "message": REASONS[reason].message,
        "retryable": REASONS[reason].retryable,
        "charged": REASONS[reason].charged,
    }


@pytest.mark.parametrize(
    ("progress", "shown"),
    [(None, 0), (Decimal("33.3333"), 33.3333), (Decimal(100), 100), (Decimal("40.0"), 40)],
)
def test_progress_is_a_plain_number(progress: Decimal | None, shown: float) -> None:
    found = task_body(task(progress=progress), public_base_url=ORIGIN)["progress"]

    assert (found, type(found)) == (shown, type(shown))


def test_nothing_inward_is_shown() -> None:
    inward = task(
        state="running",
        poyo_id=POYO_ID,
        candidate_poyo_ids=("HINT",),
        detail="raw words of PoYo",
        write_token="s" * 24,
        owner="canary-owner",
    )

    said = json.dumps(task_body(inward, public_base_url=ORIGIN))

    for secret in (POYO_ID, "HINT", "raw words", "s" * 24, "canary-owner", "f" * 64, "due"):
        assert secret not in said


def test_a_reason_of_a_newer_version_is_no_error_of_ours() -> None:
    assert (
        task_body(task(state="failed", reason="unheard_of"), public_base_url=ORIGIN)["error"]
        is None
    )
