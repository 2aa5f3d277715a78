"""Problem responses (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict, cast

from imagetasks.api.api_gateway import HttpResponse

Retry = Literal["same_key", "new_key", "never"]


class FieldError(TypedDict):
    """A field (`pointer`, RFC 6901) or a query's `parameter`, and what is wrong with it."""

    pointer: NotRequired[str]
    parameter: NotRequired[str]
    detail: str


class ProblemBody(TypedDict):
    """RFC 9457. `retry`: send the same request again, under its own key or under a new one, or never.
    `charged`: was this order paid for? Null if it is unknown."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    retry: Retry
    charged: bool | None
    request_id: str
    task_id: NotRequired[str]
    errors: NotRequired[Sequence[FieldError]]
    scope: NotRequired[str]
    left: NotRequired[int | float]
    resets_at: NotRequired[str | None]


class BudgetFacts(TypedDict):
    """Which budget has no room for an order: credits `left` until `resets_at` (null: for ever)."""

    scope: str
    left: int | float
    resets_at: str | None


@dataclass(frozen=True)
class Problem:
    """A problem with a stable `code`; the order was not paid for unless `charged` says so."""

    status: int
    code: str
    detail: str
    retry: Retry = "never"
    errors: Sequence[Mapping[str, str]] = ()
    task_id: str | None = None
    budget: BudgetFacts | None = None
    charged: bool | None = False  # None: unknown
    challenge: str = ""  # WWW-Authenticate (RFC 6750)
    allow: str = ""  # the methods of the route, if another method was used
    retry_after_s: int = 5  # 0: nobody knows when the same request may succeed

    def response(self, request_id: str) -> HttpResponse:
        """The problem as `application/problem+json`; `request_id` is API Gateway's."""
        body: ProblemBody = {
            "type": "about:blank",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "retry": self.retry,
            "charged": self.charged,
            "request_id": request_id,
        }
        if self.task_id:
            body["task_id"] = self.task_id
        if self.errors:
            body["errors"] = [cast(FieldError, each) for each in self.errors]
        if self.budget:
            body = {**body, **self.budget}
        content_type = "application/problem+json"
        return HttpResponse(self.status, content_type, json.dumps(body), headers=self.headers())

    def headers(self) -> dict[str, str]:
        """The HTTP headers that belong to the problem."""
        headers = {"WWW-Authenticate": self.challenge} if self.challenge else {}
        if self.allow:
            headers["Allow"] = self.allow
        if self.retry == "same_key" and self.retry_after_s:
            headers["Retry-After"] = str(self.retry_after_s)
        return headers


class ProblemError(Exception):
    """Ends a request with `problem`. A new one is raised each time, because an exception object keeps
    a reference to the frames that it was raised in."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
