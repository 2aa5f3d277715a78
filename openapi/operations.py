"""The table of operations: one entry for each route, from which openapi.json is generated.

No deployed module imports it: the API serves the file that `python -m openapi` writes. A test compares every
response that is declared here with the responses of the running handlers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from imagetasks.api import (
    budget_bodies,
    budget_request,
    error_mapping,
    order_request,
    quote_bodies,
    schemas,
    token_bodies,
    token_request,
    usage_bodies,
)
from imagetasks.api import problems as p
from imagetasks.api.authentication import Scope
from imagetasks.api.field_errors import unknown_model
from imagetasks.api.problem_details import Problem
from imagetasks.poyo import catalog, compat
from openapi.offered import MODELS


@dataclass(frozen=True, slots=True)
class Success:
    """A response without a problem. A name in `headers` that ends with `?` is an optional header."""

    status: int
    description: str
    body: Any = None
    headers: tuple[str, ...] = ()
    links: Mapping[str, Mapping[str, str]] | None = None  # operation id to its parameters


SERVER_KEY: Literal["server key"] = "server key"
PUBLIC: Literal["public"] = "public"
Access = Literal["server key", "public"] | Scope  # a scope: server keys, and tokens that have it


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
    request_model: type[Any] | None = None
    access: Access = SERVER_KEY


def task_links(task_id: str) -> Mapping[str, Mapping[str, str]]:
    """Links to the operations on a task. `task_id` is the JSON pointer of its id in the response body."""
    by_id: Mapping[str, str] = {"task_id": f"$response.body#{task_id}"}
    operations = ("readTask", "readPoyoTask", "deleteTask")
    return dict.fromkeys(operations, by_id) | {"readFile": {**by_id, "n": "0"}}


SERVER_ERRORS = (p.INTERNAL_ERROR, p.SERVICE_UNAVAILABLE)
AUTHENTICATED = (
    p.UNAUTHORIZED,
    p.INVALID_TOKEN,
    p.OWNER_NOT_ALLOWED,
    p.ORIGIN_NOT_ALLOWED,
    p.INVALID_OWNER,
    p.NOT_CONFIGURED,
    *SERVER_ERRORS,
)
WITH_SCOPE = (*AUTHENTICATED, p.INSUFFICIENT_SCOPE)
WITH_SERVER_KEY = (*AUTHENTICATED, p.SERVER_KEY_REQUIRED)
BODY = (p.BODY_TOO_LARGE, p.INVALID_ORDER, p.INVALID_PARAMETER)
TOKEN = (p.TOKEN_NOT_FOUND, p.INVALID_PARAMETER, p.ROUTE_NOT_FOUND)
ORDER = (
    *BODY,
    p.MODEL_NOT_ALLOWED,
    p.INVALID_IDEMPOTENCY_KEY,
    p.IDEMPOTENCY_KEY_REUSED,
    p.TASK_DELETED,
    p.TOO_MANY_ORDERS,
    p.BUDGET_EXHAUSTED,
    p.ORDERS_PAUSED,
    *error_mapping.SUBMISSION_PROBLEMS,
)
NO_SUCH_MODEL = replace(p.INVALID_ORDER, errors=[unknown_model(MODELS)])

TASK, TASK_HEADERS = schemas.TaskBody, ("Location", "Retry-After?")
BUDGET = budget_bodies.BudgetBody
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
    ), (*WITH_SCOPE, p.IDEMPOTENCY_KEY_REQUIRED, *ORDER), ("key", "owner"), order_request.CreateTaskRequest, access="tasks:write"),
    Operation("GET", "/v1/tasks", "listTasks", "Tasks", "List your tasks, newest first, or follow those that you name", (
        Success(200, "One page, or the named tasks.", schemas.TaskListBody, ("ETag", "Retry-After?"), task_links("/tasks/0/task_id")), TASK_NOT_MODIFIED,
    ), (*WITH_SCOPE, p.INVALID_PARAMETER), ("status", "limit", "cursor", "task_ids", "wait_for_any", "known", "owner"), access="tasks:read"),
    Operation("GET", "/v1/tasks/{task_id}", "readTask", "Tasks", "Read a task, or wait until it changes", (
        Success(200, "The task.", TASK, ("ETag", "Retry-After?")), TASK_NOT_MODIFIED,
    ), (*WITH_SCOPE, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "wait", "known", "owner"), access="tasks:read"),
    Operation("DELETE", "/v1/tasks/{task_id}", "deleteTask", "Tasks", "Delete a task's prompt and images", (
        Success(204, "Deleted, now or earlier. Charged credits are not refunded."),
    ), (*WITH_SCOPE, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "owner"), access="tasks:write"),
    Operation("GET", "/v1/tasks/{task_id}/files/{n}", "readFile", "Files", "Read an image with a server key",
              (FILE,), (*WITH_SCOPE, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.FILE_NOT_FOUND, p.FILE_EXPIRED, p.ROUTE_NOT_FOUND),
              ("task_id", "n", "download", "owner"), access="tasks:read"),
    Operation("GET", "/files/{task_id}/{n}/{mac}", "openLink", "Files", "Read an image by its `file_url`",
              (FILE,), (*SERVER_ERRORS, p.INVALID_PARAMETER, p.TASK_NOT_FOUND, p.FILE_EXPIRED, p.ROUTE_NOT_FOUND),
              ("task_id", "n", "mac", "download"), access=PUBLIC),
    Operation("POST", "/v1/uploads", "createUpload", "Files", "Upload a reference image", (
        Success(201, "A presigned form for one file, and the URL for it in an order.", schemas.UploadBody),
    ), (*WITH_SCOPE, *BODY), ("owner",), order_request.CreateUploadRequest, access="uploads:write"),
    Operation("POST", "/v1/quotes", "quote", "Tasks", "Estimate what an order costs; nothing is sent to PoYo", (
        Success(200, "The estimate.", quote_bodies.Quote),
    ), (*WITH_SCOPE, *BODY, p.MODEL_NOT_ALLOWED), ("owner",), order_request.CreateTaskRequest, access="quotes"),
    Operation("POST", "/v1/tokens", "createToken", "Tokens", "Issue a browser token for one of your users", (
        Success(201, "The token; its text is not shown again.", token_bodies.CreatedTokenBody, ("Location", "Cache-Control"),
               {name: {"token_id": "$response.body#/token_id"} for name in ("readToken", "revokeToken")}),  # nosec B105  # a JSON pointer
    ), (*WITH_SERVER_KEY, p.BODY_TOO_LARGE, p.INVALID_REQUEST, p.INVALID_PARAMETER), (), token_request.CreateTokenRequest),
    Operation("GET", "/v1/tokens/{token_id}", "readToken", "Tokens", "Read a browser token's limits and what it has spent", (
        Success(200, "The token, without its text.", token_bodies.TokenBody),
    ), (*WITH_SERVER_KEY, *TOKEN), ("token_id", "owner")),
    Operation("DELETE", "/v1/tokens/{token_id}", "revokeToken", "Tokens", "Revoke a browser token at once", (
        Success(204, "Revoked, now or earlier. Tasks that it ordered go on."),
    ), (*WITH_SERVER_KEY, *TOKEN), ("token_id", "owner")),
    Operation("GET", "/v1/budgets/{scope}", "readBudget", "Budgets", "Read a budget and what is left of it", (
        Success(200, "The budget that counts now, with nulls if there is none.", BUDGET, ("ETag",)), NOT_MODIFIED,
    ), (*WITH_SERVER_KEY, p.INVALID_PARAMETER, p.SCOPE_NOT_FOUND, p.ROUTE_NOT_FOUND), ("scope", "known", "owner")),
    Operation("PUT", "/v1/budgets/{scope}", "setBudget", "Budgets", "Set a budget", (
        Success(200, "The budget, in effect for every later order.", BUDGET),
    ), (*WITH_SERVER_KEY, p.BODY_TOO_LARGE, p.INVALID_REQUEST, p.INVALID_PARAMETER, p.SCOPE_NOT_FOUND, p.ROUTE_NOT_FOUND), ("scope", "owner"), budget_request.BudgetRequest),
    Operation("DELETE", "/v1/budgets/{scope}", "removeBudget", "Budgets", "Remove a budget", (
        Success(204, "There is none, or only the deployment's own. What was spent stays recorded."),
    ), (*WITH_SERVER_KEY, p.INVALID_PARAMETER, p.SCOPE_NOT_FOUND, p.ROUTE_NOT_FOUND), ("scope", "owner")),
    Operation("GET", "/v1/usage", "listUsage", "Budgets", "List what was ordered and charged, by day, owner and model", (
        Success(200, "One page.", usage_bodies.UsageBody, ("ETag",)), NOT_MODIFIED,
    ), (*WITH_SCOPE, p.INVALID_PARAMETER), ("from", "to", "usage.limit", "usage.cursor", "known", "owner"), access="tasks:read"),
    Operation("GET", "/v1/catalog/models", "listModels", "PoYo", "List all models, in PoYo's format", (
        Success(200, "One page.", compat.Envelope[catalog.ModelPage], ("ETag",)), NOT_MODIFIED,
    ), (p.INTERNAL_ERROR, p.INVALID_PARAMETER), (*QUERY, "known"), access=PUBLIC),
    Operation("GET", "/v1/catalog/models/{model}", "readModel", "PoYo", "Read a model, in PoYo's format", (
        Success(200, "The model.", compat.Envelope[catalog.ModelEntry], ("ETag",)), NOT_MODIFIED,
    ), (p.INTERNAL_ERROR, p.MODEL_NOT_FOUND, p.ROUTE_NOT_FOUND), ("model", "known"), access=PUBLIC),
    Operation("POST", "/api/generate/submit", "submitPoyoTask", "PoYo", "Order an image, in PoYo's format", (
        Success(200, "Accepted.", SUBMITTED, ("Idempotent-Replayed?",), task_links("/data/task_id")),
    ), (*WITH_SCOPE, *ORDER, NO_SUCH_MODEL), ("optional_key", "owner"), order_request.CreateTaskRequest, access="tasks:write"),
    Operation("GET", "/api/generate/status/{task_id}", "readPoyoTask", "PoYo", "Read a task, in PoYo's format", (
        Success(200, "The task.", compat.Envelope[compat.PoyoTask]),
    ), (*WITH_SCOPE, p.TASK_NOT_FOUND, p.ROUTE_NOT_FOUND), ("task_id", "owner"), access="tasks:read"),
    Operation("GET", "/api/user/balance", "readBalance", "PoYo", "Read the credits left on the PoYo account", (
        Success(200, "The balance, at most one minute old.", compat.Envelope[compat.Balance]),
    ), WITH_SERVER_KEY, ("owner",)),
    Operation("GET", "/openapi.json", "readContract", "Service", "This document", (
        Success(200, "OpenAPI 3.1.", dict[str, Any]),
    ), (p.INTERNAL_ERROR,), access=PUBLIC),
    Operation("GET", "/health", "health", "Service", "Health check; calls no other service", (
        Success(200, "The function runs.", dict[str, str]),
    ), (), access=PUBLIC),
)
# fmt: on
