"""Tasks for tests of lists: of several owners, many at once, written to DynamoDB Local."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import batched
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from imagetasks.aws.table import Table
from imagetasks.tasks.task import Task, derive_task_id, owner_status_key
from imagetasks.tasks.task_item import to_item
from tests.support.fakes import task

SERIALIZER = TypeSerializer()


def listed_task(owner: str, n: int, created_at: int, **changed: Any) -> Task:
    """The `n`th task of `owner`, finished unless `changed` says otherwise."""
    task_id = derive_task_id(owner, f"{n}")
    values: dict[str, Any] = {
        "task_id": task_id,
        "owner": owner,
        "state": "finished",
        "due_at": None,
        "due_shard": None,
        "created_at": created_at,
        "owner_key": owner,
        "owner_status_key": owner_status_key("finished", owner),
    }
    return replace(task(), **values | changed)


def write_tasks(table: Table, tasks: list[Task]) -> None:
    """Write the tasks in batches of 25, eight at a time."""
    items = [{"PutRequest": {"Item": _marshalled(each)}} for each in tasks]

    def write(batch: tuple[Any, ...]) -> None:
        remaining: Any = {table.name: list(batch)}
        while remaining:
            remaining = table.client.batch_write_item(RequestItems=remaining).get(
                "UnprocessedItems"
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, batched(items, 25, strict=False)))


def _marshalled(each: Task) -> dict[str, Any]:
    return {name: SERIALIZER.serialize(value) for name, value in to_item(each).items()}
