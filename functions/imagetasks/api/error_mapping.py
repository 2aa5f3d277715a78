"""Which problem a caller gets after an error, and for a refused order."""

from __future__ import annotations

import math
from dataclasses import replace

from imagetasks.api.problem_details import Problem, ProblemError, Retry
from imagetasks.api.problems import (
    BUDGET_EXHAUSTED,
    FILE_EXPIRED,
    FILE_NOT_FOUND,
    IDEMPOTENCY_KEY_REUSED,
    INTERNAL_ERROR,
    INVALID_ORDER,
    INVALID_PARAMETER,
    INVALID_TOKEN,
    NOT_CONFIGURED,
    ORDERS_PAUSED,
    SERVICE_UNAVAILABLE,
    TASK_DELETED,
    TASK_NOT_FOUND,
    TOO_MANY_ORDERS,
)
from imagetasks.api.schemas import json_number, rfc3339
from imagetasks.errors import (
    AwsError,
    BudgetExhausted,
    DatabaseUnavailable,
    FileExpired,
    FileNotFound,
    IdempotencyKeyReused,
    ImageTasksError,
    InvalidOrder,
    InvalidParameter,
    OrdersPaused,
    SecretInvalid,
    TaskDeleted,
    TaskNotFound,
    TokenRevoked,
    TooManyOrders,
)
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, Task

SUBMIT_FAILURE_STATUS = {
    "rejected": 422,
    "moderated": 422,
    "insufficient_credits": 402,
    "unavailable": 503,
}


def submission_problem(task: Task) -> Problem | None:
    """The problem to answer an order with if PoYo refused it at once; the task says the same.

    A retry needs a new Idempotency-Key, because this one stands for the failed task from now on.
    """
    if task.state != State.FAILED or task.poyo_id or task.reason not in SUBMIT_FAILURE_STATUS:
        return None
    return replace(_submission_problem(task.reason), task_id=task.task_id)


def _submission_problem(code: str) -> Problem:
    reason = REASONS[code]
    advice = " Order again with a new Idempotency-Key." if reason.retryable else ""
    retry: Retry = "new_key" if reason.retryable else "never"
    return Problem(SUBMIT_FAILURE_STATUS[code], code, reason.message + advice, retry)


SUBMISSION_PROBLEMS = tuple(map(_submission_problem, SUBMIT_FAILURE_STATUS))


PROBLEM_BY_ERROR: dict[type[ImageTasksError], Problem] = {
    TaskDeleted: TASK_DELETED,
    TaskNotFound: TASK_NOT_FOUND,
    FileNotFound: FILE_NOT_FOUND,
    FileExpired: FILE_EXPIRED,
    SecretInvalid: NOT_CONFIGURED,
    OrdersPaused: ORDERS_PAUSED,
    TokenRevoked: INVALID_TOKEN,
    DatabaseUnavailable: SERVICE_UNAVAILABLE,
}


BUDGET_OWNERS = {
    "stack": "the whole service",
    "key": "this server key",
    "owner": "this user",
    "token": "this browser token",  # nosec B105  # words for people
}


def _budget_problem(error: BudgetExhausted) -> Problem:
    """The same order may succeed when the budget is reset, if it fits into a period of it."""
    resets_at = None if error.resets_at is None else rfc3339(error.resets_at)
    left = json_number(error.left) or 0
    until = f"until {resets_at}" if resets_at else "and the budget does not reset"
    problem = replace(
        BUDGET_EXHAUSTED,
        detail=f"{BUDGET_EXHAUSTED.detail} The budget of {BUDGET_OWNERS[error.scope]} has {left} credits "
        f"left, {until}.",
        budget={"scope": error.scope, "left": left, "resets_at": resets_at},
    )
    if error.wait_s is None:
        return problem
    return replace(problem, retry="same_key", retry_after_s=max(1, math.ceil(error.wait_s)))


def problem_for(error: ImageTasksError | ProblemError) -> Problem:
    """The problem to answer with after `error`."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, InvalidOrder):
        return replace(INVALID_ORDER, errors=error.problems)
    if isinstance(error, InvalidParameter):
        return replace(INVALID_PARAMETER, errors=error.problems)
    if isinstance(error, AwsError) and not error.passing:
        return INTERNAL_ERROR
    if isinstance(error, IdempotencyKeyReused):
        return replace(IDEMPOTENCY_KEY_REUSED, task_id=str(error))
    if isinstance(error, BudgetExhausted):
        return _budget_problem(error)
    if isinstance(error, TooManyOrders):
        return replace(TOO_MANY_ORDERS, retry_after_s=max(1, math.ceil(error.wait_s)))
    return PROBLEM_BY_ERROR.get(type(error), SERVICE_UNAVAILABLE)
