"""One transition as a conditional write: a row of `transitions.TRANSITIONS` applied to one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from imagetasks.clock import WriteStamp
from imagetasks.tasks.bookings import MONEY, Booking, changes, difference, unexpected_charge
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    UpdateItem,
    equals,
    unchanged,
)
from imagetasks.tasks.task import PUBLIC_STATUS, Task, owner_status_key, task_pk
from imagetasks.tasks.task_item import to_attributes
from imagetasks.tasks.transitions import TRANSITIONS, Transition, leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionWrite:
    """One transition of one task as a conditional write; no other write has its `write_token`. The
    `bookings` are writes of other items that happen with it, or not at all. `booked` is what it changes
    of the task's credits, `unexpected_charge` an amount that differs from the estimate."""

    name: str
    task_id: str
    write_token: str
    update: UpdateItem
    booked: Booking
    bookings: tuple[UpdateItem, ...] = ()
    unexpected_charge: Decimal | None = None


def transition_write(
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
    values = dict(values) | since | _target(task, transition) | stamped
    after = _with_money(task, values, removed)
    update = UpdateItem(
        pk=task_pk(task.task_id),
        condition=Condition((exists, *as_read, *tests), leaves(transition)),
        values=to_attributes(values),
        removed=(*removed, *forgotten),
        history_entry=event if transition.event else None,
    )
    return TransitionWrite(
        name=name,
        task_id=task.task_id,
        write_token=stamp.write_token,
        update=update,
        bookings=changes(task, after),
        booked=difference(task, after),
        unexpected_charge=unexpected_charge(task, after),
    )


def _with_money(task: Task, values: Mapping[str, Any], removed: tuple[str, ...]) -> Task:
    """The task as it is after the write, as far as its credits follow from it."""
    changed = {name: values[name] for name in MONEY if name in values}
    return replace(task, **changed | dict.fromkeys(set(MONEY) & set(removed)))


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
