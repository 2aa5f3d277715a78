"""One request until it has an answer: what is repeated, how long, and when it is given up."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import Any

import httpx

from imagetasks_client.effects import Outcome, Pause, Send, Steps, Tell
from imagetasks_client.errors import (
    ApiError,
    ClientTimeoutError,
    ConnectionFailed,
    ImageTasksError,
    api_error,
)

# The request itself is wrong, for instance a line break in a key.
NEVER_SENT = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 20.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long requests are repeated. `on_repeat` is told each error after which a request is repeated,
    and the seconds until then; `clock` returns seconds; `spread` returns 0 to 1, for the jitter that keeps
    many clients from coming back at the same moment."""

    repeat_for_s: float = 120.0
    on_repeat: Callable[[ImageTasksError, float], Any] | None = None
    clock: Callable[[], float] = time.monotonic
    spread: Callable[[], float] = random.random


def exchange(
    request: Send, patience: Patience, until: float | None = None
) -> Steps[httpx.Response]:
    """The response to `request`: 2xx or 304. It is repeated as it is, an order under its key, after a
    lost answer, a gateway's 429 or 5xx, and a refusal that names a wait. `until` is an instant of the
    patience's clock. After a lost answer, a refusal that does not look at the key has `charged` None.

    Raises ApiError for an answer that waiting does not change; ApiError or ConnectionFailed if the next
    repetition would come after the patience, and ClientTimeoutError if it would come after `until`.
    """
    end = patience.clock() + patience.repeat_for_s
    doubtful = False
    for attempt in count():
        outcome: Outcome = yield replace(request, timeout_s=_time_left(request, patience, until))
        if isinstance(outcome, httpx.Response) and _is_answer(request, outcome):
            return outcome
        error, wait_s = _fault(outcome, attempt, patience)
        if doubtful and isinstance(error, ApiError) and error.precedes_key:
            error.charged = None
        doubtful = doubtful or _may_have_acted(outcome)
        if wait_s is None or patience.clock() + wait_s > end:
            raise error
        if until is not None and patience.clock() + wait_s > until:
            raise ClientTimeoutError from error
        if patience.on_repeat:
            yield Tell(patience.on_repeat, (error, wait_s))
        yield Pause(wait_s)
    raise AssertionError("unreachable")


def _time_left(request: Send, patience: Patience, until: float | None) -> float:
    """The request's own timeout, or what is left until `until`; a second at least."""
    return (
        request.timeout_s
        if until is None
        else max(1.0, min(request.timeout_s, until - patience.clock()))
    )


def _is_answer(request: Send, response: httpx.Response) -> bool:
    """Whether the service, not a portal or proxy before it, did what was asked."""
    if response.status_code in (204, 304):
        return True
    if not response.is_success or not request.to_service:
        return response.is_success
    body = body_of(response)
    return request.expected in body if request.expected else bool(body)


def pause_s(response: httpx.Response, patience: Patience, default_s: float = 5.0) -> float:
    """How long to wait before the task is read again: `Retry-After`, up to a quarter longer."""
    asked = retry_after_s(response)
    return (default_s if asked is None else asked) * (1 + patience.spread() / 4)


def retry_after_s(response: httpx.Response) -> float | None:
    """The seconds of `Retry-After`; None if there are none."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def body_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a response, with exact decimals; empty if it is none."""
    try:
        body = json.loads(response.content, parse_float=Decimal)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _fault(
    outcome: Outcome, attempt: int, patience: Patience
) -> tuple[ImageTasksError, float | None]:
    """What to raise, and after how many seconds the request may be repeated; None for never."""
    backoff_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * (1 - patience.spread() / 2)
    if isinstance(outcome, ApiError):  # of the token, so nothing was sent
        return outcome, None
    if isinstance(outcome, httpx.RequestError):
        lost = ConnectionFailed(f"no answer from the service: {type(outcome).__name__} {outcome}")
        lost.__cause__ = outcome
        return lost, None if isinstance(outcome, NEVER_SENT) else backoff_s
    asked_s, problem = retry_after_s(outcome), _problem(body_of(outcome))
    error: ApiError = api_error(outcome.status_code, problem, asked_s)
    if outcome.is_success:  # not the service's
        return error, backoff_s
    if error.retry != "same_key":
        return error, None
    if asked_s is not None:
        return error, asked_s * (1 + patience.spread() / 4)
    return (
        error,
        None if problem else backoff_s,
    )  # a problem without a wait: the operator acts first


def _may_have_acted(outcome: Outcome) -> bool:
    """Whether the service may have done what was asked although it did not say so."""
    if isinstance(outcome, ApiError):
        return False
    if isinstance(outcome, httpx.RequestError):
        return not isinstance(outcome, (*NEVER_SENT, httpx.ConnectError, httpx.ConnectTimeout))
    return outcome.status_code != 429 and not _problem(body_of(outcome))


def _problem(body: dict[str, Any]) -> Mapping[str, Any]:
    """The body, if it is a problem of the service; a gateway's body says nothing about the order."""
    return body if isinstance(body.get("code"), str) and "retry" in body else {}
