"""Cursors: what we wrote is read back, and nothing else is taken for one of ours."""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetasks.api import pagination
from imagetasks.api.pagination import MAX_CURSOR_CHARS
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import derive_task_id, is_task_id

TASK_ID = derive_task_id("owner", "key")
PLACE = ListPosition(1_790_000_000_000, TASK_ID)
TASK_IDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
PLACES = st.builds(ListPosition, st.integers(0, 2**53 - 1), TASK_IDS)


def packed(said: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


@given(PLACES)
def test_what_we_wrote_is_read_back(place: ListPosition) -> None:
    written = pagination.encode_cursor(place)

    assert pagination.decode_cursor(written) == place
    assert len(written) <= MAX_CURSOR_CHARS
    assert set(written) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize(
    "said",
    [
        None,
        7,
        "x",
        {},
        [],
        [1],
        [1, TASK_ID, 1],
        [TASK_ID, 1],
        [-1, TASK_ID],
        [2**53, TASK_ID],
        [1.0, TASK_ID],
        ["1", TASK_ID],
        [None, TASK_ID],
        [True, TASK_ID],
        [False, TASK_ID],
        [[1], TASK_ID],
        [1, TASK_ID.upper()],
        [1, TASK_ID[1:]],
        [1, f"task#{TASK_ID}"],
        [1, ""],
        [1, 1],
        [1, None],
    ],
    ids=str,
)
def test_what_stands_for_no_place_is_no_cursor(said: object) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        pagination.decode_cursor(packed(said))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "a",
        "!!!!",
        "é",
        "\ud83d",
        " ",
        "a" * 1_000_000,
        "W" * MAX_CURSOR_CHARS,
        packed("[" * 30),
        base64.urlsafe_b64encode(b"[" * 100).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"[1e400,1]").decode(),
        base64.urlsafe_b64encode(b"[NaN,1]").decode(),
    ],
    ids=range(14),
)
def test_what_is_not_even_readable_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        pagination.decode_cursor(text)


@pytest.mark.parametrize("spelt", ["{}=", "{}==", " {}", "{}\n", "-{}", "{0}{0}"])
def test_a_cursor_is_spelt_in_one_way_only(spelt: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        pagination.decode_cursor(spelt.format(pagination.encode_cursor(PLACE)))


def is_a_place_or_refused(text: str) -> None:
    try:
        place = pagination.decode_cursor(text)
    except ValueError:
        return
    assert type(place.created_at) is int
    assert 0 <= place.created_at < 2**53
    assert is_task_id(place.task_id)


@given(st.text(max_size=MAX_CURSOR_CHARS + 10) | st.binary(max_size=120).map(repr).map(packed))
def test_whatever_is_sent_is_a_place_or_is_refused(text: str) -> None:
    is_a_place_or_refused(text)


@given(PLACES, st.integers(0, 80), st.integers(0, 255))
def test_a_tampered_cursor_is_another_place_or_is_refused(
    place: ListPosition, where: int, other: int
) -> None:
    written = bytearray(pagination.encode_cursor(place).encode())
    written[where % len(written)] = other

    is_a_place_or_refused(written.decode("latin-1"))
