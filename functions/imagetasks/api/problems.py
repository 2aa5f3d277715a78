"""Every refusal of the API: one row an error, the only list of codes and statuses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from imagetasks.api.problem_details import Problem
from imagetasks.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    ImageTasksError,
    InvalidOrder,
    InvalidParameter,
    InvalidUpload,
    SecretInvalid,
    TaskNotFound,
)
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, Task

UNAUTHORIZED = Problem(401, "unauthorized", "Send `Authorization: Bearer <key>` with a valid key.")
ROUTE_NOT_FOUND = Problem(404, "no_such_route", "There is nothing at this address for this method.")
METHOD_NOT_ALLOWED = Problem(405, "method_not_allowed", "This address does not know this method.")
MODEL_NOT_FOUND = Problem(404, "no_such_model", "There is no such model.")
TASK_NOT_FOUND = Problem(404, "no_such_task", "There is no such task.")
FILE_NOT_FOUND = Problem(404, "no_such_file", "The task has no such file, or does not have it yet.")
CALLBACK_NOT_FOUND = Problem(404, "not_found", "There is nothing at this address.")
IDEMPOTENCY_KEY_REQUIRED = Problem(
    400,
    "idempotency_key_required",
    "Send an `Idempotency-Key` header of 1 to 255 printable characters: a task costs money, and "
    "only with a key can a repeated request be told from a second order.",
)
INVALID_ORDER = Problem(422, "invalid_order", "The order is not valid.")
INVALID_PARAMETER = Problem(400, "invalid_parameter", "A query parameter is not valid.")
INVALID_IDEMPOTENCY_KEY = Problem(
    400,
    "invalid_idempotency_key",
    "An `Idempotency-Key` has 1 to 255 printable ASCII characters.",
)
INVALID_OWNER = Problem(
    400,
    "invalid_owner",
    "`X-Owner` names one of your users: 1 to 128 letters, digits and any of . _ ~ @ : + -",
)
BODY_TOO_LARGE = Problem(413, "body_too_large", "A request's body may have 256 KiB.")
TASK_DELETED = Problem(
    410,
    "task_deleted",
    "This Idempotency-Key stands for a task that was deleted. Choose a new one.",
)
IDEMPOTENCY_KEY_REUSED = Problem(
    422,
    "idempotency_key_reused",
    "This Idempotency-Key was used for another body. Choose a new one.",
)
NOT_CONFIGURED = Problem(
    503, "not_configured", "The keys of this deployment are not in place yet.", True
)
INTERNAL_ERROR = Problem(
    500,
    "internal",
    "Something went wrong here. Send the same request again, with the same key: it is safe.",
    retryable=True,
    charged=None,
)
UNAVAILABLE = Problem(503, "unavailable", "Try again in a moment, with the same key.", True)


SUBMIT_FAILURE_STATUS = {
    "rejected": 422,
    "moderated": 422,
    "insufficient_credits": 402,
    "unavailable": 503,
}


def submission_problem(task: Task) -> Problem | None:
    """What the caller is told when PoYo would not take the order at all; the task says it too.

    Not retryable: this Idempotency-Key stands for the task that failed, whatever becomes of PoYo.
    """
    if task.state != State.FAILED or task.poyo_id or task.reason not in SUBMIT_FAILURE_STATUS:
        return None
    return replace(_refused(task.reason), task_id=task.task_id)


def _refused(code: str) -> Problem:
    reason = REASONS[code]
    again = " Order again with a new Idempotency-Key." if reason.retryable else ""
    return Problem(SUBMIT_FAILURE_STATUS[code], code, reason.message + again)


SUBMISSION_PROBLEMS = tuple(map(_refused, SUBMIT_FAILURE_STATUS))


def route_problem(method: str, path: str, routes: Iterable[tuple[str, str, object]]) -> Problem:
    """Nothing here, or not for this method: an address may have characters that no route takes."""
    allowed = [known for known, rule, _ in routes if _pattern(rule).fullmatch(path)]
    if method in allowed or not allowed:
        return ROUTE_NOT_FOUND
    return replace(METHOD_NOT_ALLOWED, allow=", ".join(allowed))


def _pattern(rule: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<\w+>", "[^/]+", rule))


def problem_for(error: ImageTasksError) -> Problem:
    """What the caller is told of an error of ours."""
    if isinstance(error, InvalidOrder):
        return replace(INVALID_ORDER, errors=error.problems)
    if isinstance(error, InvalidParameter):
        return replace(INVALID_PARAMETER, errors=error.problems)
    if isinstance(error, InvalidUpload):
        return replace(
            INVALID_ORDER, errors=[{"pointer": "/input/image_urls", "detail": error.detail}]
        )
    known = {
        IdempotencyKeyReused: IDEMPOTENCY_KEY_REUSED,
        TaskNotFound: TASK_NOT_FOUND,
        SecretInvalid: NOT_CONFIGURED,
        DatabaseUnavailable: UNAVAILABLE,
    }
    return known.get(type(error), UNAVAILABLE)
