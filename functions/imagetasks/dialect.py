"""PoYo's own shapes, spoken by us: code written for PoYo needs only another base URL and key.

Sources: PoYo's pages on submit, status, callbacks and errors, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from imagetasks import capability
from imagetasks.picture import EXTENSIONS
from imagetasks.reasons import REASONS
from imagetasks.task import KeptFile, Task

# PoYo's word for the kind of error, by its HTTP status and by what we call it.
TYPES: Mapping[int, str] = {
    400: "validation_error",
    401: "authentication_error",
    402: "insufficient_credits_error",
    403: "permission_denied_error",
    404: "resource_not_found_error",
    405: "validation_error",
    413: "content_too_long_error",
    422: "validation_error",
    429: "rate_limit_error",
}
NAMED_TYPES: Mapping[str, str] = {"moderated": "content_moderation_error"}


def accepted(task: Task) -> dict[str, Any]:
    """What a submit is answered with."""
    return wrapped({
        "task_id": task.task_id,
        "status": task.status,
        "created_time": created_time(task.created_at),
    })  # fmt: skip


def shown(task: Task, *, origin: str) -> dict[str, Any]:
    """The task object, as a status has it in `data` and a callback as its whole body; money and
    progress are floats, as PoYo's are."""
    body: dict[str, Any] = {
        "task_id": task.task_id,
        "status": task.status,
        "progress": float(task.progress or 0),
        "files": [_file(task, n, kept, origin) for n, kept in enumerate(task.files)],
        "created_time": created_time(task.created_at),
    }
    if task.charged is not None:
        body["credits_amount"] = float(task.charged)
    if task.status == "failed":
        reason = REASONS.get(task.reason or "")
        body["error_message"] = reason.message if reason else "The task failed."
    return body


def balance(left: Decimal) -> dict[str, Any]:
    """What is left on the account; whose it is, is nobody's business here."""
    return wrapped({"email": "", "credits_amount": float(left)})


def refused(status: int, code: str, message: str) -> dict[str, Any]:
    """An error as PoYo writes it: the HTTP status is the body's `code`."""
    kind = NAMED_TYPES.get(code) or TYPES.get(status, "server_error")
    return {"code": status, "error": {"message": message, "type": kind}}


def wrapped(data: Mapping[str, Any]) -> dict[str, Any]:
    """A success."""
    return {"code": 200, "data": dict(data)}


def created_time(ms: int) -> str:
    """UTC to the second and, as PoYo's, without saying so."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _file(task: Task, n: int, kept: KeptFile, origin: str) -> dict[str, Any]:
    extension = EXTENSIONS[kept.content_type]
    return {
        "file_url": origin + capability.file_path(task.link_key, task.task_id, n),
        "file_type": "image",
        "format": extension,
        "content_type": kept.content_type,
        "file_name": f"{task.task_id}-{n}.{extension}",
        "file_size": kept.bytes,
    }
