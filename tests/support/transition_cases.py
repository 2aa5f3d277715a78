"""Every kind of item and every write of a transition, and which of them DynamoDB must accept."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from imagetasks.clock import WriteStamp
from imagetasks.tasks import transition_writes
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import StoredImage, Task
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.tasks.transitions import TRANSITIONS
from tests.support.fakes import POYO_ID, START, task
from tests.support.stored_tasks import CALLER_URL

NOW = START + 5_000
LATER = START + 300_000
STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)
ENDED: dict[str, Any] = {"due_at": None, "due_shard": None, "finished_at": START}

# Every kind of item: each state, open ones with and without a candidate PoYo id, each failure.
ITEMS: dict[str, dict[str, Any]] = {
    "submitting": {"state": "submitting"},
    "submitting, with a candidate": {"state": "submitting", "candidate_poyo_ids": (POYO_ID,)},
    "submitting again": {"state": "submitting", "attempt": 2},
    "pending": {"state": "pending", "not_before": START + 1},
    "unknown": {"state": "unknown", "detail": "answer lost"},
    "unknown, with a candidate": {"state": "unknown", "candidate_poyo_ids": (POYO_ID,)},
    "running": {"state": "running", "poyo_id": POYO_ID, "confirmed_at": START},
    "finished": {"state": "finished", "poyo_id": POYO_ID, "files": (STORED_IMAGE,)} | ENDED,
    **{
        f"failed: {reason}": {
            "state": "failed",
            "reason": reason,
            "poyo_id": None if reason in ("unconfirmed", "rejected", "unavailable") else POYO_ID,
        }
        | ENDED
        for reason in REASONS
    },
    "failed: unconfirmed, due": {"state": "failed", "reason": "unconfirmed"},
    "state of a newer version": {"state": "upscaling", "poyo_id": POYO_ID},
}
WITH_CALLER_URL: dict[str, Any] = {"notification_url": CALLER_URL}
DELETED: dict[str, Any] = {
    "deleted_at": START + 1,
    "input": {},
    "metadata": {},
    "file_url_key": "",
    "owner_key": None,
    "owner_status_key": None,
    "detail": None,
}
# Each of them also as a tombstone, with a callback_url, and with a pending notification.
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    ", deleted": DELETED,
    ", with a callback_url": WITH_CALLER_URL,
    ", notification pending": WITH_CALLER_URL
    | {"notification_attempts": 3, "next_notification_at": START + 7},
}
COMBINATIONS = [
    (item, variant)
    for item, attributes in ITEMS.items()
    for variant in VARIANTS
    if variant in ("", ", deleted")
    or (variant == ", notification pending") is ("finished_at" in attributes)
]
BASES = {item + variant: item for item, variant in COMBINATIONS}
ITEMS = {item + variant: ITEMS[item] | VARIANTS[variant] for item, variant in COMBINATIONS}

OPEN_WITHOUT_ID = {
    "submitting",
    "submitting, with a candidate",
    "submitting again",
    "pending",
    "unknown",
    "unknown, with a candidate",
}
SUBMITTING = {"submitting", "submitting, with a candidate", "submitting again"}
UNKNOWN = {"unknown", "unknown, with a candidate"}
UNCONFIRMED = {"failed: unconfirmed", "failed: unconfirmed, due"}
RECOVERABLE_ITEMS = UNCONFIRMED | {
    f"failed: {reason}"
    for reason in ("timed_out", "upstream", "moderated", "bad_result", "result_expired")
}

Make = Callable[[Task, WriteStamp], TransitionWrite]


def _failing(reason: str, *, notify: bool = True) -> Make:
    return lambda task, stamp: transition_writes.fail(
        task, stamp, reason=reason, detail="why", notify=notify
    )


# Each write by name: how it is made, and the items that it may change.
WRITES: dict[str, tuple[Make, set[str]]] = {
    "confirm_submission": (
        lambda task, stamp: transition_writes.confirm_submission(
            task, stamp, poyo_id="NEW", due_at=LATER, source="callback"
        ),
        OPEN_WITHOUT_ID | UNCONFIRMED,
    ),
    "defer": (
        lambda task, stamp: transition_writes.defer(
            task, stamp, not_before=LATER, due_at=LATER + 1, detail="429", refused=True
        ),
        SUBMITTING,
    ),
    "mark_unknown": (
        lambda task, stamp: transition_writes.mark_unknown(
            task, stamp, expires_at=LATER, detail="lost", poyo_id="DOUBTFUL"
        ),
        SUBMITTING | {"pending"},
    ),
    "retry": (lambda task, stamp: transition_writes.retry(task, stamp, due_at=LATER), {"pending"}),
    "finish": (
        lambda task, stamp: transition_writes.finish(
            task, stamp, files=[STORED_IMAGE], charged_credits=Decimal(2)
        ),
        {"running"} | RECOVERABLE_ITEMS,
    ),
    "reschedule": (
        lambda task, stamp: transition_writes.reschedule(task, stamp, due_at=LATER, polls=3),
        set(BASES.values()),
    ),
    "reschedule out of the index": (
        lambda task, stamp: transition_writes.reschedule(task, stamp, due_at=None),
        set(BASES.values()),
    ),
    "reopen": (
        lambda task, stamp: transition_writes.reopen(task, stamp, due_at=LATER, copy_attempts=1),
        RECOVERABLE_ITEMS,
    ),
    "settle": (
        lambda task, stamp: transition_writes.settle(task, stamp, charged_credits=Decimal(2)),
        UNCONFIRMED | {"failed: timed_out"},
    ),
    "delete": (transition_writes.delete, set(BASES.values())),
    "fail: rejected": (_failing("rejected"), SUBMITTING),
    "fail: rejected, not notified": (_failing("rejected", notify=False), SUBMITTING),
    "fail: moderated": (_failing("moderated"), SUBMITTING | {"running"}),
    "fail: insufficient_credits": (_failing("insufficient_credits"), SUBMITTING),
    "fail: unavailable": (_failing("unavailable"), SUBMITTING | {"pending"}),
    "fail: unconfirmed": (_failing("unconfirmed"), UNKNOWN),
    "fail: timed_out": (_failing("timed_out"), {"running"}),
    "fail: upstream": (_failing("upstream"), {"running"}),
    "fail: bad_result": (_failing("bad_result"), {"running"}),
    "fail: result_expired": (_failing("result_expired"), {"running"}),
}


TARGETS = {name: transition.target for name, transition in TRANSITIONS.items()}


def is_allowed(item: str, write: str) -> bool:
    """Whether the transition may be applied to the item; a tombstone cannot be deleted again."""
    deleted = "deleted_at" in ITEMS[item]
    return BASES[item] in WRITES[write][1] and not (deleted and write == "delete")


def make_write(item: str, write: str, token: str = "mine") -> tuple[Task, TransitionWrite]:
    before = task(**ITEMS[item])
    return before, WRITES[write][0](before, WriteStamp(NOW, token))
