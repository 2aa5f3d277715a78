"""A task and its DynamoDB item: round trips, public statuses, ids, fingerprints and shards."""

import re
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest

from imagetasks.tasks.task import SHARDS, State, StoredImage, derive_task_id, fingerprint, shard_of
from imagetasks.tasks.task_item import from_item, to_item
from tests.support.fakes import START, task

STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)
EVERY_ATTRIBUTE = task(
    poyo_id="ABC",
    candidate_poyo_ids=("H1", "H2"),
    progress=Decimal("33.3333"),
    files=(STORED_IMAGE,),
    reason="upstream",
    detail="Server exception",
    charged_credits=Decimal("8.48"),
    not_before=START,
    confirmed_at=START,
    result_seen_at=START,
    finished_at=START,
    polls=3,
    copy_attempts=2,
    failure_seen_at=1,
    poll_alarm_at=1,
)


@pytest.mark.parametrize("original", [task(), EVERY_ATTRIBUTE])
def test_task_is_unchanged_after_a_round_trip_through_its_item(original: object) -> None:
    assert from_item(to_item(original)) == original  # type: ignore[arg-type]


def test_absent_attributes_are_not_in_the_item() -> None:
    item = to_item(task(due_at=None, due_shard=None))

    assert not {"due_at", "due_shard", "poyo_id", "candidate_poyo_ids", "not_before"} & set(item)


def test_numbers_are_read_as_integers_and_credits_as_decimals() -> None:
    item = to_item(EVERY_ATTRIBUTE)
    stored = item | {
        "attempt": Decimal(1),
        "created_at": Decimal(START),
        "history": [{"at": Decimal(START), "event": "accepted"}],
        "files": [item["files"][0] | {"bytes": Decimal(7), "width": Decimal(4)}],
    }

    found = from_item(stored)

    assert type(found.attempt) is int
    assert type(found.created_at) is int
    assert type(found.history[0]["at"]) is int
    assert type(found.files[0].bytes) is int
    assert found.charged_credits == Decimal("8.48")


def test_unknown_attributes_of_a_newer_version_are_ignored() -> None:
    item = to_item(EVERY_ATTRIBUTE) | {"colour": "green"}
    item["files"][0]["blurhash"] = "x"

    assert from_item(item) == EVERY_ATTRIBUTE


def test_unknown_state_of_a_newer_version_is_running_and_not_final() -> None:
    unknown = task(state="upscaling")

    assert (unknown.status, unknown.is_final) == ("running", False)


@pytest.mark.parametrize(
    ("state", "status", "is_final"),
    [
        (State.SUBMITTING, "not_started", False),
        (State.PENDING, "not_started", False),
        (State.UNKNOWN, "not_started", False),
        (State.RUNNING, "running", False),
        (State.FINISHED, "finished", True),
        (State.FAILED, "failed", True),
    ],
)
def test_each_state_has_one_of_poyos_statuses(state: str, status: str, is_final: bool) -> None:
    found = task(state=str(state))

    assert (found.status, found.is_final) == (status, is_final)


def test_task_id_is_130_bits_in_characters_of_a_url() -> None:
    assert re.fullmatch(r"[a-z2-7]{26}", derive_task_id("owner", "key"))


def test_different_owners_and_keys_never_share_a_task_id() -> None:
    pairs = list(product(["a", "ab", 'a","b', "a\0", "é", ""], repeat=2))

    assert len({derive_task_id(*pair) for pair in pairs}) == len(pairs)
    assert derive_task_id("a", "b") == derive_task_id("a", "b")


def test_fingerprint_depends_on_everything_but_the_order_of_fields() -> None:
    one = {"model": "m", "input": {"prompt": "p", "size": "1:1"}}
    same = {"input": {"size": "1:1", "prompt": "p"}, "model": "m"}
    other = {"model": "m", "input": {"prompt": "p ", "size": "1:1"}}

    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(one) != fingerprint(other)


def test_shards_get_an_even_share_of_tasks() -> None:
    counts = dict.fromkeys(map(str, range(SHARDS)), 0)
    for n in range(4000):
        counts[shard_of(derive_task_id("owner", str(n)))] += 1

    assert min(counts.values()) > 400


def test_task_is_immutable() -> None:
    with pytest.raises(AttributeError):
        task().state = "finished"  # type: ignore[misc]
    assert replace(task(), state="finished").state == "finished"
