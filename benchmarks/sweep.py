"""Row 10: a sweep of 10,000 due tasks, and what a sweep reads of a table with a million tasks.

CPU is this process's: DynamoDB Local and a stand-in for SQS run in processes of their own, and the
functions' own clients call them over HTTP. The baseline, interleaved run by run, sends each message
with a request of its own and reads 200 tasks of each shard. The second part counts what DynamoDB says
that one sweep of 100 due tasks reads, whatever the number of tasks that are not due: `--rows` adds
a table of another size.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from benchmarks.report import Row, deliver, parser  # noqa: E402
from benchmarks.sqs import counted, sqs  # noqa: E402
from imagetasks.aws.client import shared_client  # noqa: E402
from imagetasks.aws.table import Table  # noqa: E402
from imagetasks.aws.task_queue import TaskQueue  # noqa: E402
from imagetasks.aws.task_repository import TaskRepository  # noqa: E402
from imagetasks.clock import system_clock  # noqa: E402
from imagetasks.limits import Limits  # noqa: E402
from imagetasks.tasks.message import TaskMessage  # noqa: E402
from imagetasks.tasks.task import derive_task_id, shard_of, task_pk  # noqa: E402
from imagetasks.workflows.sweep import sweep  # noqa: E402
from tests.support.consumed_capacity import metered  # noqa: E402
from tests.support.dynamodb_engines import create_table, dynamodb_local  # noqa: E402

TASKS = 10_000
ROWS = (1_000, 10_000, 50_000)
FEW = 100  # due tasks of each table of the second part
WRITTEN_AT_ONCE = 25  # by one BatchWriteItem
AN_HOUR_MS = 3_600_000


class OneByOne(TaskQueue):
    """The baseline's queue: a request for each message."""

    def send_all(self, messages: Iterable[TaskMessage]) -> None:
        for message in messages:
            self.send(message)


def queue_at(url: str) -> TaskQueue:
    """The functions' own client of SQS, at the stand-in."""
    os.environ["AWS_ENDPOINT_URL_SQS"] = url
    shared_client.cache_clear()
    return TaskQueue.from_env(shared_client("sqs"))


def require(holds: bool, otherwise: str) -> None:
    """Stop if the measurement would be meaningless."""
    if not holds:
        sys.exit(otherwise)


def fill(table: Table, *, due: int, rows: int, now: int) -> None:
    """Write `rows` open tasks, of which the first `due` are due. Of each task there is what the index
    of due tasks needs."""

    def item(n: int) -> dict[str, Any]:
        task_id = derive_task_id("owner", f"{n}")
        due_at = now - 1 - n if n < due else now + AN_HOUR_MS + n
        return {
            "pk": {"S": task_pk(task_id)},
            "due_shard": {"S": shard_of(task_id)},
            "due_at": {"N": str(due_at)},
            "due_since": {"N": str(due_at)},
        }

    for start in range(0, rows, WRITTEN_AT_ONCE):
        numbers = range(start, min(rows, start + WRITTEN_AT_ONCE))
        left: Any = {table.name: [{"PutRequest": {"Item": item(n)}} for n in numbers]}
        while left:
            left = table.client.batch_write_item(RequestItems=left)["UnprocessedItems"]


class Sweeper:
    """Sweeps one table until nothing is due, as the function does each minute."""

    def __init__(self, table: Table, queue: TaskQueue, limits: Limits) -> None:
        # The functions' own client, at the engine of the table.
        self.repository = TaskRepository(replace(Table.from_env(), name=table.name))
        self.queue, self.clock = queue, system_clock(limits)
        self.runs, self.enqueued, self.cpu_s, self.done = 0, 0, 0.0, False

    def run(self) -> None:
        """One run, unless nothing was due in the last one."""
        if self.done:
            return
        begun_s = time.process_time()
        result = sweep(
            repository=self.repository,
            queue=self.queue,
            clock=self.clock,
            time_left_s=lambda: 100,
        )
        if result.enqueued:
            self.cpu_s += time.process_time() - begun_s
        self.runs += result.enqueued > 0
        self.enqueued += result.enqueued
        self.done = result.enqueued == 0


