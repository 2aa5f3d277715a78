"""Compares two ways to read a page of 100 tasks: index plus one batch, and index plus 100 single reads.

`PYTHONPATH=functions python -m benchmarks.listing` alternates between them on DynamoDB Local. Over a real
network every call adds a round trip, which only increases the ratio.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.report import Row, main, show
from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.task import derive_task_id, task_pk
from imagetasks.tasks.task_item import to_item
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.fakes import START, task

TASKS, ROUNDS, WARMING = 100, 30, 3
Read = Callable[[TaskRepository], int]


def fill(table: Table) -> None:
    """Store 100 tasks of one owner."""
    for n in range(TASKS):
        stored = replace(task(), task_id=derive_task_id("owner", f"{n}"), created_at=START + n)
        table.put(PutItem(item=to_item(stored), condition=Condition((absent("pk"),))))


def by_batch(repository: TaskRepository) -> int:
    """Read a page as the API does."""
    return len(repository.list("owner", status=None, limit=TASKS, after=None).tasks)


def one_by_one(repository: TaskRepository) -> int:
    """Read the same page with one request for each item."""
    keys = repository.table.query_page("by_owner", "owner", limit=TASKS, after=None)
    return len([repository.get(str(key["pk"]).removeprefix(task_pk(""))) for key in keys])


def milliseconds(read: Read, repository: TaskRepository) -> float:
    """How long `read` takes."""
    started = time.perf_counter()
    found, spent = read(repository), time.perf_counter() - started
    if found != TASKS:
        sys.exit(f"the page has {found} tasks instead of {TASKS}: the comparison is invalid")
    return spent * 1000


def measure() -> list[Row]:
    """The median page of both ways."""
    durations: dict[Read, list[float]] = {by_batch: [], one_by_one: []}
    with dynamodb_local() as url:
        repository = TaskRepository(create_table(url))
        fill(repository.table)
        for turn in range(ROUNDS + WARMING):
            for read in durations:
                spent = milliseconds(read, repository)
                durations[read] += [spent] if turn >= WARMING else []
    batch, single = (statistics.median(each) for each in durations.values())
    baseline = f"one by one: {show(single)} ms"
    named = f"page of {TASKS} tasks, median"
    return [
        Row(
            number=17,
            measure=named,
            value=batch,
            unit="ms",
            baseline=baseline,
            ratio=batch / single,
        )
    ]


if __name__ == "__main__":
    main(measure, __doc__)
