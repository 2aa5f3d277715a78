"""A task as the outside sees it: PoYo's four words, our clock in RFC 3339, money in credits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from imagetasks.reasons import REASONS
from imagetasks.task import KeptFile, Task


def show(task: Task, *, origin: str) -> dict[str, Any]:
    """The task as JSON; `origin` is scheme and host that its links lead to."""
    return {
        "task_id": task.task_id,
        "status": task.status,
        "progress": _number(task.progress) or 0,
        "model": task.model,
        "input": dict(task.input),
        "metadata": dict(task.metadata),
        "credits": {"estimated": _number(task.estimate), "charged": _number(task.charged)},
        "files": [_file(task, n, kept, origin) for n, kept in enumerate(task.files)],
        "error": _error(task),
        "history": [{"at": instant(line["at"]), "event": line["event"]} for line in task.history],
        "created_at": instant(task.created_at),
        "updated_at": instant(task.updated_at),
        "finished_at": None if task.finished_at is None else instant(task.finished_at),
    }


def instant(ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _file(task: Task, n: int, kept: KeptFile, origin: str) -> Mapping[str, Any]:
    return {
        "file_url": f"{origin}/v1/tasks/{task.task_id}/files/{n}",
        "file_type": "image",
        "content_type": kept.content_type,
        "bytes": kept.bytes,
        "width": kept.width,
        "height": kept.height,
        "sha256": kept.sha256,
    }


def _error(task: Task) -> Mapping[str, Any] | None:
    """Why it failed, in our words: PoYo's own are for the operator."""
    reason = REASONS.get(task.reason or "")
    if reason is None:
        return None
    return {
        "code": task.reason,
        "message": reason.message,
        "retryable": reason.retryable,
        "charged": reason.charged,
    }


def _number(value: Decimal | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
