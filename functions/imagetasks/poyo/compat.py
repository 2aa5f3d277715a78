"""PoYo's own shapes, spoken by us: code written for PoYo needs only another base URL and key.

Sources: PoYo's pages on submit, status, callbacks and errors, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal, NotRequired, TypedDict

from imagetasks.api.schemas import ContentType, TaskId
from imagetasks.json_schema import Count, JsonSchema, Number, Uri
from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.task import Status, StoredImage, Task

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
INVALID_IMAGE = "no_picture"
NAMED_TYPES: Mapping[str, str] = {
    "moderated": "content_moderation_error",
    INVALID_IMAGE: "file_format_error",
}
OTHER_TYPE = "server_error"

ErrorType = Annotated[
    str, JsonSchema(enum=[*dict.fromkeys([*TYPES.values(), *NAMED_TYPES.values(), OTHER_TYPE])])
]
NaiveTimestamp = Annotated[
    str,
    JsonSchema(
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$",
        description="UTC to the second, without saying so, as PoYo has it.",
    ),
]


class Envelope[T](TypedDict):
    """A success as PoYo wraps it."""

    code: Literal[200]
    data: T


class SubmitBody(TypedDict):
    """What a submit is answered with."""

    task_id: TaskId
    status: Status
    created_time: NaiveTimestamp


class PoyoFile(TypedDict):
    """An image in our bucket, as PoYo would name it; the link stays as long as the task."""

    file_url: Uri
    file_type: Literal["image"]
    format: str
    content_type: ContentType
    file_name: str
    file_size: Count


class PoyoTask(TypedDict):
    """The task object; money and progress are floats, as PoYo's are."""

    task_id: TaskId
    status: Status
    progress: Number
    files: list[PoyoFile]
    created_time: NaiveTimestamp
    credits_amount: Number | None
    error_message: NotRequired[str]


class Balance(TypedDict):
    """What is left on the account at PoYo; `email` is always empty."""

    email: str
    credits_amount: float


class ErrorDetail(TypedDict):
    """What went wrong, in a sentence and in PoYo's word for its kind."""

    message: str
    type: ErrorType


class PoyoError(TypedDict):
    """An error as PoYo writes it: `code` is the HTTP status."""

    code: Annotated[int, JsonSchema(minimum=400, maximum=599)]
    error: ErrorDetail


def submit_body(task: Task) -> Envelope[SubmitBody]:
    """What a submit is answered with."""
    said: SubmitBody = {
        "task_id": task.task_id,
        "status": task.status,
        "created_time": created_time(task.created_at),
    }
    return envelope(said)


def task_body(task: Task, *, origin: str) -> PoyoTask:
    """The task object, as a status has it in `data` and a callback as its whole body."""
    body: PoyoTask = {
        "task_id": task.task_id,
        "status": task.status,
        "progress": float(task.progress or 0),
        "files": [_file(task, n, kept, origin) for n, kept in enumerate(task.files)],
        "created_time": created_time(task.created_at),
        "credits_amount": _credits(task),
    }
    if task.status == "failed":
        reason = REASONS.get(task.reason or "")
        body["error_message"] = reason.message if reason else "The task failed."
    return body


def balance_body(left: Decimal) -> Envelope[Balance]:
    """What is left on the account; whose it is, is nobody's business here."""
    said: Balance = {"email": "", "credits_amount": float(left)}
    return envelope(said)


def refused(status: int, code: str, message: str) -> PoyoError:
    """An error as PoYo writes it: the HTTP status is the body's `code`."""
    kind = NAMED_TYPES.get(code) or TYPES.get(status, OTHER_TYPE)
    return {"code": status, "error": {"message": message, "type": kind}}


def envelope[T](data: T) -> Envelope[T]:
    """A success."""
    return {"code": 200, "data": data}


def created_time(ms: int) -> str:
    """UTC to the second and, as PoYo's, without saying so."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _credits(task: Task) -> float | None:
    """What was charged: nothing for most failures, null as long as nobody knows."""
    if task.charged_credits is not None:
        return float(task.charged_credits)
    reason = REASONS.get(task.reason or "") if task.status == "failed" else None
    return 0.0 if reason and reason.charged is False else None


def _file(task: Task, n: int, kept: StoredImage, origin: str) -> PoyoFile:
    extension = EXTENSIONS[kept.content_type]
    return {
        "file_url": origin + signed_urls.file_path(task.file_url_key, task.task_id, n),
        "file_type": "image",
        "format": extension,
        "content_type": kept.content_type,
        "file_name": f"{task.task_id}-{n}.{extension}",
        "file_size": kept.bytes,
    }
