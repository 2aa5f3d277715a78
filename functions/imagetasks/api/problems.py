"""Every problem of the API, one row for each: the only list of codes and statuses, but for those of
orders that PoYo refuses (see error_mapping)."""

from __future__ import annotations

from imagetasks.api.problem_details import Problem

UNAUTHORIZED = Problem(
    401,
    "unauthorized",
    "Send `Authorization: Bearer <key>` with a valid key.",
    challenge="Bearer",
)
INVALID_TOKEN = Problem(
    401,
    "invalid_token",
    "The browser token has expired, was revoked, or is not one of this service. Get a new one.",
    challenge='Bearer error="invalid_token"',
)
INSUFFICIENT_SCOPE = Problem(
    403,
    "insufficient_scope",
    "The browser token has no scope for this request.",
    challenge='Bearer error="insufficient_scope"',
)
SERVER_KEY_REQUIRED = Problem(
    403, "server_key_required", "Only a server key may do this, not a browser token."
)
OWNER_NOT_ALLOWED = Problem(
    403, "owner_not_allowed", "The browser token is for another user than `X-Owner` names."
)
ORIGIN_NOT_ALLOWED = Problem(
    403, "origin_not_allowed", "The browser token is for pages of another origin."
)
MODEL_NOT_ALLOWED = Problem(403, "model_not_allowed", "The browser token is not for this model.")
TOKEN_NOT_FOUND = Problem(404, "no_such_token", "No such browser token.")
INVALID_REQUEST = Problem(422, "invalid_request", "The request body is not valid.")
ROUTE_NOT_FOUND = Problem(404, "no_such_route", "No such route.")
METHOD_NOT_ALLOWED = Problem(
    405, "method_not_allowed", "This route does not support the request's method."
)
MODEL_NOT_FOUND = Problem(404, "no_such_model", "No such model.")
TASK_NOT_FOUND = Problem(404, "no_such_task", "No such task.")
SCOPE_NOT_FOUND = Problem(
    404,
    "no_such_scope",
    "No such scope of a budget. There are `stack`, `key`, `owner` and `owner:{user}`, with a user as "
    "`X-Owner` names it: 1 to 128 letters, digits and any of . _ ~ @ : | + -",
)
FILE_NOT_FOUND = Problem(404, "no_such_file", "The task has no such file, or does not have it yet.")
FILE_EXPIRED = Problem(
    410, "file_expired", "This service keeps images for some days only, and deleted this one."
)
CALLBACK_NOT_FOUND = Problem(404, "not_found", "No such route.")
IDEMPOTENCY_KEY_REQUIRED = Problem(
    400,
    "idempotency_key_required",
    "Send an `Idempotency-Key` header of 1 to 255 printable ASCII characters without a comma. A task costs money, and only "
    "the key tells a repeated request from a second order.",
)
INVALID_ORDER = Problem(422, "invalid_order", "The order is not valid.")
INVALID_PARAMETER = Problem(400, "invalid_parameter", "A query parameter is not valid.")
INVALID_IDEMPOTENCY_KEY = Problem(
    400,
    "invalid_idempotency_key",
    "An `Idempotency-Key` has 1 to 255 printable ASCII characters and no comma: with a comma it cannot be "
    "told from two keys.",
)
INVALID_OWNER = Problem(
    400,
    "invalid_owner",
    "`X-Owner` names one of your users: 1 to 128 letters, digits and any of . _ ~ @ : | + -",
)
BODY_TOO_LARGE = Problem(
    413,
    "body_too_large",
    "The request body is larger than 256 KiB. Send a file with POST /v1/uploads and use the `file_url` "
    "you get, not a data: URL.",
)
TASK_DELETED = Problem(
    410,
    "task_deleted",
    "This Idempotency-Key stands for a task that was deleted. A new order needs a new key.",
    charged=None,
)
IDEMPOTENCY_KEY_REUSED = Problem(
    422,
    "idempotency_key_reused",
    "This Idempotency-Key was used with another body. Another order needs another key.",
)
# `charged` is null where an earlier request with the same key may have been paid for.
NOT_CONFIGURED = Problem(
    503,
    "not_configured",
    "The keys of this deployment are not in place yet.",
    retry="same_key",
    charged=None,
    retry_after_s=0,
)
INTERNAL_ERROR = Problem(
    500,
    "internal",
    "An unexpected error occurred, and the operator has an alarm. The same request may be sent again "
    "later; an order is not paid twice under one Idempotency-Key.",
    retry="same_key",
    charged=None,
    retry_after_s=0,
)
TOO_MANY_ORDERS = Problem(
    429,
    "too_many_orders",
    "As many orders are waiting as PoYo accepts in half an hour. Nothing was ordered: send the same "
    "request again after the time in `Retry-After`.",
    retry="same_key",
)
BUDGET_EXHAUSTED = Problem(
    402,
    "budget_exhausted",
    "A budget has no room for this order, and nothing was ordered.",
)
ORDERS_PAUSED = Problem(
    503,
    "orders_paused",
    "The operator has paused new orders. Nothing was ordered; tasks that exist go on.",
    retry="same_key",
    retry_after_s=0,
)
SERVICE_UNAVAILABLE = Problem(
    503,
    "service_unavailable",
    "Send the same request again in a moment; an order is not paid twice under one Idempotency-Key.",
    retry="same_key",
    charged=None,
)
