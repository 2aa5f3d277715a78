"""Cursors of a list: opaque to callers, a place in the list to us. They open nothing."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from imagetasks.tasks.task import is_task_id

MAX_CURSOR_CHARS = 200


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A task's place in its owner's list; `created_at` in milliseconds."""

    created_at: int
    task_id: str


def encode_cursor(place: ListPosition) -> str:
    """The cursor of what comes after `place`."""
    said = json.dumps([place.created_at, place.task_id]).encode()
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> ListPosition:
    """The place a cursor stands for. Raises ValueError when we did not write it."""
    if len(cursor) > MAX_CURSOR_CHARS or not cursor.isascii():
        raise ValueError("not a cursor")
    try:
        said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise ValueError("not a cursor") from error
    match said:
        case [int(created_at), str(task_id)] if 0 <= created_at < 2**53 and is_task_id(task_id):
            place = ListPosition(
                int(created_at), task_id
            )  # JSON's true is a number, too, but not ours
            if encode_cursor(place) == cursor:
                return place
    raise ValueError("not a cursor")
