"""A refusal on the wire: RFC 9457, or PoYo's shape on PoYo's own paths."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

from aws_lambda_powertools.event_handler import Response

from imagetasks.poyo import compat

POYO_PATHS = ("/api/", "/v1/catalog/")
POYO_STATUSES = {410: 404, 413: 400, 422: 400}  # what PoYo says instead


class FieldError(TypedDict):
    """A field (`pointer`, RFC 6901) or a query's `parameter`, and what is wrong with it."""

    pointer: NotRequired[str]
    parameter: NotRequired[str]
    detail: str


class ProblemBody(TypedDict):
    """RFC 9457. `retryable`: may the very same request succeed later? `charged` is null when nobody
    knows."""

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
    """A refusal with a stable `code`; nothing was charged for the request unless `charged` says so."""

    status: int
    code: str
    detail: str
    retryable: bool = False
    errors: Sequence[Mapping[str, str]] = ()
    task_id: str | None = None
    charged: bool | None = False  # None: nobody knows
    allow: str = ""  # methods, where another one was used

    def response(self, path: str = "/v1/") -> Response[str]:
        """The answer on the wire, in PoYo's shape on PoYo's own paths."""
        return self._as_poyo() if path.startswith(POYO_PATHS) else self._as_problem()

    def _as_problem(self) -> Response[str]:
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
        kind, headers = "application/problem+json", self._headers()
        return Response(self.status, kind, json.dumps(body), headers=headers)

    def _as_poyo(self) -> Response[str]:
        """The same as PoYo says it: one message, and 400 for all that is wrong with an order."""
        wrong = [
            f"{each.get('pointer') or each.get('parameter')}: {each['detail']}"
            for each in self.errors
        ]
        unknown_model = [each.get("pointer") for each in self.errors] == ["/model"]
        status = 404 if unknown_model else POYO_STATUSES.get(self.status, self.status)
        body = compat.refused(status, self.code, " ".join([self.detail, *wrong]))
        return Response(status, "application/json", json.dumps(body), headers=self._headers())

    def _headers(self) -> dict[str, str]:
        """What HTTP itself says of the refusal, in either shape."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.allow:
            headers["Allow"] = self.allow
        if self.retryable:
            headers["Retry-After"] = "5"
        return headers


class ProblemError(Exception):
    """Ends a request with `problem`. Raised anew each time: an exception keeps what it was raised
    in, and a constant one would keep it for ever."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
