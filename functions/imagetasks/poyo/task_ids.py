"""PoYo's ids of tasks, wherever they stand in what PoYo sends. Nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

POYO_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
# The id in JSON that broke off. The quotes of an echoed prompt are escaped, so it cannot match there.
BROKEN_ID = re.compile(
    rb'"(?i:task_?id)"\s*:\s*'
    rb'(?:"([A-Za-z0-9][A-Za-z0-9_.:-]{0,127})"|([0-9]{1,128})(?=[\s,}\]]))'
)
# Python's `{'prompt': '"task_id":"…"'}` leaves the quotes of a prompt as they are.
JSON_BEGINS = re.compile(rb'(?:\xef\xbb\xbf)?\s*[\[{][\s\[{]*"')
ID_KEY = re.compile(r"task_?ids?", re.IGNORECASE)
ECHOES = frozenset({"input", "request", "body", "params"})  # repeat what we sent
MIN_BARE_ID_CHARS = 12  # a shorter text without a key is a word, like "ok"


def poyo_id(value: Any) -> str:
    """`value` as a PoYo id, a whole number as its digits; empty if it cannot be one."""
    number = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18
    found = str(value) if number else value.strip() if isinstance(value, str) else ""
    return found if POYO_ID.fullmatch(found) else ""


def broken_id(partial: bytes) -> str | None:
    """The task id in JSON that broke off, is malformed or was too long to be read whole."""
    if not JSON_BEGINS.match(partial):
        return None
    found = BROKEN_ID.search(partial)
    return (found[1] or found[2]).decode() if found else None


def named_ids(body: Any) -> list[str]:
    """Every id that `body` calls a task's, outside of echoes of our request: first those in `data`,
    where PoYo documents it, then the outermost."""
    data = body.get("data") if isinstance(body, dict) else None
    objects = (
        sorted(each.items(), key=lambda pair: pair[0] != "task_id")
        for each in chain(_objects(data), _objects(body))
    )
    return _usable(v for each in objects for key, v in each if ID_KEY.fullmatch(key))


def unnamed_ids(body: Any, *, refused: bool) -> list[str]:
    """The ids in `body` that are not called a task's: the `id` of its data or of the data's `task`.
    Unless the order was refused, also an `id` beside no data, or a text in the place of the data."""
    data = body.get("data", None if refused else body) if isinstance(body, dict) else body
    objects = data if isinstance(data, list) else [data]
    tasks = [each.get("task") for each in objects if isinstance(each, dict)]
    found = [each.get("id") for each in (*objects, *tasks) if isinstance(each, dict)]
    bare = [each for each in (*objects, *tasks) if isinstance(each, str)]
    if not refused:
        found += [each for each in bare if len(each) >= MIN_BARE_ID_CHARS]
    return _usable(found)


def _usable(values: Iterable[Any]) -> list[str]:
    listed = (each for value in values for each in (value if isinstance(value, list) else [value]))
    return list(dict.fromkeys(found for each in listed if (found := poyo_id(each))))


def _objects(body: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in `body` but echoes of our request, the outermost first."""
    level = [body]
    while level:
        yield from (each for each in level if isinstance(each, dict))
        level = [child for each in level for child in _children(each)]


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [child for key, child in value.items() if key not in ECHOES]
    return value if isinstance(value, list) else []
