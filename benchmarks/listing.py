"""Compares two ways to read a page of 100 tasks: index plus one batch, and index plus 100 single reads.

`python benchmarks/listing.py` alternates between them on DynamoDB Local and prints how many times faster the
batch is. Over a real network every call adds a round trip, which only increases the ratio.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from imagetasks.aws.table import Table  # noqa: E402
from imagetasks.aws.task_repository import TaskRepository  # noqa: E402
from imagetasks.tasks.conditional_write import Condition, PutItem, absent  # noqa: E402
from imagetasks.tasks.task import derive_task_id, task_pk  # noqa: E402
from imagetasks.tasks.task_item import to_item  # noqa: E402
from tests.support.dynamodb_engines import create_table, dynamodb_local  # noqa: E402
from tests.support.fakes import START, task  # noqa: E402

TASKS, ROUNDS = 100, 30


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


def milliseconds(read: Callable[[TaskRepository], int], repository: TaskRepository) -> float:
    started = time.perf_counter()
    found, spent = read(repository), time.perf_counter() - started
    if found != TASKS:
        sys.exit(f"the page has {found} tasks instead of {TASKS}: the comparison is invalid")
    return spent * 1000


def main() -> None:
    with dynamodb_local() as url:
        repository = TaskRepository(create_table(url))
        fill(repository.table)
        variants: dict[str, Any] = {"index and batch": by_batch, "index and one by one": one_by_one}
        durations: dict[str, list[float]] = {name: [] for name in variants}
        for turn in range(ROUNDS + 3):
            for name, read in variants.items():
                spent = milliseconds(read, repository)
                durations[name] += (
                    [spent] if turn >= 3 else []
                )  # the first rounds warm up the engine
    medians = {name: statistics.median(each) for name, each in durations.items()}
    for name, median in medians.items():
        print(f"{name:<22}{median:8.1f} ms for a page of {TASKS}, median of {ROUNDS}")
    slow, fast = medians["index and one by one"], medians["index and batch"]
    print(f"one batch is {slow / fast:.1f} times as fast")


if __name__ == "__main__":
    main()
