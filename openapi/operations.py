"""The table of operations: one entry for each route, from which openapi.json is generated.

No deployed module imports it: the API serves the file that `python -m openapi` writes. A test compares every
response that is declared here with the responses of the running handlers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from imagetasks.api import error_mapping, order_request, schemas
from imagetasks.api import problems as p
from imagetasks.api.field_errors import UNKNOWN_MODEL
from imagetasks.api.problem_details import Problem
from imagetasks.poyo import catalog, compat


@dataclass(frozen=True, slots=True)
class Success:
    """A response without a problem. A name in `headers` that ends with `?` is an optional header."""

    status: int
    description: str
    body: Any = None
    headers: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] | None = None  # operation id to its parameters


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `parameters` are names in PARAMETERS; `request_model` is the model of the body."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    successes: tuple[Success, ...]
    problems: tuple[Problem, ...]
    parameters: tuple[str, ...] = ()
    request_model: (
        type[order_request.CreateTaskRequest | order_request.CreateUploadRequest] | None
    ) = None
    public: bool = False


def task_links(task_id: str) -> Mapping[str, Mapping[str, str]]:
    """Links to the operations on a task. `task_id` is the JSON pointer of its id in the response body."""
    by_id: Mapping[str, str] = {"task_id": f"$response.body#{task_id}"}
    operations = ("readTask", "readPoyoTask", "deleteTask")
    return dict.fromkeys(operations, by_id) | {"readFile": {**by_id, "n": "0"}}


SERVER_ERRORS = (p.INTERNAL_ERROR, p.SERVICE_UNAVAILABLE)
AUTHENTICATED = (p.UNAUTHORIZED, p.INVALID_OWNER, p.NOT_CONFIGURED, *SERVER_ERRORS)
BODY = (p.BODY_TOO_LARGE, p.INVALID_ORDER, p.INVALID_PARAMETER)
ORDER = (
    *BODY,
    p.INVALID_IDEMPOTENCY_KEY,
    p.IDEMPOTENCY_KEY_REUSED,
    p.TASK_DELETED,
    p.TOO_MANY_ORDERS,
    p.BUDGET_EXHAUSTED,
    p.ORDERS_PAUSED,
    *error_mapping.SUBMISSION_PROBLEMS,
)
NO_SUCH_MODEL = replace(p.INVALID_ORDER, errors=[UNKNOWN_MODEL])

TASK, TASK_HEADERS = schemas.TaskBody, ("Location", "Retry-After?")
SUBMITTED = compat.Envelope[compat.SubmitBody]
FILE = Success(
    302,
    "A redirect to a presigned URL of the image, the same one for an hour.",
    None,
    ("Location", "Cache-Control"),
)
NOT_MODIFIED = Success(304, "Unchanged: the `ETag` is the one in `If-None-Match`.", None, ("ETag",))
TASK_NOT_MODIFIED = replace(NOT_MODIFIED, headers=("ETag", "Retry-After?"))

QUERY = tuple(f"models.{name}" for name in catalog.QUERY)

# fmt: off
OPERATIONS = (
    Operation("POST", "/v1/tasks", "createTask", "Tasks", "Order one image for each Idempotency-Key", (
        Success(202, "Accepted.", TASK, TASK_HEADERS, task_links("/task_id")),
        Success(200, "Already accepted under this key; nothing is paid again.", TASK,
               (*TASK_HEADERS, "Idempotent-Replayed"), task_links("/task_id")),
    ), (*AUTHENTICATED, p.IDEMPOTENCY_KEY_REQUIRED, *ORDER), ("key", "owner"), order_request.CreateTaskRequest),
    Operation("GET", "/v1/tasks", "listTasks", "Tasks", "List your tasks, newest first", (
        Success(200, "One page.", schemas.TaskListBody, ("ETag",), task_links("/tasks/0/task_id")), NOT_MODIFIED,
    ), (*AUTHENTICATED, p.INVALID_PARAMETER), ("status", "limit", "cursor", "known", "owner")),
    Operation("GET", "/v1/tasks/{task_id}", "readTask", "Tasks", "Read a task, or wait until it changes", (
        Success(200, "The task.", TASK, ("ETag", "Retry-After?")), TASK_NOT_MODIFIED,
    ), (*AUTHENTICATED, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "wait", "known", "owner")),
    Operation("DELETE", "/v1/tasks/{task_id}", "deleteTask", "Tasks", "Delete a task's prompt and images", (
        Success(204, "Deleted, now or earlier. Charged credits are not refunded."),
    ), (*AUTHENTICATED, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "owner")),
    Operation("GET", "/v1/tasks/{task_id}/files/{n}", "readFile", "Files", "Read an image with a server key",
              (FILE,), (*AUTHENTICATED, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.FILE_NOT_FOUND, p.FILE_EXPIRED, p.ROUTE_NOT_FOUND),
              ("task_id", "n", "download", "owner")),
    Operation("GET", "/files/{task_id}/{n}/{mac}", "openLink", "Files", "Read an image by its `file_url`",
              (FILE,), (*SERVER_ERRORS, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.FILE_EXPIRED, p.ROUTE_NOT_FOUND),
              ("task_id", "n", "mac", "download"), public=True),
    Operation("POST", "/v1/uploads", "createUpload", "Files", "Upload a reference image", (
        Success(201, "A presigned form for one file, and the URL for it in an order.", schemas.UploadBody),
    ), (*AUTHENTICATED, *BODY), ("owner",), order_request.CreateUploadRequest),
    Operation("POST", "/v1/quotes", "quote", "Tasks", "Estimate what an order costs; nothing is sent to PoYo", (
        Success(200, "The estimate.", schemas.Quote),
    ), (*AUTHENTICATED, *BODY), ("owner",), order_request.CreateTaskRequest),
    Operation("GET", "/v1/catalog/models", "listModels", "PoYo", "List all models, in PoYo's format", (
        Success(200, "One page.", compat.Envelope[catalog.ModelPage], ("ETag",)), NOT_MODIFIED,
    ), (p.INTERNAL_ERROR, p.INVALID_PARAMETER), (*QUERY, "known"), public=True),
    Operation("GET", "/v1/catalog/models/{model}", "readModel", "PoYo", "Read a model, in PoYo's format", (
        Success(200, "The model.", compat.Envelope[catalog.ModelEntry], ("ETag",)), NOT_MODIFIED,
    ), (p.INTERNAL_ERROR, p.MODEL_NOT_FOUND, p.ROUTE_NOT_FOUND), ("model", "known"), public=True),
    Operation("POST", "/api/generate/submit", "submitPoyoTask", "PoYo", "Order an image, in PoYo's format", (
        Success(200, "Accepted.", SUBMITTED, ("Idempotent-Replayed?",), task_links("/data/task_id")),
    ), (*AUTHENTICATED, *ORDER, NO_SUCH_MODEL), ("optional_key", "owner"), order_request.CreateTaskRequest),
    Operation("GET", "/api/generate/status/{task_id}", "readPoyoTask", "PoYo", "Read a task, in PoYo's format", (
        Success(200, "The task.", compat.Envelope[compat.PoyoTask]),
    ), (*AUTHENTICATED, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "owner")),
    Operation("GET", "/api/user/balance", "readBalance", "PoYo", "Read the credits left on the PoYo account", (
        Success(200, "The balance, at most one minute old.", compat.Envelope[compat.Balance]),
    ), AUTHENTICATED, ("owner",)),
    Operation("GET", "/openapi.json", "readContract", "Service", "This document", (
        Success(200, "OpenAPI 3.1.", dict[str, Any]),
    ), (p.INTERNAL_ERROR,), public=True),
    Operation("GET", "/health", "health", "Service", "Health check; calls no other service", (
        Success(200, "The function runs.", dict[str, str]),
    ), (), public=True),
)
# fmt: on
