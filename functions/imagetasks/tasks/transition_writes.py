"""Each transition of `transitions.TRANSITIONS` as a conditional write of one item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Unpack

from imagetasks.clock import WriteStamp
from imagetasks.tasks.conditional_write import absent, one_of
from imagetasks.tasks.failure_reasons import REASONS, UNKNOWN_CHARGE
from imagetasks.tasks.task import State, StoredImage, Task, TaskFacts, shard_of
from imagetasks.tasks.transition_write import TransitionWrite, transition_write


def confirm_submission(
    task: Task, stamp: WriteStamp, *, poyo_id: str, due_at: int | None, source: str
) -> TransitionWrite:
    """PoYo's id is `poyo_id`, known from PoYo's `answer` or from a `callback` (`source`). The task is
    polled at `due_at`, or when it is due already (None).

    Candidate ids stay: one that differs is evidence of a second task at PoYo.
    """
    values: dict[str, Any] = {"poyo_id": poyo_id, "confirmed_at": stamp.now}
    values |= {} if due_at is None else _due(task, due_at)
    removed = (
        "polls",
        "not_before",
        "slot_number",
        "reason",
        "detail",
        "finished_at",
        "failure_seen_at",
    )
    return transition_write(
        "confirm_submission",
        task,
        stamp,
        values,
        removed=(*removed, *_outdated_charge(task, values)),
        tests=(absent("poyo_id"),),
        entry={"source": source},
    )


def defer(
    task: Task, stamp: WriteStamp, *, not_before: int, due_at: int, detail: str, refused: bool
) -> TransitionWrite:
    """PoYo, if it was asked, `refused`; the next POST may start at `not_before`."""
    refused_at = {"refused_at": task.refused_at or stamp.now} if refused else {}
    values = {"not_before": not_before, "due_at": due_at, "detail": detail} | refused_at
    return transition_write("defer", task, stamp, values)


def mark_unknown(
    task: Task, stamp: WriteStamp, *, expires_at: int, detail: str, poyo_id: str | None = None
) -> TransitionWrite:
    """It is unknown whether PoYo created the task. It fails as unconfirmed at `expires_at`, unless it
    has candidate ids (`poyo_id` becomes the first one), which are checked at once."""
    candidates = tuple(dict.fromkeys(filter(None, (poyo_id, *task.candidate_poyo_ids))))
    values: dict[str, Any] = {"due_at": expires_at, "detail": detail, "polls": 0}
    values |= {"answered_poyo_id": poyo_id} if poyo_id else {}
    if candidates:
        values |= {"due_at": stamp.now, "candidate_poyo_ids": candidates}
    return transition_write(
        "mark_unknown", task, stamp, values, removed=("not_before", "slot_number")
    )


def retry(task: Task, stamp: WriteStamp, *, due_at: int) -> TransitionWrite:
    """The next submit attempt begins, and only the worker whose write succeeds may POST."""
    values = {"attempt": task.attempt + 1, "attempted_at": stamp.now, "due_at": due_at}
    return transition_write("retry", task, stamp, values, removed=("not_before", "slot_number"))


def finish(
    task: Task, stamp: WriteStamp, *, files: Sequence[StoredImage], charged_credits: Decimal
) -> TransitionWrite:
    """Every image of the task is in our bucket."""
    values = {
        "files": files,
        "charged_credits": charged_credits,
        "finished_at": stamp.now,
        "progress": 100,
    }
    follow_up, removed = _follow_up(task, stamp, notify=True)
    removed = (*removed, "reason", "detail", "failure_seen_at")
    return transition_write("finish", task, stamp, values | follow_up, removed=removed)


def fail(
    task: Task,
    stamp: WriteStamp,
    *,
    reason: str,
    detail: str,
    notify: bool = True,
    charged_credits: Decimal | None = None,
    again_at: int | None = None,
) -> TransitionWrite:
    """The task ends without an image. `detail` is for the operator and never shown to callers;
    `charged_credits` is what PoYo says that it charged.

    Without `notify` the caller gets no notification, because the response to the order says it. PoYo is
    asked again at `again_at`, or after the notification; a write of its own for that could be lost.
    """
    values: dict[str, Any] = {"reason": reason, "detail": detail, "finished_at": stamp.now}
    values |= {} if charged_credits is None else {"charged_credits": charged_credits}
    values |= {} if again_at is None else {"polls": 0, "not_found_count": 0}
    follow_up, removed = _follow_up(task, stamp, notify=notify)
    if again_at is not None and not follow_up:
        follow_up, removed = _due(task, again_at), ()
    return transition_write(
        "fail",
        task,
        stamp,
        values | follow_up,
        removed=(*removed, "not_before", "slot_number", "failure_seen_at"),
        tests=(one_of("state", REASONS[reason].from_states),),
        entry={"reason": reason},
    )


def reschedule(
    task: Task, stamp: WriteStamp, *, due_at: int | None, **facts: Unpack[TaskFacts]
) -> TransitionWrite:
    """The task is reconciled at `due_at`, or never when None. A fact that is None is removed."""
    values = {name: value for name, value in facts.items() if value is not None}
    removed = [name for name, value in facts.items() if value is None]
    if due_at is not None:
        return transition_write(
            "reschedule", task, stamp, _due(task, due_at) | values, removed=tuple(removed)
        )
    gone = dict.fromkeys(("due_at", "due_shard", "candidate_poyo_ids", *removed))
    return transition_write("reschedule", task, stamp, values, removed=tuple(gone))


def reopen(
    task: Task, stamp: WriteStamp, *, due_at: int, **facts: Unpack[TaskFacts]
) -> TransitionWrite:
    """PoYo has the image after all; from here on the task is an ordinary running one."""
    values = _due(task, due_at) | dict(facts)
    removed = ("reason", "finished_at", "failure_seen_at", *_outdated_charge(task, values))
    return transition_write("reopen", task, stamp, values, removed=removed)


def settle(task: Task, stamp: WriteStamp, *, charged_credits: Decimal) -> TransitionWrite:
    """The operator decides what PoYo kept for a task that failed without a known charge."""
    unresolved = (absent("charged_credits"), one_of("reason", UNKNOWN_CHARGE))
    values = {"charged_credits": charged_credits}
    return transition_write("settle", task, stamp, values, tests=unresolved)


def delete(task: Task, stamp: WriteStamp) -> TransitionWrite:
    """Nobody sees the task any more; it is due at once, so that the worker erases its images."""
    values = {"deleted_at": stamp.now, "input": {}, "metadata": {}}
    return transition_write(
        "delete",
        task,
        stamp,
        _due(task, stamp.now) | values,
        removed=(
            "owner_key",
            "owner_status_key",
            "file_url_key",
            "detail",
            "notification_url",
            "notification_attempts",
            "next_notification_at",
        ),
        tests=(absent("deleted_at"),),
    )


def _outdated_charge(task: Task, values: Mapping[str, Any]) -> tuple[str, ...]:
    """A failure that cost nothing, by PoYo's word or the operator's, says nothing of what a result costs."""
    outdated = task.state == State.FAILED and task.charged_credits == 0
    return ("charged_credits",) if outdated and "charged_credits" not in values else ()


def _due(task: Task, due_at: int) -> dict[str, Any]:
    return {"due_at": due_at, "due_shard": shard_of(task.task_id)}


def _follow_up(
    task: Task, stamp: WriteStamp, *, notify: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Attributes to set and to remove when a task ends: it stays due at once if its images must be
    erased or its caller notified, else it leaves the due index."""
    if task.deleted_at is not None:
        return _due(task, stamp.now), ()
    if task.notification_url and notify:
        pending = {"notification_attempts": 0, "next_notification_at": stamp.now}
        return _due(task, stamp.now) | pending, ()
    return {}, ("due_at", "due_shard")
