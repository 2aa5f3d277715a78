"""Bodies of the API's responses: PoYo's four statuses, instants in RFC 3339, money in credits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

from imagetasks.json_schema import Count, Instant, JsonSchema, Number, Uri
from imagetasks.tasks import signed_urls
from imagetasks.tasks.credit_price import usd
from imagetasks.tasks.failure_reasons import REASONS, charged_credits, was_charged
from imagetasks.tasks.image_format import ContentType
from imagetasks.tasks.image_reference import ID, SCHEME
from imagetasks.tasks.task import Status, StoredImage, Task, TaskId, files_expire_at

Percentage = Annotated[float, JsonSchema(minimum=0, maximum=100)]
Seconds = Annotated[int, JsonSchema(minimum=1)]
Reason = Annotated[str, JsonSchema(enum=list(REASONS))]
Sha256 = Annotated[str, JsonSchema(pattern="^[0-9a-f]{64}$")]
UploadAddress = Annotated[str, JsonSchema(pattern=f"^{SCHEME}{ID.pattern}$")]


class Credits(TypedDict):
    """Money in PoYo's credits. Unless `exact`, PoYo charges `estimated` or less. `charged` is null until
    it is known."""

    estimated: Number
    exact: bool
    charged: Number | None


class Usd(TypedDict):
    """The credits in US dollars, by PoYo's list price for one credit."""

    estimated: Number
    charged: Number | None


class FileBody(TypedDict):
    """An image in our bucket. `file_url` needs no key and works as long as the task exists, or until
    `expires_at`, which is null if images are kept."""

    file_url: Uri
    file_type: Literal["image"]
    content_type: ContentType
    bytes: Count
    width: Count
    height: Count
    sha256: Sha256
    expires_at: Instant | None


class ErrorBody(TypedDict):
    """Why the task failed. `retry`: may the same order succeed under a new key? `charged` is null if it
    is unknown."""

    code: Reason
    message: str
    retry: Literal["new_key", "never"]
    charged: bool | None


class HistoryEntry(TypedDict):
    """One event in the task's life."""

    at: Instant
    event: str


class OrderWarning(TypedDict):
    """Something in the order that is valid but perhaps not intended."""

    pointer: str
    detail: str


class InputBody(TypedDict):
    """The input of the order, and the defaults of the fields that it leaves out. Which fields there are
    is in the `input_schema` of its model."""

    prompt: str
    quality: NotRequired[str]
    size: NotRequired[str | Mapping[str, int]]
    resolution: NotRequired[str]
    image_urls: NotRequired[Sequence[str]]


class TaskBody(TypedDict):
    """A task; instants are RFC 3339 in UTC. `progress` is a percentage, null until PoYo has named one
    above 0. `typical_seconds`: how long such an order usually takes, null if that is not known."""

    task_id: TaskId
    status: Status
    progress: Percentage | None
    typical_seconds: Seconds | None
    model: str
    input: InputBody
    metadata: Mapping[str, str]
    credits: Credits
    usd: Usd
    files: Sequence[FileBody]
    error: ErrorBody | None
    warnings: Sequence[OrderWarning]
    history: Sequence[HistoryEntry]
    created_at: Instant
    updated_at: Instant
    finished_at: Instant | None


class TaskListBody(TypedDict):
    """Tasks, newest first; `next_cursor` is null on the last page. With `task_ids`: those tasks in the
    order of the ids; `not_found` are the ids that name none of the caller's tasks, `remaining` those whose
    tasks had no room in the response."""

    tasks: Sequence[TaskBody]
    next_cursor: str | None
    not_found: NotRequired[Sequence[TaskId]]
    remaining: NotRequired[Sequence[TaskId]]


class UploadForm(TypedDict):
    """A multipart/form-data form: send `fields` first, then the file as `file`."""

    method: Literal["POST"]
    url: Uri
    fields: Mapping[str, str]


class UploadBody(TypedDict):
    """Presigned form for one file, valid until `expires_at`; `file_url` stands for it in an order. The
    file may have `max_bytes`, `max_pixels`, and any of `content_types` whatever its name says."""

    file_url: UploadAddress
    upload: UploadForm
    max_bytes: Count
    max_pixels: Count
    content_types: Sequence[ContentType]
    expires_at: Instant


def task_body(task: Task, *, public_base_url: str, retention_days: int = 0) -> TaskBody:
    """The task as JSON; its file URLs begin with `public_base_url`, its images are kept for
    `retention_days` if they are not 0."""
    expires_at, shown = files_expire_at(task, retention_days), task.effective_input
    charged = charged_credits(task)
    return {
        "task_id": task.task_id,
        "status": task.status,
        "progress": json_number(task.progress),
        "typical_seconds": task.typical_seconds,
        "model": task.model,
        "input": cast(InputBody, dict(shown)),
        "metadata": dict(task.metadata),
        "credits": {
            "estimated": json_number(task.estimated_credits) or 0,
            "exact": task.credits_exact,
            "charged": json_number(charged),
        },
        "usd": {
            "estimated": json_number(usd(task.estimated_credits)) or 0,
            "charged": json_number(None if charged is None else usd(charged)),
        },
        "files": [_file(task, image, public_base_url, expires_at) for image in task.files],
        "error": _error(task),
        "warnings": warnings(shown, task.billed_resolution),
        "history": [
            {"at": rfc3339(entry["at"]), "event": entry["event"]} for entry in task.history
        ],
        "created_at": rfc3339(task.created_at),
        "updated_at": rfc3339(task.updated_at),
        "finished_at": _instant(task.finished_at),
    }


def warnings(image_input: Mapping[str, Any], billed: str | None) -> list[OrderWarning]:
    """What an input, with its defaults, requests and PoYo does not deliver when it bills the resolution
    `billed` (None: the model has none)."""
    requested = image_input.get("resolution")
    if billed in (None, requested):
        return []
    detail = f"PoYo makes and bills this size at {billed}, not at {requested}"
    return [{"pointer": "/input/resolution", "detail": detail}]


def rfc3339(ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def json_number(value: Decimal | None) -> int | float | None:
    """Credits and percentages as JSON numbers."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _file(task: Task, image: StoredImage, public_base_url: str, expires_at: int | None) -> FileBody:
    path = signed_urls.file_path(task.file_url_key, task.task_id, image.number)
    return {
        "file_url": public_base_url + path,
        "file_type": "image",
        "content_type": image.content_type,
        "bytes": image.bytes,
        "width": image.width,
        "height": image.height,
        "sha256": image.sha256,
        "expires_at": _instant(expires_at),
    }


def _error(task: Task) -> ErrorBody | None:
    """Why the task failed, in our own words: PoYo's are kept for the operator."""
    reason = REASONS.get(task.reason or "")
    if reason is None:
        return None
    return {
        "code": str(task.reason),
        "message": reason.message,
        "retry": "new_key" if reason.retryable else "never",
        "charged": was_charged(task),
    }
