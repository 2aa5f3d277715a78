"""A task as a row: what is written is what is read, and ids follow from who asks."""

import re
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest

from imagetasks.tasks.task import (
    SHARDS,
    State,
    StoredImage,
    derive_task_id,
    fingerprint,
    from_item,
    shard_of,
    to_item,
)
from tests.support.fakes import START, task

KEPT = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)
FULL = task(
    poyo_id="ABC",
    candidate_poyo_ids=("H1", "H2"),
    progress=Decimal("33.3333"),
    files=(KEPT,),
    reason="upstream",
    detail="Server exception",
    charged_credits=Decimal("8.48"),
    not_before=START,
    confirmed_at=START,
    result_seen_at=START,
    finished_at=START,
    polls=3,
    copy_attempts=2,
    invalid_results=1,
)


@pytest.mark.parametrize("original", [task(), FULL])
def test_what_is_written_is_what_is_read(original: object) -> None:
    assert from_item(to_item(original)) == original  # type: ignore[arg-type]


def test_what_is_absent_is_not_in_the_row() -> None:
    ended = to_item(task(due_at=None, due_shard=None))

    assert not {"due_at", "due_shard", "poyo_id", "candidate_poyo_ids", "not_before"} & set(ended)


def test_numbers_come_back_from_the_table_as_integers_and_money_as_money() -> None:
    row = to_item(FULL)
    stored = row | {
        "attempt": Decimal(1),
        "created_at": Decimal(START),
        "history": [{"at": Decimal(START), "event": "accepted"}],
        "files": [row["files"][0] | {"bytes": Decimal(7), "width": Decimal(4)}],
    }

    found = from_item(stored)

    assert type(found.attempt) is int
    assert type(found.created_at) is int
    assert type(found.history[0]["at"]) is int
    assert type(found.files[0].bytes) is int
    assert found.charged_credits == Decimal("8.48")


def test_what_a_newer_version_wrote_does_not_disturb() -> None:
    row = to_item(FULL) | {"colour": "green"}
    row["files"][0]["blurhash"] = "x"

    assert from_item(row) == FULL


def test_a_state_of_a_newer_version_is_shown_as_running_and_not_ended() -> None:
    unheard = task(state="upscaling")

    assert (unheard.status, unheard.is_final) == ("running", False)


@pytest.mark.parametrize(
    ("state", "status", "ended"),
    [
        (State.SUBMITTING, "not_started", False),
        (State.PENDING, "not_started", False),
        (State.UNKNOWN, "not_started", False),
        (State.RUNNING, "running", False),
        (State.FINISHED, "finished", True),
        (State.FAILED, "failed", True),
    ],
)
def test_each_state_is_shown_as_one_of_poyos_words(state: str, status: str, ended: bool) -> None:
    shown = task(state=str(state))

    assert (shown.status, shown.is_final) == (status, ended)


def test_an_id_is_130_bits_that_a_callback_url_can_carry() -> None:
    assert re.fullmatch(r"[a-z2-7]{26}", derive_task_id("owner", "key"))


def test_owner_and_key_cannot_be_traded_for_each_other() -> None:
    pairs = list(product(["a", "ab", 'a","b', "a\0", "é", ""], repeat=2))

    assert len({derive_task_id(*pair) for pair in pairs}) == len(pairs)
    assert derive_task_id("a", "b") == derive_task_id("a", "b")


def test_a_fingerprint_ignores_the_order_of_fields_and_nothing_else() -> None:
    one = {"model": "m", "input": {"prompt": "p", "size": "1:1"}}
    same = {"input": {"size": "1:1", "prompt": "p"}, "model": "m"}
    other = {"model": "m", "input": {"prompt": "p ", "size": "1:1"}}

    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(one) != fingerprint(other)


def test_shards_are_used_evenly() -> None:
    counts = dict.fromkeys(map(str, range(SHARDS)), 0)
    for n in range(4000):
        counts[shard_of(derive_task_id("owner", str(n)))] += 1

    assert min(counts.values()) > 400


def test_a_task_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        task().state = "finished"  # type: ignore[misc]
    assert replace(task(), state="finished").state == "finished"
