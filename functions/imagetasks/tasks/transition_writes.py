"""Each transition of `transitions.TRANSITIONS` as a conditional write of one item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Unpack

from imagetasks.clock import WriteStamp
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    UpdateItem,
    absent,
    equals,
    one_of,
    unchanged,
)
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import (
    PUBLIC_STATUS,
    StoredImage,
    Task,
    TaskFacts,
    owner_status_key,
    shard_of,
    task_pk,
    to_attributes,
)
from imagetasks.tasks.transitions import TRANSITIONS, Transition, leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionWrite:
    """One transition of one task as a conditional write; no other write has its `write_token`."""

    name: str
    task_id: str
    write_token: str
    update: UpdateItem


def confirm_submission(
    task: Task, stamp: WriteStamp, *, poyo_id: str, due_at: int, source: str
) -> TransitionWrite:
    """PoYo's id is `poyo_id`, known from PoYo's `answer` or from a `callback` (`source`).

    Candidate ids stay: one that differs is evidence of a second task at PoYo.
    """
    values = _due(task, due_at) | {"poyo_id": poyo_id, "confirmed_at": stamp.now, "polls": 0}
    removed = ("not_before", "slot_number", "reason", "detail", "finished_at", "failure_seen_at")
    return _write(
        "confirm_submission",
        task,
        stamp,
        values,
        removed=removed,
        tests=(absent("poyo_id"),),
        entry={"source": source},
    )


def defer(
    task: Task, stamp: WriteStamp, *, not_before: int, due_at: int, detail: str, refused: bool
) -> TransitionWrite:
    """PoYo, if it was asked, `refused`; the next POST may start at `not_before`."""
    refused_at = {"refused_at": task.refused_at or stamp.now} if refused else {}
    values = {"not_before": not_before, "due_at": due_at, "detail": detail} | refused_at
    return _write("defer", task, stamp, values)


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
    return _write("mark_unknown", task, stamp, values, removed=("not_before", "slot_number"))


def retry(task: Task, stamp: WriteStamp, *, due_at: int) -> TransitionWrite:
    """The next submit attempt begins, and only the worker whose write succeeds may POST."""
    values = {"attempt": task.attempt + 1, "attempted_at": stamp.now, "due_at": due_at}
    return _write("retry", task, stamp, values, removed=("not_before", "slot_number"))


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
    return _write("finish", task, stamp, values | follow_up, removed=removed)


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
    return _write(
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
        return _write(
            "reschedule", task, stamp, _due(task, due_at) | values, removed=tuple(removed)
        )
    gone = dict.fromkeys(("due_at", "due_shard", "candidate_poyo_ids", *removed))
    return _write("reschedule", task, stamp, values, removed=tuple(gone))


def reopen(
    task: Task, stamp: WriteStamp, *, due_at: int, **facts: Unpack[TaskFacts]
) -> TransitionWrite:
    """PoYo has the image after all; from here on the task is an ordinary running one."""
    values = _due(task, due_at) | dict(facts)
    removed = ("reason", "finished_at", "failure_seen_at")
    return _write("reopen", task, stamp, values, removed=removed)


def delete(task: Task, stamp: WriteStamp) -> TransitionWrite:
    """Nobody sees the task any more; it is due at once, so that the worker erases its images."""
    values = {"deleted_at": stamp.now, "input": {}, "metadata": {}}
    return _write(
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


def _write(
    name: str,
    task: Task,
    stamp: WriteStamp,
    values: Mapping[str, Any],
    *,
    removed: tuple[str, ...] = (),
    tests: tuple[AttributeTest, ...] = (),
    entry: Mapping[str, Any] | None = None,
) -> TransitionWrite:
    """The conditional write of the transition `name`, with its row of the table applied."""
    transition = TRANSITIONS[name]
    compared = ("deleted_at", *transition.unchanged)
    read = to_attributes({each: getattr(task, each) for each in compared})
    exists = equals("pk", task_pk(task.task_id))
    as_read = tuple(unchanged(attribute, value) for attribute, value in read.items())
    stamped = {"updated_at": stamp.now, "write_token": stamp.write_token}
    event = {"at": stamp.now, "event": transition.event} | dict(entry or {})
    since, forgotten = _due_since(values, removed)
    if task.deleted_at is not None:  # PoYo's words may repeat the prompt
        values = {each: value for each, value in values.items() if each != "detail"}
    update = UpdateItem(
        pk=task_pk(task.task_id),
        condition=Condition((exists, *as_read, *tests), leaves(transition)),
        values=to_attributes(dict(values) | since | _target(task, transition) | stamped),
        removed=(*removed, *forgotten),
        history_entry=event if transition.event else None,
    )
    return TransitionWrite(
        name=name, task_id=task.task_id, write_token=stamp.write_token, update=update
    )


def _due_since(
    values: Mapping[str, Any], removed: tuple[str, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What becomes of `due_since`: it follows every `due_at` but that of a claim, no transition."""
    since = {"due_since": values["due_at"]} if "due_at" in values else {}
    return since, ("due_since",) if "due_at" in removed else ()


def _target(task: Task, transition: Transition) -> dict[str, Any]:
    """The new state and the list that the task is in because of it; a tombstone is in no list."""
    if transition.target is None:
        return {}
    state = {"state": str(transition.target)}
    if task.deleted_at is not None:
        return state
    status = PUBLIC_STATUS[transition.target]
    return state | {"owner_status_key": owner_status_key(status, task.owner)}
