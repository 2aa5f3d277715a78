"""Parameters and response headers of the API, with their schemas and descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagetasks.api import pagination, request, usage_request
from imagetasks.poyo import catalog
from imagetasks.tasks.budgets import MAX_DURATION_MS
from imagetasks.tasks.caller import TOKEN_ID
from imagetasks.tasks.signed_urls import PART
from imagetasks.tasks.task import TASK_ID
from openapi.offered import MODELS

Schema = dict[str, Any]
IDEMPOTENCY_KEY = r"^[!-+\--~](?:[ -+\--~]{0,253}[!-+\--~])?$"
KEY_DESCRIPTION = (
    "1 to 255 printable ASCII characters of your choice, without a comma. The same key with the same body returns the same task;"
    " with another body it is an error (`idempotency_key_reused`)."
)
INTEGER_TEXT = {"type": "string", "pattern": f"^{catalog.INTEGER.pattern}$"}


def matching(pattern: str) -> Schema:
    """A string that matches the whole pattern."""
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def integer(minimum: int, maximum: int, default: int | None = None) -> Schema:
    """An integer within bounds, both included."""
    given = {} if default is None else {"default": default}
    return {"type": "integer", "minimum": minimum, "maximum": maximum, **given}


DAY = {"format": "date", **matching(usage_request.DAY.pattern)}

# By our own name: location, public name, schema, description. Path parameters are always required.
PARAMETERS: Mapping[str, tuple[str, str, Schema, str]] = {
    "task_id": (
        "path",
        "task_id",
        matching(TASK_ID.pattern),
        "The `task_id` in the response to an order.",
    ),
    "token_id": (
        "path",
        "token_id",
        matching(TOKEN_ID.pattern),
        "The `token_id` in the response to `POST /v1/tokens`.",
    ),
    "scope": (
        "path",
        "scope",
        matching(rf"stack|key|owner(?::{request.USER.pattern})?"),
        "Whose budget: `stack`, the calling key's, its owner's (the user of `X-Owner`), or a user's.",
    ),
    "n": ("path", "n", integer(0, 99), "Index of the image, from 0."),
    "mac": ("path", "mac", matching(PART.pattern), "The token at the end of a `file_url`."),
    "model": (
        "path",
        "model",
        {"type": "string", "enum": list(MODELS)},
        "Name of the model.",
    ),
    "key": (
        "header",
        "Idempotency-Key",
        {"type": "string", "pattern": IDEMPOTENCY_KEY},
        KEY_DESCRIPTION,
    ),
    "optional_key": (
        "header",
        "Idempotency-Key",
        {"type": "string", "pattern": IDEMPOTENCY_KEY},
        f"{KEY_DESCRIPTION} Without a key every order creates a new task; an empty one is refused.",
    ),
    "owner": (
        "header",
        "X-Owner",
        matching(request.USER.pattern),
        "The user that the request acts for. Each user sees only their own tasks and uploads.",
    ),
    "known": (
        "header",
        "If-None-Match",
        {"type": "string"},
        "The `ETag` of an earlier response. The response is 304 if nothing has changed.",
    ),
    "wait": (
        "query",
        "wait",
        integer(0, pagination.MAX_WAIT_S, 0),
        "Seconds to wait for a change of the body that `If-None-Match` names, else of the status.",
    ),
    "download": (
        "query",
        "download",
        integer(0, 1, 0),
        "1: the browser saves the image instead of showing it.",
    ),
    "status": (
        "query",
        "status",
        {"type": "string", "enum": list(pagination.STATUSES)},
        "Only tasks with this status.",
    ),
    "task_ids": (
        "query",
        "task_ids",
        matching(rf"{TASK_ID.pattern}(?:,{TASK_ID.pattern}){{0,{pagination.MAX_TASK_IDS - 1}}}"),
        f"1 to {pagination.MAX_TASK_IDS} task ids, separated by commas: these tasks instead of a page. Not with `status`, `limit` or `cursor`.",
    ),
    "wait_for_any": (
        "query",
        "wait",
        integer(0, pagination.MAX_WAIT_S, 0),
        "Only with `task_ids`. Seconds to wait for a change of the body that `If-None-Match` names, else of any task's status.",
    ),
    "limit": (
        "query",
        "limit",
        integer(1, pagination.MAX_PAGE_SIZE, pagination.DEFAULT_PAGE_SIZE),
        "Maximum number of tasks in the page. A page with fewer is not necessarily the last one.",
    ),
    "cursor": (
        "query",
        "cursor",
        {"type": "string", "format": "cursor", "maxLength": pagination.MAX_CURSOR_CHARS},
        "The `next_cursor` of the previous page.",
    ),
    "from": (
        "query",
        "from",
        DAY,
        "The first day, in UTC: by default seven days end with `to`, at most 92.",
    ),
    "to": ("query", "to", DAY, "The last day, in UTC; today by default."),
    "usage.limit": (
        "query",
        "limit",
        integer(1, pagination.MAX_PAGE_SIZE, pagination.MAX_PAGE_SIZE),
        "Maximum number of rows in the page.",
    ),
    "usage.cursor": (
        "query",
        "cursor",
        {"type": "string", "format": "cursor", "maxLength": usage_request.MAX_CURSOR_CHARS},
        "The `next_cursor` of the previous page, with the same `from` and `to`.",
    ),
    "models.limit": (
        "query",
        "limit",
        integer(1, 99999, catalog.DEFAULT_PAGE_SIZE),
        "Maximum number of models in the page.",
    ),
    "models.cursor": ("query", "cursor", INTEGER_TEXT, "The `next_cursor` of the previous page."),
    "models.category": ("query", "category", {"type": "string"}, "Only models of this category."),
    "models.service_type": (
        "query",
        "service_type",
        {"type": "string"},
        "Only models of this service type.",
    ),
    "models.q": (
        "query",
        "q",
        {"type": "string"},
        "Only models that contain these words in any field.",
    ),
    "models.tags": (
        "query",
        "tags",
        {"type": "string"},
        "Only models with all of these tags, separated by commas.",
    ),
}

# Response headers: schema and description.
HEADERS: Mapping[str, tuple[Schema, str]] = {
    "Location": ({"type": "string", "format": "uri-reference"}, "URL of the task, token or image."),
    "Retry-After": (
        integer(1, MAX_DURATION_MS // 1000),
        "Seconds to wait before the next request: until a budget is reset it may be days.",
    ),
    "ETag": (
        {"type": "string"},
        "Identifies this version of the response body, for `If-None-Match`.",
    ),
    "Idempotent-Replayed": (
        {"type": "string", "const": "true"},
        "The task existed already; nothing was sent to PoYo.",
    ),
    "Cache-Control": (
        {"type": "string"},
        "`no-store`, as for every response but the redirect of a `file_url`: it may be stored for an hour.",
    ),
    "WWW-Authenticate": (
        {"type": "string"},
        "`Bearer`, with an `error` (RFC 6750) if the request had a browser token.",
    ),
}
