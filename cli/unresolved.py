"""Failed tasks whose charge nobody knows: lists them, and decides one as the operator says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from cli.stack import CommandError
from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import Clock
from imagetasks.errors import TaskNotFound
from imagetasks.tasks import transition_writes
from imagetasks.tasks.bookings import UNRESOLVED_KEY, Booking, booking, is_unresolved
from imagetasks.tasks.failure_reasons import UNKNOWN_CHARGE
from imagetasks.tasks.task import Task, task_pk
from imagetasks.tasks.task_item import from_item

PAGE_SIZE = 100  # as many items as DynamoDB reads at once


@dataclass(frozen=True, slots=True)
class Decision:
    """What a task had booked before and has now; `changed` is false if it was decided so already."""

    before: Booking
    after: Booking
    changed: bool


def unresolved_tasks(table: Table) -> Iterator[Task]:
    """Every task that failed without a known charge, newest first, with progress on stderr. The index
    lists them, and their items say whether they still are. Raises DatabaseUnavailable."""
    after, seen = None, 0
    while True:
        keys = table.query_page("by_owner", UNRESOLVED_KEY, limit=PAGE_SIZE, after=after)
        pks = [task_pk(key["pk"].removeprefix("unresolved#")) for key in keys]
        items = table.batch_get(pks) if pks else {}
        for task in (from_item(items[pk]) for pk in pks if pk in items):
            if is_unresolved(task):
                yield task
        if len(keys) < PAGE_SIZE:
            return
        seen += len(keys)
        print(f"{seen} unresolved tasks read", file=sys.stderr, flush=True)
        after = {"pk": keys[-1]["pk"], "created_at": keys[-1]["created_at"]}


def find(repository: TaskRepository, task_id: str, charged: Decimal | None) -> Task:
    """The task if it is unresolved, or if it was decided so already: `charged` credits, None: its
    estimate. Raises CommandError for any other task."""
    try:
        task = repository.get(task_id)
    except TaskNotFound as error:
        raise CommandError(f"there is no task {task_id}") from error
    if is_unresolved(task) or _is_decided(task, amount(task, charged)):
        return task
    state = f"{task.state} ({task.reason})" if task.reason else task.state
    raise CommandError(
        f"nothing is to be decided: {task_id} is {state}, {described(booking(task))}"
    )


def amount(task: Task, charged: Decimal | None) -> Decimal:
    """The credits to charge: those given, else the estimate."""
    return task.estimated_credits if charged is None else charged


def decide(repository: TaskRepository, clock: Clock, task: Task, charged: Decimal) -> Decision:
    """Book `charged` credits for the task, or none. PoYo's later word still counts. Raises CommandError
    if the task has changed since it was read."""
    if _is_decided(task, charged):
        return Decision(booking(task), booking(task), changed=False)
    write = transition_writes.settle(task, clock.stamp(), charged_credits=charged)
    result = repository.apply(write)
    if not result.applied and not _is_decided(result.task, charged):
        now = f"{result.task.state}, {described(booking(result.task))}"
        raise CommandError(f"the task has changed meanwhile and was left alone: {now}")
    return Decision(booking(task), booking(result.task), changed=result.applied)


def question(task: Task, charged: Decimal) -> str:
    """What the operator has to confirm."""
    reserved, polled = plain(booking(task).reserved), task.due_at is not None
    later = "; PoYo is still polled for it, and its later word wins" if polled else ""
    deed = f"charge {plain(charged)} credits?" if charged else "release all of them?"
    facts = f"{task.task_id} of {task.owner}, {task.model}, {task.reason}"
    return f"{facts}: {reserved} credits reserved{later}\n{deed}"


def described(booked: Booking) -> str:
    """The credits in words."""
    return f"{plain(booked.reserved)} credits reserved, {plain(booked.charged)} charged"


def plain(number: Decimal) -> str:
    """The number without an exponent and without zeros at its end."""
    return f"{number.normalize():f}"


def _is_decided(task: Task, charged: Decimal) -> bool:
    """Whether the task's charge was unknown and is now `charged`."""
    return (
        task.state == "failed"
        and task.reason in UNKNOWN_CHARGE
        and task.charged_credits is not None
        and task.charged_credits == charged
    )
