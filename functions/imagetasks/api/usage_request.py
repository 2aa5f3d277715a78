"""Query parameters of `GET /v1/usage`: the days, and the cursor of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from imagetasks.api import pagination
from imagetasks.api.request import USER
from imagetasks.errors import InvalidParameter
from imagetasks.tasks.caller import OWNER_SEPARATOR
from imagetasks.tasks.usage import UsageKey, sees_every_owner

if TYPE_CHECKING:
    from imagetasks.tasks.caller import Caller

DAY = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}")
MAX_DAYS = 92
DEFAULT_DAYS = 7
MODEL = re.compile(r"[a-z0-9.-]{1,64}")
MAX_CURSOR_CHARS = 400  # a day, a model and a user, in base64
NO_DAY = "must be a day in UTC, written as 2026-11-28"
NO_CURSOR = "must be a `next_cursor` of an earlier page, with the same `from` and `to`"


@dataclass(frozen=True, slots=True)
class Days:
    """From the day `first` to the day `last`, both included, each as YYYY-MM-DD in UTC."""

    first: str
    last: str


def days(parameters: Mapping[str, str], today: str) -> Days:
    """The days that a caller asks for: without `to` until today, without `from` seven. Raises
    InvalidParameter."""
    last = _day(parameters, "to", date.fromisoformat(today))
    first = _day(parameters, "from", last - timedelta(days=DEFAULT_DAYS - 1))
    if first > last:
        raise InvalidParameter("from", f"must not be after `to`, which is {last}")
    if (last - first).days >= MAX_DAYS:
        earliest = last - timedelta(days=MAX_DAYS - 1)
        raise InvalidParameter(
            "from", f"must be {earliest} or later: at most {MAX_DAYS} days until {last}"
        )
    return Days(first.isoformat(), last.isoformat())


def _day(parameters: Mapping[str, str], name: str, default: date) -> date:
    text = parameters.get(name)
    if text is None:
        return default
    if not DAY.fullmatch(text):
        raise InvalidParameter(name, NO_DAY)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidParameter(name, NO_DAY) from None


def cursor(position: UsageKey) -> str:
    """The cursor of the page that follows `position`. It grants no access to anything."""
    return pagination.packed([position.day, position.model, user_of(position.owner)])


def position(parameters: Mapping[str, str], caller: Caller, within: Days) -> UsageKey | None:
    """What the page starts behind, None for the first page. Whatever a cursor says, it is usage that the
    caller may see, on one of the days. Raises InvalidParameter."""
    text = parameters.get("cursor")
    if text is None:
        return None
    try:
        found = _position(pagination.unpacked(text, MAX_CURSOR_CHARS), caller)
    except ValueError:
        raise InvalidParameter("cursor", NO_CURSOR) from None
    visible = sees_every_owner(caller) or found.owner == caller.owner
    if not visible or cursor(found) != text or not within.first <= found.day <= within.last:
        raise InvalidParameter("cursor", NO_CURSOR)
    return found


def _position(content: object, caller: Caller) -> UsageKey:
    """Raises ValueError."""
    match content:
        case [str(day), str(model), str() | None as user]:
            known = DAY.fullmatch(day) and MODEL.fullmatch(model)
            if known and (user is None or USER.fullmatch(user)):
                date.fromisoformat(day)
                owner = caller.key if user is None else f"{caller.key}{OWNER_SEPARATOR}{user}"
                return UsageKey(day=day, model=model, owner=owner)
    raise ValueError("not a cursor")


def user_of(owner: str) -> str | None:
    """The user that an owner stands for, None for the server key itself."""
    _, separator, user = owner.partition(OWNER_SEPARATOR)
    return user if separator else None
