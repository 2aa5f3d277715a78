"""One task: its states, its attributes and its ids."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, TypedDict

from imagetasks.json_schema import JsonSchema

Status = Literal["not_started", "running", "finished", "failed"]  # PoYo's statuses, and ours

MAX_FILES = 16  # images of one task that are kept and erased; no model makes more
SHARDS = 8  # partitions of the index of due tasks: one takes 1,000 writes a second
TASK_ID_LENGTH = 26  # base32 characters: 130 bits
TASK_ID = re.compile(rf"[a-z2-7]{{{TASK_ID_LENGTH}}}")
TaskId = Annotated[str, JsonSchema(pattern=f"^{TASK_ID.pattern}$")]


class State(StrEnum):
    """The state that the item holds; `PUBLIC_STATUS` maps it to the status callers see."""

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

    @property
    def number(self) -> int:
        """Its number in the task, from 0, which its key ends with. Numbers are missing where a file of PoYo
        was left out."""
        return int(self.key.rpartition("/")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task; instants are milliseconds since 1970 by our clock, money is in credits."""

    task_id: str
    owner: str
    fingerprint: str
    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str]
    state: str
    attempt: int
    estimated_credits: Decimal
    public_base_url: str  # scheme and host that PoYo's callback is sent to
    created_at: int
    updated_at: int
    attempted_at: int  # when the last submit attempt began
    write_token: str  # of the last transition: tells our own write from a concurrent one
    defaults: Mapping[str, Any] | None = None  # what PoYo takes for fields that `input` leaves out
    address_pointers: tuple[str, ...] = ()  # JSON pointers (`/input/…`) of the URLs in `input`
    credits_exact: bool = True  # False: PoYo charges `estimated_credits` or less
    billed_resolution: str | None = None  # None: the model has none
    typical_seconds: int | None = None  # that such an order takes; None: not known
    spend_pks: tuple[str, ...] = ()  # the items that its credits are booked in
    due_at: int | None = None  # when the sweep acts; a claim moves it
    due_since: int | None = None  # `due_at` as the last transition set it; no claim moves it
    due_shard: str | None = None
    not_before: int | None = None  # when the next submit attempt may begin
    slot_number: int | None = None  # of its place among the account's submits, while it waits
    refused_at: int | None = None  # when PoYo first refused a submit, or the breaker was open
    poyo_id: str | None = None
    candidate_poyo_ids: tuple[str, ...] = ()
    answered_poyo_id: str | None = None  # the candidate that PoYo's own answer to the submit named
    confirmed_at: int | None = None
    callback_at: int | None = None  # the last callback that PoYo's status did not confirm yet
    callback_poll_at: int | None = None  # the last poll that a callback caused or scheduled
    progress: Decimal | None = None
    polls: int = 0
    not_found_count: int = 0  # times that PoYo knew none of the candidate ids
    copy_attempts: int = 0
    result_seen_at: int | None = None  # PoYo's status was `finished` for the first time
    failure_seen_at: int | None = None  # PoYo's status is `failed`; a second poll must confirm it
    poll_alarm_at: int | None = None  # the last alarm that a poll of this task raised
    reason: str | None = None
    detail: str | None = None
    charged_credits: Decimal | None = None
    files: tuple[StoredImage, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    finished_at: int | None = None
    file_url_key: str = ""  # signs the URLs of its files; removed when the task is deleted
    owner_key: str | None = None  # the owner, while the task is in the owner's list
    owner_status_key: str | None = None  # the same, by status
    notification_url: str | None = None  # the caller's callback_url
    notification_attempts: int | None = None  # None: no notification is pending
    next_notification_at: int | None = None
    deleted_at: int | None = None  # set on a tombstone, which keeps money and idempotency

    @property
    def status(self) -> Status:
        """PoYo's word for our state; a state from a newer version is shown as running."""
        return PUBLIC_STATUS.get(self.state, "running")

    @property
    def effective_input(self) -> Mapping[str, Any]:
        """The input with the defaults of what it leaves out, as they were when it was ordered."""
        left_out = {k: v for k, v in (self.defaults or {}).items() if k not in self.input}
        return {**self.input, **left_out}

    @property
    def is_final(self) -> bool:
        """Whether callers see an outcome."""
        return self.status in FINAL_STATUSES


class TaskFacts(TypedDict, total=False):
    """Attributes that a transition may write beside its own; None removes an attribute."""

    candidate_poyo_ids: Sequence[str] | None
    answered_poyo_id: str
    callback_poll_at: int
    polls: int
    not_found_count: int
    progress: Decimal
    callback_at: int
    copy_attempts: int
    result_seen_at: int
    failure_seen_at: int | None
    poll_alarm_at: int
    charged_credits: Decimal
    detail: str
    not_before: int
    slot_number: int | None
    refused_at: int | None
    notification_attempts: int | None
    next_notification_at: int | None
    files: Sequence[StoredImage]


def notification_is_due(task: Task, *, now_ms: int) -> bool:
    """Whether the caller must be notified of the task's end by now."""
    pending = task.notification_attempts is not None and task.is_final
    return pending and now_ms >= (task.next_notification_at or 0)


def derive_task_id(owner: str, idempotency_key: str) -> str:
    """The id of the one task that `owner` can create with this key: a replay has the same id."""
    name = json.dumps(["imagetasks task v1", owner, idempotency_key]).encode()
    return base64.b32encode(hashlib.sha256(name).digest()).decode()[:TASK_ID_LENGTH].lower()


def is_task_id(text: str) -> bool:
    """Whether `text` has the form of a task id."""
    return TASK_ID.fullmatch(text) is not None


def files_expire_at(task: Task, retention_days: int) -> int | None:
    """When the bucket may delete the task's images; None if it keeps them or there are none yet."""
    if not retention_days or task.finished_at is None:
        return None
    return task.finished_at + retention_days * 24 * 60 * 60 * 1000


def fingerprint(body: Mapping[str, Any]) -> str:
    """SHA-256 in Base64 of what the caller ordered, independent of the order of its fields."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return base64_text(hashlib.sha256(canonical.encode()).digest())


def base64_text(content: bytes) -> str:
    """`content` in the URL-safe Base64 without padding: a third shorter than hex."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def shard_of(task_id: str) -> str:
    """The partition of the due index that the task belongs to."""
    return str(hashlib.sha256(task_id.encode()).digest()[0] % SHARDS)


def owner_status_key(status: str, owner: str) -> str:
    """Partition of the index `by_owner_status`: a status contains no `#`. Tasks that have not started are
    listed with those that run, because few wait for long and moving an entry costs two writes."""
    listed = status if status in FINAL_STATUSES else "open"
    return f"{listed}#{owner}"


def task_pk(task_id: str) -> str:
    """Partition key of a task's item."""
    return f"task#{task_id}"


def poyo_pk(poyo_id: str) -> str:
    """Partition key of the item that says which task owns a PoYo id."""
    return f"poyo#{poyo_id}"
