"""Problem responses (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

from aws_lambda_powertools.event_handler import Response


class FieldError(TypedDict):
    """A field (`pointer`, RFC 6901) or a query's `parameter`, and what is wrong with it."""

    pointer: NotRequired[str]
    parameter: NotRequired[str]
    detail: str


class ProblemBody(TypedDict):
    """RFC 9457. `retryable`: may the same request succeed later? `charged` is null if it is unknown."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    retryable: bool
    charged: bool | None
    task_id: NotRequired[str]
    errors: NotRequired[Sequence[FieldError]]


@dataclass(frozen=True)
class Problem:
    """A problem with a stable `code`; nothing was charged unless `charged` says so."""

    status: int
    code: str
    detail: str
    retryable: bool = False
    errors: Sequence[Mapping[str, str]] = ()
    task_id: str | None = None
    charged: bool | None = False  # None: unknown
    allow: str = ""  # the methods of the route, if another method was used

    def response(self) -> Response[str]:
        """The problem as `application/problem+json`."""
        body: ProblemBody = {
            "type": "about:blank",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
            "charged": self.charged,
        }
        if self.task_id:
            body["task_id"] = self.task_id
        if self.errors:
            body["errors"] = [cast(FieldError, each) for each in self.errors]
        content_type = "application/problem+json"
        return Response(self.status, content_type, json.dumps(body), headers=self.headers())

    def headers(self) -> dict[str, str]:
        """The HTTP headers that belong to the problem."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.allow:
            headers["Allow"] = self.allow
        if self.retryable:
            headers["Retry-After"] = "5"
        return headers


class ProblemError(Exception):
    """Ends a request with `problem`. A new one is raised each time, because an exception object keeps
    a reference to the frames that it was raised in."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
