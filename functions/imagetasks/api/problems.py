"""Every problem of the API, one row for each: the only list of codes and statuses."""

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
    TaskDeleted,
    TaskNotFound,
)
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, Task

UNAUTHORIZED = Problem(401, "unauthorized", "Send `Authorization: Bearer <key>` with a valid key.")
ROUTE_NOT_FOUND = Problem(404, "no_such_route", "No such route.")
METHOD_NOT_ALLOWED = Problem(
    405, "method_not_allowed", "This route does not support the request's method."
)
MODEL_NOT_FOUND = Problem(404, "no_such_model", "No such model.")
TASK_NOT_FOUND = Problem(404, "no_such_task", "No such task.")
FILE_NOT_FOUND = Problem(404, "no_such_file", "The task has no such file, or does not have it yet.")
CALLBACK_NOT_FOUND = Problem(404, "not_found", "No such route.")
IDEMPOTENCY_KEY_REQUIRED = Problem(
    400,
    "idempotency_key_required",
    "Send an `Idempotency-Key` header of 1 to 255 printable characters. A task costs money, and only "
    "the key tells a repeated request from a second order.",
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
BODY_TOO_LARGE = Problem(413, "body_too_large", "The request body is larger than 256 KiB.")
TASK_DELETED = Problem(
    410,
    "task_deleted",
    "This Idempotency-Key stands for a task that was deleted. Use a new key.",
)
IDEMPOTENCY_KEY_REUSED = Problem(
    422,
    "idempotency_key_reused",
    "This Idempotency-Key was used with another body. Use a new key.",
)
NOT_CONFIGURED = Problem(
    503, "not_configured", "The keys of this deployment are not in place yet.", retryable=True
)
INTERNAL_ERROR = Problem(
    500,
    "internal",
    "An unexpected error occurred. It is safe to send the same request again with the same key.",
    retryable=True,
    charged=None,
)
UNAVAILABLE = Problem(
    503, "unavailable", "Try again in a moment with the same key.", retryable=True
)


SUBMIT_FAILURE_STATUS = {
    "rejected": 422,
    "moderated": 422,
    "insufficient_credits": 402,
    "unavailable": 503,
}


def submission_problem(task: Task) -> Problem | None:
    """The problem to answer an order with if PoYo refused it at once; the task says the same.

    It is not retryable, because this Idempotency-Key stands for the failed task from now on.
    """
    if task.state != State.FAILED or task.poyo_id or task.reason not in SUBMIT_FAILURE_STATUS:
        return None
    return replace(_submission_problem(task.reason), task_id=task.task_id)


def _submission_problem(code: str) -> Problem:
    reason = REASONS[code]
    advice = " Order again with a new Idempotency-Key." if reason.retryable else ""
    return Problem(SUBMIT_FAILURE_STATUS[code], code, reason.message + advice)


SUBMISSION_PROBLEMS = tuple(map(_submission_problem, SUBMIT_FAILURE_STATUS))


def route_problem(method: str, path: str, routes: Iterable[tuple[str, str, object]]) -> Problem:
    """404, or 405 if `path` has a route for other methods. A path may also match a route whose
    parameters do not accept its characters; then `method` is known and the problem is 404."""
    allowed = [known for known, rule, _ in routes if _pattern(rule).fullmatch(path)]
    if method in allowed or not allowed:
        return ROUTE_NOT_FOUND
    return replace(METHOD_NOT_ALLOWED, allow=", ".join(allowed))


def _pattern(rule: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<\w+>", "[^/]+", rule))


PROBLEM_BY_ERROR: dict[type[ImageTasksError], Problem] = {
    IdempotencyKeyReused: IDEMPOTENCY_KEY_REUSED,
    TaskDeleted: TASK_DELETED,
    TaskNotFound: TASK_NOT_FOUND,
    SecretInvalid: NOT_CONFIGURED,
    DatabaseUnavailable: UNAVAILABLE,
}


def problem_for(error: ImageTasksError) -> Problem:
    """The problem to answer with after `error`."""
    if isinstance(error, InvalidOrder):
        return replace(INVALID_ORDER, errors=error.problems)
    if isinstance(error, InvalidParameter):
        return replace(INVALID_PARAMETER, errors=error.problems)
    if isinstance(error, InvalidUpload):
        return replace(
            INVALID_ORDER, errors=[{"pointer": "/input/image_urls", "detail": error.detail}]
        )
    return PROBLEM_BY_ERROR.get(type(error), UNAVAILABLE)
