"""Responses in PoYo's own shapes: code written for PoYo needs only another base URL and key.

Sources: PoYo's pages on submit, status, callbacks and errors, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal, NotRequired, TypedDict

from imagetasks.json_schema import Count, JsonSchema, Number, Uri
from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS, charged_credits
from imagetasks.tasks.image_format import EXTENSIONS, ContentType
from imagetasks.tasks.task import Status, StoredImage, Task, TaskId

# PoYo's `type` of an error, by HTTP status and by our own code.
TYPE_BY_STATUS: Mapping[int, str] = {
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
INVALID_IMAGE = "invalid_image"
TYPE_BY_CODE: Mapping[str, str] = {
    "moderated": "content_moderation_error",
    INVALID_IMAGE: "file_format_error",
}
DEFAULT_TYPE = "server_error"

ErrorType = Annotated[
    str,
    JsonSchema(
        enum=[*dict.fromkeys([*TYPE_BY_STATUS.values(), *TYPE_BY_CODE.values(), DEFAULT_TYPE])]
    ),
]
NaiveTimestamp = Annotated[
    str,
    JsonSchema(
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$",
        description="UTC to the second without a zone designator, as in PoYo's API.",
    ),
]


class Envelope[T](TypedDict):
    """PoYo's envelope of a success."""

    code: Literal[200]
    data: T


class SubmitBody(TypedDict):
    """The response to a submit."""

    task_id: TaskId
    status: Status
    created_time: NaiveTimestamp


class PoyoFile(TypedDict):
    """An image in our bucket in PoYo's shape; the URL works as long as the task exists."""

    file_url: Uri
    file_type: Literal["image"]
    format: str
    content_type: ContentType
    file_name: str
    file_size: Count


class PoyoTask(TypedDict):
    """The task object; credits and progress are floats, as in PoYo's API."""

    task_id: TaskId
    status: Status
    progress: Number
    files: list[PoyoFile]
    created_time: NaiveTimestamp
    credits_amount: Number | None
    error_message: NotRequired[str]


class Balance(TypedDict):
    """Credits left on the account at PoYo; `email` is always empty."""

    email: str
    credits_amount: float


class ErrorDetail(TypedDict):
    """What went wrong, as a sentence and as one of PoYo's error types."""

    message: str
    type: ErrorType


class PoyoError(TypedDict):
    """PoYo's error body: `code` is the HTTP status."""

    code: Annotated[int, JsonSchema(minimum=400, maximum=599)]
    error: ErrorDetail


def submit_body(task: Task) -> Envelope[SubmitBody]:
    """The response to a submit."""
    body: SubmitBody = {
        "task_id": task.task_id,
        "status": task.status,
        "created_time": created_time(task.created_at),
    }
    return envelope(body)


def task_body(task: Task, *, public_base_url: str) -> PoyoTask:
    """The task object: `data` of a status response, or the whole body of a notification."""
    charged = charged_credits(task)
    body: PoyoTask = {
        "task_id": task.task_id,
        "status": task.status,
        "progress": float(task.progress or 0),
        "files": [_file(task, image, public_base_url) for image in task.files],
        "created_time": created_time(task.created_at),
        "credits_amount": None if charged is None else float(charged),
    }
    if task.status == "failed":
        reason = REASONS.get(task.reason or "")
        body["error_message"] = reason.message if reason else "The task failed."
    return body


def balance_body(left: Decimal) -> Envelope[Balance]:
    """Credits left on the account, without the account's e-mail address."""
    body: Balance = {"email": "", "credits_amount": float(left)}
    return envelope(body)


def error_body(status: int, code: str, message: str) -> PoyoError:
    """An error in PoYo's shape: the body's `code` is the HTTP status."""
    error_type = TYPE_BY_CODE.get(code) or TYPE_BY_STATUS.get(status, DEFAULT_TYPE)
    return {"code": status, "error": {"message": message, "type": error_type}}


def envelope[T](data: T) -> Envelope[T]:
    """A success in PoYo's shape."""
    return {"code": 200, "data": data}


def created_time(ms: int) -> str:
    """UTC to the second without a zone designator, as in PoYo's API."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _file(task: Task, image: StoredImage, public_base_url: str) -> PoyoFile:
    extension, n = EXTENSIONS[image.content_type], image.number
    return {
        "file_url": public_base_url + signed_urls.file_path(task.file_url_key, task.task_id, n),
        "file_type": "image",
        "format": extension,
        "content_type": image.content_type,
        "file_name": f"{task.task_id}-{n}.{extension}",
        "file_size": image.bytes,
    }
