"""What each route promises: a row an operation, from which openapi.json is made and held true.

Nothing that runs imports it: the API hands out the file that `python -m contract` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from imagetasks.api import order_request, schemas
from imagetasks.api import problems as p
from imagetasks.api.problem_details import Problem
from imagetasks.poyo import catalog, compat


@dataclass(frozen=True, slots=True)
class Answer:
    """A success; of its `headers` those with a `?` are not always there."""

    status: int
    says: str
    body: Any = None
    headers: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] | None = None  # operation: its parameters


@dataclass(frozen=True, slots=True)
class Operation:
    """A route; `asks` names its parameters, `takes` is the model of its body."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    answers: tuple[Answer, ...]
    problems: tuple[Problem, ...]
    asks: tuple[str, ...] = ()
    takes: type[order_request.CreateTaskRequest | order_request.CreateUploadRequest] | None = None
    public: bool = False


def follow(task_id: str) -> Mapping[str, Mapping[str, str]]:
    """What may be done with a task, whose id is found at `task_id` in the answer's body."""
    one: Mapping[str, str] = {"task_id": f"$response.body#{task_id}"}
    reading = ("readTask", "readPoyoTask", "deleteTask")
    return dict.fromkeys(reading, one) | {"readFile": {**one, "n": "0"}}


OURS = (p.INTERNAL_ERROR, p.UNAVAILABLE)
CALLER = (p.UNAUTHORIZED, p.INVALID_OWNER, p.NOT_CONFIGURED, *OURS)
BODY = (p.BODY_TOO_LARGE, p.INVALID_ORDER)
PLACED = (
    *BODY,
    p.INVALID_IDEMPOTENCY_KEY,
    p.IDEMPOTENCY_KEY_REUSED,
    p.TASK_DELETED,
    *p.SUBMISSION_PROBLEMS,
)
NO_SUCH_MODEL = replace(p.INVALID_ORDER, errors=[{"pointer": "/model", "detail": "unknown"}])

TASK, TASK_HEADERS = schemas.TaskBody, ("Location", "Retry-After?")
SUBMITTED = compat.Envelope[compat.SubmitBody]
FILE = Answer(
    302, "The way to the image, good for five minutes.", None, ("Location", "Cache-Control")
)
SAME = Answer(304, "It is what `If-None-Match` says you have.", None, ("ETag",))
TASK_SAME = replace(SAME, headers=("ETag", "Retry-After?"))

QUERY = tuple(f"models.{name}" for name in catalog.QUERY)

# fmt: off
OPERATIONS = (
    Operation("POST", "/v1/tasks", "createTask", "Tasks", "Order an image, once for each Idempotency-Key", (
        Answer(202, "Accepted.", TASK, TASK_HEADERS, follow("/task_id")),
        Answer(200, "Accepted before, under this key; nothing was paid again.", TASK,
               (*TASK_HEADERS, "Idempotent-Replayed"), follow("/task_id")),
    ), (*CALLER, p.IDEMPOTENCY_KEY_REQUIRED, *PLACED), ("key", "owner"), order_request.CreateTaskRequest),
    Operation("GET", "/v1/tasks", "listTasks", "Tasks", "Your tasks, newest first", (
        Answer(200, "A page.", schemas.TaskPage, (), follow("/tasks/0/task_id")),
    ), (*CALLER, p.INVALID_PARAMETER), ("status", "limit", "cursor", "owner")),
    Operation("GET", "/v1/tasks/{task_id}", "readTask", "Tasks", "A task, or its next status", (
        Answer(200, "The task.", TASK, ("ETag", "Retry-After?")), TASK_SAME,
    ), (*CALLER, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "wait", "known", "owner")),
    Operation("DELETE", "/v1/tasks/{task_id}", "deleteTask", "Tasks", "Delete prompt and images", (
        Answer(204, "Gone, now or before. What was charged stays charged."),
    ), (*CALLER, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "owner")),
    Operation("GET", "/v1/tasks/{task_id}/files/{n}", "readFile", "Files", "An image, by key",
              (FILE,), (*CALLER, p.TASK_NOT_FOUND, p.FILE_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "n", "owner")),
    Operation("GET", "/files/{task_id}/{n}/{mac}", "openLink", "Files", "An image, by its `file_url`",
              (FILE,), (*OURS, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "n", "mac"), public=True),
    Operation("POST", "/v1/uploads", "createUpload", "Files", "Upload a reference image", (
        Answer(201, "A form for one file, and the address it has in an order.", schemas.UploadBody),
    ), (*CALLER, *BODY), ("owner",), order_request.CreateUploadRequest),
    Operation("POST", "/v1/quotes", "quote", "Tasks", "What an order would cost; nothing is sent", (
        Answer(200, "The estimate.", schemas.Quote),
    ), (*CALLER, *BODY), ("owner",), order_request.CreateTaskRequest),
    Operation("GET", "/v1/catalog/models", "listModels", "PoYo", "All models, in PoYo's shape", (
        Answer(200, "A page.", compat.Envelope[catalog.Page], ("ETag",)), SAME,
    ), (p.INTERNAL_ERROR, p.INVALID_PARAMETER), (*QUERY, "known"), public=True),
    Operation("GET", "/v1/catalog/models/{model}", "readModel", "PoYo", "A model, in PoYo's shape", (
        Answer(200, "The model.", compat.Envelope[catalog.Model], ("ETag",)), SAME,
    ), (p.INTERNAL_ERROR, p.MODEL_NOT_FOUND, p.ROUTE_NOT_FOUND), ("model", "known"), public=True),
    Operation("POST", "/api/generate/submit", "submitPoyoTask", "PoYo", "Order as at PoYo", (
        Answer(200, "Accepted.", SUBMITTED, ("Idempotent-Replayed?",), follow("/data/task_id")),
    ), (*CALLER, *PLACED, NO_SUCH_MODEL), ("optional_key", "owner"), order_request.CreateTaskRequest),
    Operation("GET", "/api/generate/status/{task_id}", "readPoyoTask", "PoYo", "Read as at PoYo", (
        Answer(200, "The task.", compat.Envelope[compat.PoyoTask]),
    ), (*CALLER, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "owner")),
    Operation("GET", "/api/user/balance", "readBalance", "PoYo", "Credits left on the account", (
        Answer(200, "As of the last minute.", compat.Envelope[compat.Balance]),
    ), CALLER, ("owner",)),
    Operation("GET", "/openapi.json", "readContract", "Service", "This document", (
        Answer(200, "OpenAPI 3.1.", dict[str, Any]),
    ), (p.INTERNAL_ERROR,), public=True),
    Operation("GET", "/health", "health", "Service", "Alive; asks nobody else", (
        Answer(200, "Alive.", dict[str, str]),
    ), (), public=True),
)
# fmt: on
