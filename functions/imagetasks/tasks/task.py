"""One task: the row we keep, and how a row is made and read back."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

Status = Literal["not_started", "running", "finished", "failed"]  # PoYo's words, and ours

MAX_FILES = 16  # of a task that are kept, and erased: PoYo delivers one
SHARDS = 8  # of the index of due tasks: one partition takes 1,000 writes a second
TASK_ID_LENGTH = 26  # base32 characters: 130 bits
TASK_ID = re.compile(rf"[a-z2-7]{{{TASK_ID_LENGTH}}}")


class State(StrEnum):
    """What the row says; `SHOWN` says what the user sees."""

    SUBMITTING = "submitting"
    PENDING = "pending"
    UNKNOWN = "unknown"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


PUBLIC_STATUS: Mapping[str, Status] = {
    State.SUBMITTING: "not_started",
    State.PENDING: "not_started",
    State.UNKNOWN: "not_started",
    State.RUNNING: "running",
    State.FINISHED: "finished",
    State.FAILED: "failed",
}
FINAL_STATUSES = frozenset({"finished", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image in our bucket: `bytes` long, `width` x `height` pixels, SHA-256 in hex."""

    key: str
    content_type: str
    bytes: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A row of the table; instants are milliseconds since 1970 by our clock, money is credits."""

    task_id: str
    owner: str
    fingerprint: str
    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str]
    state: str
    attempt: int
    estimated_credits: Decimal
    public_base_url: str  # scheme and host that PoYo's callback comes to
    created_at: int
    updated_at: int
    attempted_at: int  # when the attempt that may still be under way began
    write_token: str  # of the last transition: tells our own lost write from somebody else's
    due_at: int | None = None
    due_shard: str | None = None
    not_before: int | None = None
    poyo_id: str | None = None
    candidate_poyo_ids: tuple[str, ...] = ()
    confirmed_at: int | None = None
    callback_at: int | None = None  # the last callback that PoYo's status did not bear out yet
    progress: Decimal | None = None
    polls: int = 0
    not_found_count: int = 0  # times that PoYo knew none of the hints
    copy_attempts: int = 0
    invalid_results: int = 0
    result_seen_at: int | None = None
    reason: str | None = None
    detail: str | None = None
    charged_credits: Decimal | None = None
    files: tuple[StoredImage, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    finished_at: int | None = None
    file_url_key: str = ""  # what the links to its files are made with; gone when it is deleted
    owner_key: str | None = None  # its owner, while it is to be found in the owner's list
    owner_status_key: str | None = None  # the same, by status
    notification_url: str | None = None  # the caller's own callback
    notification_attempts: int | None = (
        None  # times it was tried; None: there is nothing to tell (any more)
    )
    next_notification_at: int | None = None  # the earliest next try
    deleted_at: int | None = None  # from here on a tombstone: it keeps money and idempotency true

    @property
    def status(self) -> Status:
        """PoYo's word for our state; one a newer version wrote is shown as running."""
        return PUBLIC_STATUS.get(self.state, "running")

    @property
    def ended(self) -> bool:
        """Whether the user has been told an outcome."""
        return self.status in FINAL_STATUSES


def derive_task_id(owner: str, idempotency_key: str) -> str:
    """The id of the one task that `owner` can make with this key: a replay collides with itself."""
    name = json.dumps(["imagetasks task v1", owner, idempotency_key]).encode()
    return base64.b32encode(hashlib.sha256(name).digest()).decode()[:TASK_ID_LENGTH].lower()


def is_task_id(text: str) -> bool:
    """Whether `text` could be the id of a task at all."""
    return TASK_ID.fullmatch(text) is not None


def fingerprint(body: Mapping[str, Any]) -> str:
    """SHA-256 in hex of what the caller asked for, whatever order its fields came in."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def shard_of(task_id: str) -> str:
    """Which partition of the due index the task belongs to."""
    return str(hashlib.sha256(task_id.encode()).digest()[0] % SHARDS)


def owner_status_key(status: str, owner: str) -> str:
    """Where a task of `owner` with this status is listed: statuses have no `#`."""
    return f"{status}#{owner}"


def task_pk(task_id: str) -> str:
    """Partition key of the row of a task."""
    return f"task#{task_id}"


def poyo_pk(poyo_id: str) -> str:
    """Partition key of the row that says which task owns a PoYo id."""
    return f"poyo#{poyo_id}"


def to_item(task: Task) -> dict[str, Any]:
    """The row of `task`: absent attributes are left out, so that an index over them is sparse."""
    values: dict[str, Any] = {f.name: getattr(task, f.name) for f in fields(task)}
    values["files"] = [_file_row(kept) for kept in task.files]
    values["candidate_poyo_ids"] = list(task.candidate_poyo_ids) or None
    values["history"] = [dict(line) for line in task.history]
    values["input"] = dict(task.input)
    values["metadata"] = dict(task.metadata)
    return {"pk": task_pk(task.task_id)} | {k: v for k, v in values.items() if v is not None}


def from_item(row: Mapping[str, Any]) -> Task:
    """The task of a row; attributes a newer version wrote are ignored, numbers come as Decimal."""
    values = {f.name: _plain(row[f.name], f.name) for f in fields(Task) if f.name in row}
    return Task(**values)


_DECIMALS = frozenset({"estimated_credits", "charged_credits", "progress"})


def _plain(value: Any, name: str) -> Any:
    if name == "files":
        known = {f.name for f in fields(StoredImage)}
        return tuple(
            StoredImage(**{k: _plain(v, k) for k, v in each.items() if k in known})
            for each in value
        )
    if name == "history":
        return tuple({k: _plain(v, k) for k, v in line.items()} for line in value)
    if name == "candidate_poyo_ids":
        return tuple(value)
    if isinstance(value, Decimal) and name not in _DECIMALS:
        return int(value)
    return value


def _file_row(kept: StoredImage) -> dict[str, Any]:
    return {f.name: getattr(kept, f.name) for f in fields(kept)}
