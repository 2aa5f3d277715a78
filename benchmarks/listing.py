"""A page of a hundred tasks: by index and one batch, against the same index and a hundred reads.

`python benchmarks/listing.py` runs both, in turns, on AWS's own DynamoDB engine and prints how many times faster the
batch is. Each call over a real network adds its way there and back, which only makes the ratio larger.
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
from imagetasks.tasks.conditional_write import Condition, PutItem, absent  # noqa: E402  # found by the lines above
from imagetasks.tasks.task import derive_task_id, task_pk, to_item  # noqa: E402
from tests.support.dynamodb_engines import dynamodb_local, table_on  # noqa: E402
from tests.support.fakes import START, task  # noqa: E402

TASKS, ROUNDS = 100, 30


def fill(table: Table) -> None:
    """A hundred tasks of one owner."""
    for n in range(TASKS):
        made = replace(task(), task_id=derive_task_id("owner", f"{n}"), created_at=START + n)
        table.put(PutItem(item=to_item(made), condition=Condition((absent("pk"),))))


def by_batch(repository: TaskRepository) -> int:
    """A page as the API reads it."""
    return len(repository.list("owner", status=None, limit=TASKS, after=None).tasks)


def one_by_one(repository: TaskRepository) -> int:
    """The same page, each row read by itself."""
    keys = repository.table.query_page("by_owner", "owner", limit=TASKS, after=None)
    return len([repository.get(str(key["pk"]).removeprefix(task_pk(""))) for key in keys])


def milliseconds(read: Callable[[TaskRepository], int], repository: TaskRepository) -> float:
    began = time.perf_counter()
    found, spent = read(repository), time.perf_counter() - began
    if found != TASKS:
        sys.exit(f"a page of {found} tasks: nothing is shown by that")
    return spent * 1000


def main() -> None:
    with dynamodb_local() as url:
        repository = TaskRepository(table_on(url))
        fill(repository.table)
        ways: dict[str, Any] = {"index and batch": by_batch, "index and one by one": one_by_one}
        took: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(ROUNDS + 3):
            for name, read in ways.items():
                spent = milliseconds(read, repository)
                took[name] += [spent] if turn >= 3 else []  # the first ones warm the engine up
    medians = {name: statistics.median(each) for name, each in took.items()}
    for name, median in medians.items():
        print(f"{name:<22}{median:8.1f} ms a page of {TASKS}, median of {ROUNDS}")
    slow, fast = medians["index and one by one"], medians["index and batch"]
    print(f"one batch is {slow / fast:.1f} times as fast")


if __name__ == "__main__":
    main()
