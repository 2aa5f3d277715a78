"""Query parameters of reads and lists, and the cursors of list pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from imagetasks.api.api_gateway import HttpEvent
from imagetasks.errors import InvalidParameter
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import PUBLIC_STATUS, Status, is_task_id

STATUSES = tuple(dict.fromkeys(PUBLIC_STATUS.values()))
MAX_WAIT_S = 20  # the function has 29 s, API Gateway 30
MAX_PAGE_SIZE = 100
MAX_TASK_IDS = 100  # as BatchGetItem reads
DEFAULT_PAGE_SIZE = 20
MAX_CURSOR_CHARS = 200


def query_parameters(event: HttpEvent, *known: str) -> Mapping[str, str]:
    """The query parameters. Raises InvalidParameter for one that is not `known`: a filter with a
    typing error would return everything."""
    parameters = event.query
    for name in parameters:
        if name not in known:
            allowed = f"allowed are {', '.join(known)}" if known else "this route takes none"
            raise InvalidParameter(name[:64], f"unknown parameter; {allowed}")
    return parameters


def wait_s(parameters: Mapping[str, str]) -> int:
    """Seconds that the caller waits for a change."""
    return _integer(parameters, "wait", default=0, least=0, most=MAX_WAIT_S)


def is_download(parameters: Mapping[str, str]) -> bool:
    """Whether the image is to be saved and not shown."""
    return bool(_integer(parameters, "download", default=0, least=0, most=1))


def page_limit(parameters: Mapping[str, str], default: int = DEFAULT_PAGE_SIZE) -> int:
    """How many entries a page may have."""
    return _integer(parameters, "limit", default=default, least=1, most=MAX_PAGE_SIZE)


def task_ids(parameters: Mapping[str, str]) -> Sequence[str] | None:
    """The tasks to read, each once, or None for a page of the list. Raises InvalidParameter, also for
    `wait` on a page and for the parameters of a page beside `task_ids`."""
    if "task_ids" not in parameters:
        if "wait" in parameters:
            raise InvalidParameter("wait", "needs `task_ids`: a page of the list does not wait")
        return None
    for name in parameters:
        if name not in ("task_ids", "wait"):
            raise InvalidParameter(name, "is not allowed beside `task_ids`")
    named = list(dict.fromkeys(parameters["task_ids"].split(",")))
    if len(named) > MAX_TASK_IDS or not all(map(is_task_id, named)):
        raise InvalidParameter("task_ids", _not_task_ids(named))
    return named


def _not_task_ids(named: Sequence[str]) -> str:
    allowed = f"must be 1 to {MAX_TASK_IDS} task ids, separated by commas"
    if len(named) > MAX_TASK_IDS:
        return f"{allowed}, not {len(named):,}"
    wrong = next(n for n, each in enumerate(named, 1) if not is_task_id(each))
    return f"{allowed}; number {wrong} is not a task id"


def status_filter(parameters: Mapping[str, str]) -> Status | None:
    """The one status to list, None for all."""
    for status in STATUSES:
        if parameters.get("status") == status:
            return status
    if "status" in parameters:
        raise InvalidParameter("status", f"must be one of {', '.join(STATUSES)}")
    return None


def list_position(parameters: Mapping[str, str]) -> ListPosition | None:
    """The position that the page starts behind, None for the newest task."""
    if "cursor" not in parameters:
        return None
    try:
        return decode_cursor(parameters["cursor"])
    except ValueError:
        raise InvalidParameter("cursor", "must be a `next_cursor` of an earlier page") from None


def encode_cursor(position: ListPosition) -> str:
    """The cursor of the page that follows `position`. It grants no access to anything."""
    return packed([position.created_at, position.task_id])


def decode_cursor(cursor: str) -> ListPosition:
    """The position that a cursor stands for. Raises ValueError unless `encode_cursor` made it."""
    match unpacked(cursor, MAX_CURSOR_CHARS):
        case [int(created_at), str(task_id)] if 0 <= created_at < 2**53 and is_task_id(task_id):
            position = ListPosition(int(created_at), task_id)
            if (
                encode_cursor(position) == cursor
            ):  # JSON's true is an int too, but encodes otherwise
                return position
    raise ValueError("not a cursor")


def packed(content: Sequence[int | str | None]) -> str:
    """`content` as a cursor: JSON in base64url without padding."""
    encoded = json.dumps(content, ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


def unpacked(cursor: str, max_chars: int) -> Any:
    """What a cursor contains; nobody has checked it yet. Raises ValueError."""
    if len(cursor) > max_chars or not cursor.isascii():
        raise ValueError("not a cursor")
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise ValueError("not a cursor") from error


def _integer(
    parameters: Mapping[str, str], name: str, *, default: int, least: int, most: int
) -> int:
    text = parameters.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and least <= int(text) <= most):
        raise InvalidParameter(name, f"must be a whole number from {least} to {most}")
    return int(text)
