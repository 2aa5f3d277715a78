"""Lists in DynamoDB Local: complete, in order, and for no more capacity than their pages need.

The gate lists 10,000 tasks of one owner among 1,000 of other owners, because writing them takes long;
with LISTING_OTHERS=100000 there are 100,000 of other owners.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import batched, count
from typing import Any

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskPage, TaskRepository
from imagetasks.clock import WriteStamp
from imagetasks.tasks import transition_writes
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import owner_status_key, shard_of
from tests.support.consumed_capacity import metered
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.fakes import START
from tests.support.listed_tasks import listed_task, write_tasks

OWN_TASKS = 10_000
OTHER_TASKS = int(os.environ.get("LISTING_OTHERS", "1000"))
LONG_EVERY = 100  # one task in a hundred has the longest prompt
LONG_PROMPT = "x" * 20_000
UNIT_BYTES = 4096  # bytes of one read capacity unit


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture
def table(engine: str) -> Table:
    return create_table(engine)


@pytest.fixture(scope="module")
def table_with_many_owners(engine: str) -> Table:
    """Tasks of `owner` among those of 100 other owners; `owner` has five in each millisecond."""
    table = create_table(engine)
    own = [
        listed_task(
            "owner",
            n,
            START + n // 5,
            input={"prompt": LONG_PROMPT if n % LONG_EVERY == 0 else "A boat"},
        )
        for n in range(OWN_TASKS)
    ]
    write_tasks(table, own)
    for numbers in batched(range(OTHER_TASKS), 10_000, strict=False):
        write_tasks(table, [listed_task(f"owner{n % 100}", n, START + n // 50) for n in numbers])
    return table


@pytest.mark.parametrize("status", [None, "finished"])
def test_list_costs_what_its_pages_contain_and_nothing_for_other_owners(
    table_with_many_owners: Table, status: str | None
) -> None:
    with metered(table_with_many_owners) as meter:
        found = [
            each
            for page in pages(TaskRepository(table_with_many_owners), status=status)
            for each in page.tasks
        ]

    assert len({each.task_id for each in found}) == len(found) == OWN_TASKS
    assert {each.owner for each in found} == {"owner"}
    assert sorted(found, key=lambda each: -each.created_at) == found
    page_count = OWN_TASKS // 100
    assert meter.calls["BatchGetItem"] == page_count
    # the last query finds no further page
    assert meter.calls == {"Query": page_count + 1, "BatchGetItem": page_count}
    items = sum(math.ceil(size / UNIT_BYTES) for size in meter.item_bytes_read)
    index = sum(max(1, math.ceil(size / UNIT_BYTES)) / 2 for size in meter.index_bytes)
    print(  # noqa: T201  # `pytest -s` prints the figures
        f"\n{OWN_TASKS:,} of {OWN_TASKS + OTHER_TASKS:,} tasks, status {status}: {meter.index_units:,} units of the index "
        f"(accounted for: {index:,}), {meter.item_units:,} of the items ({items:,})"
    )
    assert meter.item_units == items
    rounding = 0.5 * (page_count + 1)  # half a unit for each page
    assert abs(meter.index_units - index) <= rounding


def pages(
    repository: TaskRepository, *, status: str | None = None, limit: int = 100
) -> Iterator[TaskPage]:
    """All pages of `owner`'s list, one after the other."""
    after: ListPosition | None = None
    while True:
        page = repository.list("owner", status=status, limit=limit, after=after)
        yield page
        if page.last is None:
            return
        after = page.last


def listed(repository: TaskRepository, **arguments: Any) -> list[str]:
    return [each.task_id for page in pages(repository, **arguments) for each in page.tasks]


@pytest.mark.parametrize("limit", [1, 2, 7, 29, 30, 31, 100])
def test_tasks_of_the_same_millisecond_are_listed_once_each(table: Table, limit: int) -> None:
    own = [listed_task("owner", n, START) for n in range(30)]
    write_tasks(table, [*own, *(listed_task("owner2", n, START) for n in range(30))])

    found = listed(TaskRepository(table), limit=limit)

    assert sorted(found) == sorted(each.task_id for each in own)
    assert found == listed(TaskRepository(table))


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_creations_and_deletions_meanwhile_do_not_shift_later_pages(
    table: Table, limit: int
) -> None:
    repository = TaskRepository(table)
    before = [listed_task("owner", n, START + n // 2) for n in range(30)]
    write_tasks(table, before)
    new_numbers = count(100)
    found: list[str] = []

    for page in pages(repository, limit=limit):
        found += [each.task_id for each in page.tasks]
        n = next(new_numbers)
        write_tasks(table, [listed_task("owner", n, START + n)])
        for seen in page.tasks[-1:]:  # deletes the task that the cursor names
            repository.apply(transition_writes.delete(seen, WriteStamp(START, f"stamp{n}")))

    assert Counter(found) == Counter(each.task_id for each in before)


def test_list_by_status_follows_the_transitions(table: Table) -> None:
    repository, owner = TaskRepository(table), "owner"
    created = listed_task(
        owner, 1, START, state="submitting", owner_status_key=owner_status_key("not_started", owner)
    )
    write_tasks(table, [created])

    def statuses_with_the_task() -> set[str]:
        statuses = ("not_started", "running", "finished", "failed")
        return {status for status in statuses if listed(repository, status=status)}

    def stamp(n: int) -> WriteStamp:
        return WriteStamp(START + n, f"stamp{n}")

    assert statuses_with_the_task() == {"not_started"}
    running = repository.confirm_submission(
        transition_writes.confirm_submission(
            created, stamp(1), poyo_id="A", due_at=START, source="answer"
        ),
        "A",
    ).task
    assert statuses_with_the_task() == {"running"}
    failed = repository.apply(
        transition_writes.fail(running, stamp(2), reason="timed_out", detail="")
    ).task
    assert statuses_with_the_task() == {"failed"}
    reopened = repository.apply(transition_writes.reopen(failed, stamp(3), due_at=START)).task
    assert statuses_with_the_task() == {"running"}
    finished = repository.apply(
        transition_writes.finish(reopened, stamp(4), files=[], charged_credits=Decimal(2))
    ).task
    assert statuses_with_the_task() == {"finished"}
    assert listed(repository) == [created.task_id]
    repository.apply(transition_writes.delete(finished, stamp(5)))
    assert statuses_with_the_task() == set()
    assert listed(repository) == []


def test_deleted_task_that_ends_later_is_in_no_list(table: Table) -> None:
    repository = TaskRepository(table)
    created = listed_task("owner", 1, START, state="running", poyo_id="A", due_shard=shard_of("x"))
    write_tasks(table, [created])

    tombstone = repository.apply(
        transition_writes.delete(created, WriteStamp(START, "write_token"))
    ).task
    repository.apply(
        transition_writes.finish(
            tombstone, WriteStamp(START, "stamp2"), files=[], charged_credits=Decimal(2)
        )
    )

    assert listed(repository) == listed(repository, status="finished") == []
