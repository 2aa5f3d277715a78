"""The life of a task as one table: the check, the condition and the README's diagram derive from it.

submit    T0  -> submitting             the row is written before PoYo hears of it
bind      T1  -> running                PoYo's id is known; it belongs to no other task
defer     T2  -> pending                provably not created: try again later
doubt     T3  -> unknown                perhaps created and charged: never sent again
retry     T4  -> submitting             the only door to another POST
finish    T5  -> finished               the image is in our bucket
fail      T6  -> failed                 with a reason; soft ones may still improve
move      T7  (no change of state)      the next look is at another time
revive    T8  failed softly -> running  PoYo finished it after all, the copy takes longer
delete    T9  (no change of state)      a tombstone: what was asked and made goes, money stays
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    UpdateItem,
    absent,
    equals,
    one_of,
    unchanged,
)
from imagetasks.tasks.failure_reasons import REASONS, RECOVERABLE
from imagetasks.tasks.task import PUBLIC_STATUS, State, Task, owner_status_key, shard_of, task_pk


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One arrow: from which states, to which, and what else must be as it was read.

    Whether the task was deleted must be as it was read for every one of them.
    """

    number: str
    sources: tuple[State, ...]
    target: State | None
    event: str | None
    same: tuple[str, ...] = ()
    from_soft_failure: bool = False