def cost(dynamodb_url: str) -> list[Row]:
    """CPU and runs for 10,000 due tasks, and how many of them got more than one message."""
    limits = replace(Limits(), claim_s=AN_HOUR_MS // 1000)  # longer than the benchmark
    with sqs() as ours_url, sqs() as old_url:
        ours = Sweeper(create_table(dynamodb_url), queue_at(ours_url), limits)
        old_queue = OneByOne(queue_at(old_url).client, "old")
        old = Sweeper(create_table(dynamodb_url), old_queue, replace(limits, shard_rows=200))
        for each in (ours, old):
            now = each.clock.now_ms()
            fill(each.repository.table, due=TASKS, rows=TASKS, now=now)
        while not (ours.done and old.done):
            ours.run()
            old.run()
        sent = counted(ours_url)
    require({sent["tasks"], ours.enqueued, old.enqueued} == {TASKS}, "a task was not enqueued")
    return cost_rows(ours, old, sent["messages"] - sent["tasks"])


def cost_rows(ours: Sweeper, old: Sweeper, twice: int) -> list[Row]:
    """The sweep against the baseline; `twice` messages were sent for a task that already had one."""
    return [
        Row(
            number=10,
            measure=f"sweep of {TASKS:,} due tasks, CPU",
            value=ours.cpu_s,
            unit="s",
            baseline=f"a request for each message: {old.cpu_s:.1f} s",
            ratio=ours.cpu_s / old.cpu_s,
            goal="≤ 15 s",
            met=ours.cpu_s <= 15,
        ),
        Row(
            number=10,
            measure=f"runs for {TASKS:,} due tasks",
            value=ours.runs,
            unit="runs",
            baseline=f"200 rows of each shard: {old.runs} runs",
            ratio=ours.runs / old.runs,
            goal="5",
            met=ours.runs == 5,
        ),
        Row(
            number=10,
            measure="tasks with more than one message",
            value=twice,
            unit="tasks",
            goal="0",
            met=twice == 0,
        ),
    ]


def reads(dynamodb_url: str, rows: int) -> tuple[int, float, int, int]:
    """What one sweep of a table of so many rows reads: queries, read units, rows that DynamoDB evaluated
    and rows that it returned."""
    table = create_table(dynamodb_url)
    clock = system_clock(Limits())
    fill(table, due=FEW, rows=rows, now=clock.now_ms())
    evaluated = Counter[str]()

    def count(parsed: dict[str, Any], **_: Any) -> None:
        evaluated.update({name: parsed[name] for name in ("ScannedCount", "Count")})

    table.client.meta.events.register("after-call.dynamodb.Query", count)
    with metered(table) as meter, sqs() as url:
        result = sweep(
            repository=TaskRepository(table),
            queue=queue_at(url),
            clock=clock,
            time_left_s=lambda: 100,
        )
    require(result.enqueued == FEW, "a due task was not enqueued")
    return (
        meter.calls["Query"],
        meter.index_units,
        evaluated["ScannedCount"],
        evaluated["Count"],
    )


def flatness(dynamodb_url: str, sizes: Sequence[int]) -> list[Row]:
    """Read units of one sweep with `FEW` due tasks, by the number of open tasks."""
    found = {rows: reads(dynamodb_url, rows) for rows in sizes}
    first = found[sizes[0]]
    return [
        Row(
            number=10,
            measure=f"sweep of {FEW} due among {rows:,} open tasks: {queries} queries, "
            f"{scanned} rows evaluated, {count} returned",
            value=units,
            unit="read units",
            baseline=f"among {sizes[0]:,}: {first[1]:g}",
            ratio=units / first[1],
            goal="the same",
            met=(queries, units, scanned, count) == first and scanned == count == FEW,
        )
        for rows, (queries, units, scanned, count) in found.items()
    ]


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, action="append", help="a table of another size")
    given = arguments.parse_args()
    with dynamodb_local() as url:
        os.environ |= {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL_DYNAMODB": url,
            "TABLE_NAME": "named later",
            "QUEUE_URL": "http://127.0.0.1/queue",
        }
        rows = [*cost(url), *flatness(url, (*ROWS, *(given.rows or ())))]
    deliver(rows, given.json)


if __name__ == "__main__":
    main()
