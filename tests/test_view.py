"""A task as the outside sees it: PoYo's words, our clock, and nothing that is for the operator."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from imagetasks.reasons import REASONS
from imagetasks.task import KeptFile
from imagetasks.view import instant, show
from tests.fakes import POYO_ID, START, task

ORIGIN = "https://img.example"
KEPT = KeptFile(
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
    assert instant(ms) == said


def test_a_finished_task_shows_its_files_and_what_was_charged() -> None:
    shown = show(
        task(state="finished", files=(KEPT, KEPT), charged=Decimal("8.48"), finished_at=START),
        origin=ORIGIN,
    )

    assert shown["status"] == "finished"
    assert shown["credits"] == {"estimated": 2, "charged": 8.48}
    assert [file["file_url"].rpartition("/")[2] for file in shown["files"]] == ["0", "1"]
    assert "key" not in shown["files"][0]
    assert shown["finished_at"] == instant(START)
    json.dumps(shown)


@pytest.mark.parametrize("reason", REASONS)
def test_a_failed_task_says_why_in_our_words(reason: str) -> None:
    shown = show(task(state="failed", reason=reason, detail="raw words of PoYo"), origin=ORIGIN)

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
    found = show(task(progress=progress), origin=ORIGIN)["progress"]

    assert (found, type(found)) == (shown, type(shown))


def test_nothing_inward_is_shown() -> None:
    inward = task(
        state="running",
        poyo_id=POYO_ID,
        hints=("HINT",),
        detail="raw words of PoYo",
        stamp="s" * 24,
        owner="canary-owner",
    )

    said = json.dumps(show(inward, origin=ORIGIN))

    for secret in (POYO_ID, "HINT", "raw words", "s" * 24, "canary-owner", "f" * 64, "due"):
        assert secret not in said


def test_a_reason_of_a_newer_version_is_no_error_of_ours() -> None:
    assert show(task(state="failed", reason="unheard_of"), origin=ORIGIN)["error"] is None