TRANSITIONS: Mapping[str, Transition] = {
    "confirm_submission": Transition(
        number="T1",
        # `pending` too: a callback may prove that a submit which PoYo had denied did happen.
        sources=(State.SUBMITTING, State.PENDING, State.UNKNOWN),
        target=State.RUNNING,
        event="submitted",
        from_soft_failure=True,
    ),
    "defer": Transition(
        number="T2",
        sources=(State.SUBMITTING,),
        target=State.PENDING,
        event="waiting",
        same=("attempt",),
    ),
    "mark_unknown": Transition(
        number="T3",
        sources=(State.SUBMITTING,),
        target=State.UNKNOWN,
        event="unclear",
        same=("attempt",),
    ),
    "retry": Transition(
        number="T4",
        sources=(State.PENDING,),
        target=State.SUBMITTING,
        event="retried",
        same=("attempt",),
    ),
    "finish": Transition(
        number="T5",
        sources=(State.RUNNING,),
        target=State.FINISHED,
        event="finished",
        same=("poyo_id",),
        from_soft_failure=True,
    ),
    "fail": Transition(
        number="T6",
        sources=(State.SUBMITTING, State.PENDING, State.UNKNOWN, State.RUNNING),
        target=State.FAILED,
        event="failed",
        same=("state", "attempt", "poyo_id", "candidate_poyo_ids"),
    ),
    "reschedule": Transition(
        number="T7",
        sources=(),
        target=None,
        event=None,
        same=("state", "due_at"),
    ),
    "reopen": Transition(
        number="T8",
        sources=(),
        target=State.RUNNING,
        event="revived",
        same=("poyo_id",),
        from_soft_failure=True,
    ),
    "delete": Transition(
        number="T9",
        sources=(),
        target=None,
        event="deleted",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionWrite:
    """One transition of one task as a conditional write; `stamp` tells it from all others."""

    name: str
    task_id: str
    write_token: str
    update: UpdateItem


@dataclass(frozen=True, slots=True)
class WriteStamp:
    """When and under which unique stamp a transition happens."""

    now: int
    write_token: str


def confirm_submission(
    task: Task, at: WriteStamp, *, poyo_id: str, due_at: int, how: str
) -> TransitionWrite:
    """T1: PoYo's id is `poyo_id`; `how` is `answer` or `callback`."""
    due = {"due_at": due_at, "due_shard": shard_of(task.task_id)}
    values = due | {"poyo_id": poyo_id, "confirmed_at": at.now, "polls": 0}
    gone = ("candidate_poyo_ids", "not_before", "reason", "detail", "finished_at")
    return _transition_write(
        "confirm_submission", task, at, values, gone, (absent("poyo_id"),), {"source": how}
    )


def defer(
    task: Task, at: WriteStamp, *, not_before: int, due_at: int, detail: str
) -> TransitionWrite:
    """T2: nothing was created; `not_before` is the earliest next POST, `due_at` the next look."""
    values = {"not_before": not_before, "due_at": due_at, "detail": detail}
    return _transition_write("defer", task, at, values)


def mark_unknown(task: Task, at: WriteStamp, *, due_at: int, detail: str) -> TransitionWrite:
    """T3: nobody knows whether PoYo created it; at `due_at` patience ends."""
    return _transition_write(
        "mark_unknown", task, at, {"due_at": due_at, "detail": detail, "polls": 0}
    )


def retry(task: Task, at: WriteStamp, *, due_at: int) -> TransitionWrite:
    """T4: the next attempt begins, and only its winner may POST."""
    values = {"attempt": task.attempt + 1, "attempted_at": at.now, "due_at": due_at}
    return _transition_write("retry", task, at, values, ("not_before",))


def finish(
    task: Task, at: WriteStamp, *, files: list[dict[str, Any]], charged_credits: Any
) -> TransitionWrite:
    """T5: every image of the task lies in our bucket."""
    values = {
        "files": files,
        "charged_credits": charged_credits,
        "finished_at": at.now,
        "progress": 100,
    }
    after, over = _follow_up(task, at, tell=True)
    return _transition_write("finish", task, at, values | after, (*over, "reason", "detail"))


def fail(
    task: Task, at: WriteStamp, *, reason: str, detail: str, tell: bool = True
) -> TransitionWrite:
    """T6: the task ended without an image; `detail` is for the operator, never for the user.

    Without `tell` the caller's own callback is not made: the answer to the order says it.
    """
    values = {"reason": reason, "detail": detail, "finished_at": at.now}
    after, over = _follow_up(task, at, tell=tell)
    kind = one_of("state", REASONS[reason].sources)
    gone = (*over, "not_before", "candidate_poyo_ids")
    return _transition_write("fail", task, at, values | after, gone, (kind,), {"reason": reason})


def reschedule(task: Task, at: WriteStamp, *, due_at: int | None, **facts: Any) -> TransitionWrite:
    """T7: the next look is at `due_at` (never when None); `facts` are kept, None drops one."""
    dropped = tuple(name for name, value in facts.items() if value is None)
    kept = {name: value for name, value in facts.items() if value is not None}
    if due_at is None:
        gone = dict.fromkeys(("due_at", "due_shard", "candidate_poyo_ids", *dropped))
        return _transition_write("reschedule", task, at, kept, tuple(gone))
    due = {"due_at": due_at, "due_shard": shard_of(task.task_id)}
    return _transition_write("reschedule", task, at, due | kept, dropped)


def reopen(task: Task, at: WriteStamp, *, due_at: int, **facts: Any) -> TransitionWrite:
    """T8: PoYo has the image after all; from here on it is an ordinary running task."""
    due = {"due_at": due_at, "due_shard": shard_of(task.task_id)}
    return _transition_write("reopen", task, at, due | facts, ("reason", "finished_at"))


def delete(task: Task, at: WriteStamp) -> TransitionWrite:
    """T9: nobody sees it from here on; a look that is due at once takes the images away."""
    due = {"due_at": at.now, "due_shard": shard_of(task.task_id)}
    values = due | {"deleted_at": at.now, "input": {}, "metadata": {}}
    gone = (
        "owner_key",
        "owner_status_key",
        "file_url_key",
        "detail",
        "notification_url",
        "notification_attempts",
        "next_notification_at",
    )
    return _transition_write("delete", task, at, values, gone, (absent("deleted_at"),))


def _follow_up(task: Task, at: WriteStamp, *, tell: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is still to be done when a task has ended, and what is to be dropped: a look that is due
    at once takes a deleted task's images away, or tells its caller."""
    due = {"due_at": at.now, "due_shard": shard_of(task.task_id)}
    if task.deleted_at is not None:
        return due, ()
    if task.notification_url and tell:
        return due | {"notification_attempts": 0, "next_notification_at": at.now}, ()
    return {}, ("due_at", "due_shard")


def _transition_write(
    name: str,
    task: Task,
    at: WriteStamp,
    values: Mapping[str, Any],
    removed: tuple[str, ...] = (),
    clauses: tuple[AttributeTest, ...] = (),
    note: Mapping[str, Any] | None = None,
) -> TransitionWrite:
    transition = TRANSITIONS[name]
    state = _state(task, transition.target) if transition.target else {}
    line = {"at": at.now, "event": transition.event} | dict(note or {})
    seen = ("deleted_at", *transition.same)
    same = tuple(unchanged(attribute, _read(task, attribute)) for attribute in seen)
    exists = equals("pk", task_pk(task.task_id))
    update = UpdateItem(
        pk=task_pk(task.task_id),
        condition=Condition((exists, *same, *clauses), _sources(transition)),
        values=_redacted(task, values)
        | state
        | {"updated_at": at.now, "write_token": at.write_token},
        removed=removed,
        history_entry=line if transition.event else None,
    )
    return TransitionWrite(
        name=name, task_id=task.task_id, write_token=at.write_token, update=update
    )


def _redacted(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """Without PoYo's words where the task was deleted: they may repeat the prompt."""
    return {k: v for k, v in values.items() if k != "detail" or task.deleted_at is None}


def _state(task: Task, target: State) -> dict[str, Any]:
    """The new state, and where the task is listed by it."""
    state = {"state": str(target)}
    if task.deleted_at is not None:
        return state
    return state | {"owner_status_key": owner_status_key(PUBLIC_STATUS[target], task.owner)}


def _sources(transition: Transition) -> tuple[tuple[AttributeTest, ...], ...]:
    soft = (equals("state", str(State.FAILED)), one_of("reason", RECOVERABLE))
    states = ((one_of("state", transition.sources),),) if transition.sources else ()
    return (*states, soft) if transition.from_soft_failure else states


def _read(task: Task, attribute: str) -> Any:
    """The attribute as the row has it: no hints are an absent attribute."""
    return (
        (list(task.candidate_poyo_ids) or None)
        if attribute == "candidate_poyo_ids"
        else getattr(task, attribute)
    )
