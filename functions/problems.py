"""Every refusal of the API as RFC 9457: one row an error, the only list of codes and statuses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from imagetasks.errors import (
    ImageTasksError,
    InvalidOrder,
    KeyReused,
    SecretInvalid,
    StoreUnavailable,
    TaskNotFound,
)
from imagetasks.reasons import REASONS
from imagetasks.task import State, Task


@dataclass(frozen=True)
class Problem:
    """A refusal with a stable `code`; nothing was charged for the request unless `charged` says so."""

    status: int
    code: str
    detail: str
    retryable: bool = False
    errors: Sequence[Mapping[str, str]] = ()
    task_id: str | None = None
    charged: bool | None = False  # None: nobody knows

    def response(self) -> Response[str]:
        """The answer on the wire."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
            "charged": self.charged,
        }
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.retryable:
            headers["Retry-After"] = "5"
        if self.task_id:
            body["task_id"] = self.task_id
        if self.errors:
            body["errors"] = list(self.errors)
        return Response(self.status, "application/problem+json", json.dumps(body), headers=headers)


class Refusal(Exception):
    """Ends a request with `problem`. Raised anew each time: an exception keeps what it was raised
    in, and a constant one would keep it for ever."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


UNAUTHORIZED = Problem(401, "unauthorized", "Send `Authorization: Bearer <key>` with a valid key.")
NO_ROUTE = Problem(404, "no_such_route", "There is nothing at this address for this method.")
NO_TASK = Problem(404, "no_such_task", "There is no such task.")
NO_FILE = Problem(404, "no_such_file", "The task has no such file, or does not have it yet.")
NO_CALLBACK = Problem(404, "not_found", "There is nothing at this address.")
NO_KEY = Problem(
    400,
    "idempotency_key_required",
    "Send an `Idempotency-Key` header of 1 to 255 printable characters: a task costs money, and "
    "only with a key can a repeated request be told from a second order.",
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
    reason = REASONS[task.reason]
    again = " Order again with a new Idempotency-Key." if reason.retryable else ""
    status = SUBMIT_REFUSALS[task.reason]
    return Problem(status, task.reason, reason.message + again, task_id=task.task_id)


def problem_of(error: ImageTasksError) -> Problem:
    """What the caller is told of an error of ours."""
    if isinstance(error, InvalidOrder):
        return Problem(422, "invalid_order", "The order is not valid.", errors=error.problems)
    known = {
        KeyReused: KEY_REUSED,
        TaskNotFound: NO_TASK,
        SecretInvalid: NOT_READY,
        StoreUnavailable: UNAVAILABLE,
    }
    return known.get(type(error), UNAVAILABLE)
