"""A task as the outside sees it: PoYo's four words, our clock in RFC 3339, money in credits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

from imagetasks.json_schema import Count, Instant, JsonSchema, Number, Uri
from imagetasks.poyo import models
from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.image_reference import ID, SCHEME
from imagetasks.tasks.task import TASK_ID, Status, StoredImage, Task

TaskId = Annotated[str, JsonSchema(pattern=f"^{TASK_ID.pattern}$")]
ContentType = Annotated[str, JsonSchema(enum=list(EXTENSIONS))]
Reason = Annotated[str, JsonSchema(enum=list(REASONS))]
Sha256 = Annotated[str, JsonSchema(pattern="^[0-9a-f]{64}$")]
UploadAddress = Annotated[str, JsonSchema(pattern=f"^{SCHEME}{ID.pattern}$")]


class Credits(TypedDict):
    """Money in PoYo's credits; `charged` is null until PoYo has said it."""

    estimated: Number
    charged: Number | None


class FileBody(TypedDict):
    """An image in our bucket. `file_url` needs no key and is good as long as the task is there."""

    file_url: Uri
    file_type: Literal["image"]
    content_type: ContentType
    bytes: Count
    width: Count
    height: Count
    sha256: Sha256


class ErrorBody(TypedDict):
    """Why it failed; `charged` is null when nobody knows."""

    code: Reason
    message: str
    retryable: bool
    charged: bool | None


class HistoryEntry(TypedDict):
    """One step of its life."""

    at: Instant
    event: str


class OrderWarning(TypedDict):
    """What is allowed, but perhaps not meant."""

    pointer: str
    detail: str


class InputBody(TypedDict):
    """What was ordered, defaults filled in."""

    prompt: str
    quality: str
    size: str
    resolution: models.Resolution
    image_urls: NotRequired[Sequence[str]]


class TaskBody(TypedDict):
    """A task; instants are RFC 3339 in UTC."""

    task_id: TaskId
    status: Status
    progress: Number
    model: str
    input: InputBody
    metadata: Mapping[str, str]
    credits: Credits
    files: Sequence[FileBody]
    error: ErrorBody | None
    warnings: Sequence[OrderWarning]
    history: Sequence[HistoryEntry]
    created_at: Instant
    updated_at: Instant
    finished_at: Instant | None


class TaskPage(TypedDict):
    """Tasks, newest first; `next_cursor` is null on the last page."""

    tasks: Sequence[TaskBody]
    next_cursor: str | None


class Quote(TypedDict):
    """What an order would cost; nothing was sent."""

    model: str
    credits: Number
    billed_resolution: models.Resolution
    warnings: Sequence[OrderWarning]


class UploadForm(TypedDict):
    """Where and how to send the file: `fields` first, then the file as `file`, multipart/form-data."""

    method: Literal["POST"]
    url: Uri
    fields: Mapping[str, str]


class UploadBody(TypedDict):
    """Leave to upload one file until `expires_at`; `file_url` stands for it in an order."""

    file_url: UploadAddress
    upload: UploadForm
    max_bytes: Count
    expires_at: Instant


def task_body(task: Task, *, origin: str) -> TaskBody:
    """The task as JSON; `origin` is scheme and host that its links lead to."""
    return {
        "task_id": task.task_id,
        "status": task.status,
        "progress": json_number(task.progress) or 0,
        "model": task.model,
        "input": cast(InputBody, dict(task.input)),
        "metadata": dict(task.metadata),
        "credits": {
            "estimated": json_number(task.estimated_credits) or 0,
            "charged": json_number(task.charged_credits),
        },
        "files": [_file(task, n, kept, origin) for n, kept in enumerate(task.files)],
        "error": _error(task),
        "warnings": warnings(task.input),
        "history": [{"at": rfc3339(line["at"]), "event": line["event"]} for line in task.history],
        "created_at": rfc3339(task.created_at),
        "updated_at": rfc3339(task.updated_at),
        "finished_at": None if task.finished_at is None else rfc3339(task.finished_at),
    }


def warnings(order: Mapping[str, Any]) -> list[OrderWarning]:
    """What an order's input asks for and will not get at PoYo."""
    asked, billed = order.get("resolution", "1K"), models.billed_resolution(order)
    if asked == billed:
        return []
    detail = f"PoYo makes and bills this size at {billed}, not at {asked}"
    return [{"pointer": "/input/resolution", "detail": detail}]


def quote(model: str, order: Mapping[str, Any]) -> Quote:
    """What an order would cost."""
    return {
        "model": model,
        "credits": json_number(models.estimate_credits(order)) or 0,
        "billed_resolution": models.billed_resolution(order),
        "warnings": warnings(order),
    }


def rfc3339(ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_number(value: Decimal | None) -> int | float | None:
    """Credits and percents as plain numbers."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _file(task: Task, n: int, kept: StoredImage, origin: str) -> FileBody:
    return {
        "file_url": origin + signed_urls.file_path(task.file_url_key, task.task_id, n),
        "file_type": "image",
        "content_type": kept.content_type,
        "bytes": kept.bytes,
        "width": kept.width,
        "height": kept.height,
        "sha256": kept.sha256,
    }


def _error(task: Task) -> ErrorBody | None:
    """Why it failed, in our words: PoYo's own are for the operator."""
    reason = REASONS.get(task.reason or "")
    if reason is None:
        return None
    return {
        "code": str(task.reason),
        "message": reason.message,
        "retryable": reason.retryable,
        "charged": reason.charged,
    }
