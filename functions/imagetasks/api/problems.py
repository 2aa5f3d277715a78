"""Every refusal of the API: one row an error, the only list of codes and statuses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from imagetasks.api.problem_details import Problem
from imagetasks.errors import (
    ImageTasksError,
    InvalidOrder,
    InvalidParameter,
    KeyReused,
    SecretInvalid,
    StoreUnavailable,
    TaskNotFound,
    UploadInvalid,
)
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, Task

UNAUTHORIZED = Problem(401, "unauthorized", "Send `Authorization: Bearer <key>` with a valid key.")
NO_ROUTE = Problem(404, "no_such_route", "There is nothing at this address for this method.")
WRONG_METHOD = Problem(405, "method_not_allowed", "This address does not know this method.")
NO_MODEL = Problem(404, "no_such_model", "There is no such model.")
NO_TASK = Problem(404, "no_such_task", "There is no such task.")
NO_FILE = Problem(404, "no_such_file", "The task has no such file, or does not have it yet.")
NO_CALLBACK = Problem(404, "not_found", "There is nothing at this address.")
NO_KEY = Problem(
    400,
    "idempotency_key_required",
    "Send an `Idempotency-Key` header of 1 to 255 printable characters: a task costs money, and "
    "only with a key can a repeated request be told from a second order.",
)
INVALID_ORDER = Problem(422, "invalid_order", "The order is not valid.")
INVALID_PARAMETER = Problem(400, "invalid_parameter", "A query parameter is not valid.")
BAD_KEY = Problem(
    400,
    "invalid_idempotency_key",
    "An `Idempotency-Key` has 1 to 255 printable ASCII characters.",
)
BAD_OWNER = Problem(
    400,
    "invalid_owner",
    "`X-Owner` names one of your users: 1 to 128 letters, digits and any of . _ ~ @ : + -",
)
TOO_LARGE = Problem(413, "body_too_large", "A request's body may have 256 KiB.")
DELETED = Problem(
    410,
    "task_deleted",
    "This Idempotency-Key stands for a task that was deleted. Choose a new one.",
)
KEY_REUSED = Problem(
    422,
    "idempotency_key_reused",
    "This Idempotency-Key was used for another body. Choose a new one.",
)
NOT_READY = Problem(
    503, "not_configured", "The keys of this deployment are not in place yet.", True
)
INTERNAL = Problem(
    500,
    "internal",
    "Something went wrong here. Send the same request again, with the same key: it is safe.",
    retryable=True,
    charged=None,
)
UNAVAILABLE = Problem(503, "unavailable", "Try again in a moment, with the same key.", True)


SUBMIT_REFUSALS = {
    "rejected": 422,
    "moderated": 422,
    "insufficient_credits": 402,
    "unavailable": 503,
}


def refused(task: Task) -> Problem | None:
    """What the caller is told when PoYo would not take the order at all; the task says it too.

    Not retryable: this Idempotency-Key stands for the task that failed, whatever becomes of PoYo.
    """
    if task.state != State.FAILED or task.poyo_id or task.reason not in SUBMIT_REFUSALS:
        return None
    return replace(_refused(task.reason), task_id=task.task_id)


def _refused(code: str) -> Problem:
    reason = REASONS[code]
    again = " Order again with a new Idempotency-Key." if reason.retryable else ""
    return Problem(SUBMIT_REFUSALS[code], code, reason.message + again)


REFUSED_BY_POYO = tuple(map(_refused, SUBMIT_REFUSALS))


def no_route(method: str, path: str, routes: Iterable[tuple[str, str, object]]) -> Problem:
    """Nothing here, or not for this method: an address may have characters that no route takes."""
    allowed = [known for known, rule, _ in routes if _pattern(rule).fullmatch(path)]
    if method in allowed or not allowed:
        return NO_ROUTE
    return replace(WRONG_METHOD, allow=", ".join(allowed))


def _pattern(rule: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<\w+>", "[^/]+", rule))


def problem_of(error: ImageTasksError) -> Problem:
    """What the caller is told of an error of ours."""
    if isinstance(error, InvalidOrder):
        return replace(INVALID_ORDER, errors=error.problems)
    if isinstance(error, InvalidParameter):
        return replace(INVALID_PARAMETER, errors=error.problems)
    if isinstance(error, UploadInvalid):
        return replace(
            INVALID_ORDER, errors=[{"pointer": "/input/image_urls", "detail": error.detail}]
        )
    known = {
        KeyReused: KEY_REUSED,
        TaskNotFound: NO_TASK,
        SecretInvalid: NOT_READY,
        StoreUnavailable: UNAVAILABLE,
    }
    return known.get(type(error), UNAVAILABLE)
