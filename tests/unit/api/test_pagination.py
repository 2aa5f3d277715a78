"""Cursors of list pages: every encoded position is decoded, and nothing else is a cursor."""

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
POSITION = ListPosition(1_790_000_000_000, TASK_ID)
TASK_IDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
POSITIONS = st.builds(ListPosition, st.integers(0, 2**53 - 1), TASK_IDS)


def encoded(content: object) -> str:
    """`content` as JSON in base64url, the format of a cursor."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@given(POSITIONS)
def test_encoded_position_is_decoded_again(position: ListPosition) -> None:
    cursor = pagination.encode_cursor(position)

    assert pagination.decode_cursor(cursor) == position
    assert len(cursor) <= MAX_CURSOR_CHARS
    assert set(cursor) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize(
    "content",
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
def test_json_that_is_no_position_is_no_cursor(content: object) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        pagination.decode_cursor(encoded(content))


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
        encoded("[" * 30),
        base64.urlsafe_b64encode(b"[" * 100).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"[1e400,1]").decode(),
        base64.urlsafe_b64encode(b"[NaN,1]").decode(),
    ],
    ids=range(14),
)
def test_text_that_is_no_json_in_base64url_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        pagination.decode_cursor(text)


@pytest.mark.parametrize("template", ["{}=", "{}==", " {}", "{}\n", "-{}", "{0}{0}"])
def test_cursor_in_another_spelling_is_rejected(template: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        pagination.decode_cursor(template.format(pagination.encode_cursor(POSITION)))


def check_that_it_is_a_position_or_rejected(text: str) -> None:
    try:
        position = pagination.decode_cursor(text)
    except ValueError:
        return
    assert type(position.created_at) is int
    assert 0 <= position.created_at < 2**53
    assert is_task_id(position.task_id)


@given(st.text(max_size=MAX_CURSOR_CHARS + 10) | st.binary(max_size=120).map(repr).map(encoded))
def test_any_text_is_a_position_or_is_rejected(text: str) -> None:
    check_that_it_is_a_position_or_rejected(text)


@given(POSITIONS, st.integers(0, 80), st.integers(0, 255))
def test_tampered_cursor_is_another_position_or_is_rejected(
    position: ListPosition, index: int, other: int
) -> None:
    cursor = bytearray(pagination.encode_cursor(position).encode())
    cursor[index % len(cursor)] = other

    check_that_it_is_a_position_or_rejected(cursor.decode("latin-1"))
