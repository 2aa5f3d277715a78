"""JSON bodies, read so that no two parsers could read different orders from them."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from imagetasks.api.field_errors import field_error
from imagetasks.errors import InvalidOrder
from imagetasks.poyo.input_words import MAX_ERRORS, MAX_NAME_CHARS, json_type, pointer_below

MAX_DIGITS = sys.float_info.max_10_exp + 2  # of an integer that a double can be, with its sign
NOT_TEXT = re.compile("[\ud800-\udfff]")


def parse_object(body: bytes, *, exact: bool = False) -> dict[str, Any]:
    """The JSON object in `body` (RFC 8259); with `exact`, fractions are Decimals. Raises InvalidOrder, which points to every name that an
    object has twice and to every number that JSON does not have."""
    try:
        value = _parsed(body, _decimal if exact else float)
        problems = list(islice(_ambiguities(value, ""), MAX_ERRORS))
    except RecursionError:
        raise _unreadable("the body is nested more deeply than any order") from None
    if not isinstance(value, dict):
        detail = f"must be a JSON object, not {json_type(value)}"
        raise InvalidOrder([field_error("", detail)])
    if problems:
        raise InvalidOrder(problems)
    return value


def _parsed(body: bytes, fraction: Callable[[str], float | Decimal]) -> Any:
    """The JSON value in `body`, which may begin with a byte order mark. Raises InvalidOrder, RecursionError."""
    if not body.strip():
        raise _unreadable("the body is empty")
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_float=fraction)
    except UnicodeDecodeError:
        raise _unreadable("the body is not UTF-8, or it is compressed") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _unreadable(f"the body is not JSON: see {place}") from None


def _unreadable(fault: str) -> InvalidOrder:
    return InvalidOrder([field_error("", f"{fault}; send a JSON object in UTF-8")])


def _integer(digits: str) -> int | float:
    """The number that `digits` are, infinity if they are too many for a double."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _decimal(digits: str) -> float | Decimal:
    """The number that `digits` are, infinity if its exponent is too long for one."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return math.inf


class _RepeatedNames(dict[str, Any]):
    """An object with names that occur more than once."""

    repeated: Sequence[str]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    ambiguous = _RepeatedNames(found)
    ambiguous.repeated = [n for n, times in Counter(n for n, _ in pairs).items() if times > 1]
    return ambiguous


def _ambiguities(value: Any, pointer: str) -> Iterator[Mapping[str, str]]:
    """What parsers read differently: repeated names, NaN, numbers beyond a double, halves of surrogate
    pairs."""
    if any(map(NOT_TEXT.search, value if isinstance(value, dict) else [])):
        yield field_error(pointer, "has a name that is not Unicode text: half of a surrogate pair")
        return  # a pointer cannot name what is below it
    if isinstance(value, _RepeatedNames):
        for repeated in value.repeated:
            below = pointer_below(pointer, repeated)
            told = "this name" if below != pointer else "a name that is too long to be repeated"
            yield field_error(below, f"{told} occurs more than once")
    if isinstance(value, int | float) and not abs(value) <= sys.float_info.max:
        yield field_error(pointer, "is not a finite number")
    if isinstance(value, str) and NOT_TEXT.search(value):
        yield field_error(pointer, "is not Unicode text: it contains half of a surrogate pair")
    for name, each in _entries(value):
        below = pointer_below(pointer, name)
        if below != pointer:
            yield from _ambiguities(each, below)
        elif any(_ambiguities(each, below)):  # a pointer cannot name it
            yield field_error(pointer, f"has a name of more than {MAX_NAME_CHARS} characters")


def _entries(value: Any) -> Iterable[tuple[str | int, Any]]:
    """Members of an object or elements of an array, with their names or numbers."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
