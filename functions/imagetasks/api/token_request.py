"""The body of `POST /v1/tokens`, validated field by field. It needs no pydantic, and raises no limit:
a token may do at most what its server key may."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from imagetasks.api import json_body
from imagetasks.api.credit_amount import (
    MAX_CREDITS,
    MAX_DECIMALS,
    credit_amount,
    has_too_many_decimals,
    is_number,
)
from imagetasks.api.field_errors import field_error, one_of_models
from imagetasks.api.request import USER
from imagetasks.errors import InvalidOrder
from imagetasks.poyo.input_words import MAX_ERRORS, json_type, pointer_below, unknown_field
from imagetasks.tasks.caller import SCOPES

TTL_S = (60, 3600)
DEFAULT_TTL_S = 900
MAX_TASKS = 1_000_000
MAX_MODELS = 50
MAX_ORIGIN_CHARS = 256
# As browsers send it: lower-case, without a path, without the scheme's own port.
ORIGIN = re.compile(
    r"(https?)://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?"
)
OWN_PORT = {"https": "443", "http": "80"}

ALLOWED: dict[str, str] = {  # `models` is for the deployment to say
    "owner": "one of your users: 1 to 128 letters, digits and any of . _ ~ @ : | + -",
    "max_credits": f"a number greater than 0, up to {MAX_CREDITS:,}, with up to {MAX_DECIMALS} decimals",
    "ttl_s": f"a whole number of seconds from {TTL_S[0]} to {TTL_S[1]:,}",
    "scopes": f"an array of {', '.join(SCOPES)}, each at most once",
    "max_tasks": f"a whole number from 1 to {MAX_TASKS:,}",
    "origin": "the origin of a page as browsers send it, such as https://app.example",
}
REQUIRED = ("owner", "max_credits")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTokenRequest:
    """A token that a server key wants for its user `owner`; None: no such restriction."""

    owner: str
    max_credits: Decimal
    ttl_s: int = DEFAULT_TTL_S
    scopes: tuple[str, ...] = SCOPES
    max_tasks: int | None = None
    models: tuple[str, ...] | None = None
    origin: str | None = None


def parse_token_request(body: bytes, models: Collection[str]) -> CreateTokenRequest:
    """The token that `body` describes; null means absent, and it may be for some of `models`. Raises
    InvalidOrder, which names every wrong field and what is allowed."""
    fields = {k: v for k, v in json_body.parse_object(body, exact=True).items() if v is not None}
    if problems := list(_problems(fields, models)):
        raise InvalidOrder(problems[:MAX_ERRORS])
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    values |= {name: int(fields[name]) for name in ("ttl_s", "max_tasks") if name in fields}
    return CreateTokenRequest(**values | {"max_credits": credit_amount(fields["max_credits"])})


def _problems(fields: Mapping[str, Any], models: Collection[str]) -> Iterator[Mapping[str, str]]:
    ids = f"an array of 1 to {MAX_MODELS}, each at most once and {one_of_models(models)}"
    allowed = ALLOWED | {"models": ids}
    for name in fields:
        if name not in allowed:
            yield field_error(pointer_below("", name), unknown_field(name, allowed, {}))
    for name in REQUIRED:
        if name not in fields:
            yield field_error(f"/{name}", f"`{name}` is missing; it must be {allowed[name]}")
    for name, faults in (FAULTS | {"models": _selection(tuple(models), MAX_MODELS)}).items():
        if name in fields:
            for pointer, fault in faults(fields[name]):
                detail = f"{fault}; `{name}` must be {allowed[name]}"
                yield field_error(f"/{name}{pointer}", detail)


Faults = Iterable[tuple[str, str]]  # a pointer below the field, and what is wrong there


def _owner(value: Any) -> Faults:
    if not isinstance(value, str):
        yield "", f"is {json_type(value)}"
    elif not value:
        yield "", "is empty"
    elif not USER.fullmatch(value):
        yield "", "is not valid"


def _max_credits(value: Any) -> Faults:
    if not is_number(value):
        yield "", f"is {json_type(value)}"
    elif not 0 < value <= MAX_CREDITS:
        yield "", "is too small" if value <= 0 else "is too large"
    elif has_too_many_decimals(value):
        yield "", "has too many decimals"


def _whole_number(smallest: int, largest: int) -> Callable[[Any], Faults]:
    def faults(value: Any) -> Faults:
        if not is_number(value):
            yield "", f"is {json_type(value)}"
        elif not smallest <= value <= largest:
            yield "", "is too small" if value < smallest else "is too large"
        elif value != int(value):  # 60.0 is one, in JSON Schema too
            yield "", "is not a whole number"

    return faults


def _selection(of: Collection[str], most: int) -> Callable[[Any], Faults]:
    def faults(value: Any) -> Faults:
        if not isinstance(value, list):
            yield "", f"is {json_type(value)}"
            return
        if not 1 <= len(value) <= most:
            yield "", "is empty" if not value else f"has {len(value):,} entries"
            return
        for n, each in enumerate(value):
            if each not in of:
                yield f"/{n}", "is not known"
            elif each in value[:n]:
                yield f"/{n}", "is there twice"

    return faults


def _origin(value: Any) -> Faults:
    if not isinstance(value, str):
        yield "", f"is {json_type(value)}"
        return
    found = ORIGIN.fullmatch(value) if len(value) <= MAX_ORIGIN_CHARS else None
    if not found or found[2] == OWN_PORT[found[1]]:
        yield "", "is not valid"


FAULTS: dict[str, Callable[[Any], Faults]] = {
    "owner": _owner,
    "max_credits": _max_credits,
    "ttl_s": _whole_number(*TTL_S),
    "scopes": _selection(SCOPES, len(SCOPES)),
    "max_tasks": _whole_number(1, MAX_TASKS),
    "origin": _origin,
}
