"""The simulated table and real engines agree on the same thousands of random operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.conditional_write import ConditionFailed
from imagetasks.tasks.task import (
    Task,
    owner_status_key,
)
from tests.simulation.table_state import InMemoryTable
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.emulated_aws import aws
from tests.support.fakes import START, task
from tests.support.table_engine import Engine, Operation
from tests.support.table_operations import KEYS, RandomOperations

OPERATIONS = 1200
UNCONDITIONAL = {"get", "due", "put_task", "batch_get", "whole_list", "page"}


@pytest.fixture(scope="module")
def dynamodb_url() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture
def on_dynamodb_local(dynamodb_url: str) -> Table:
    return create_table(dynamodb_url)


@pytest.fixture
def on_moto() -> Iterator[Table]:
    with aws() as cloud:
        yield Table(cloud.client("dynamodb"), cloud.table_name)


def _outcome(operation: Operation, engine: Engine) -> tuple[str, Any]:
    """The outcome: a value, a failed condition with the existing item, or an invalid request."""
    try:
        return "done", operation(engine)
    except ConditionFailed as failed:
        return "condition failed", (failed.item, failed.which)
    except DatabaseUnavailable:
        return "invalid", None


@pytest.mark.parametrize(
    ("engine", "seed"), [("on_dynamodb_local", 1), ("on_dynamodb_local", 2), ("on_moto", 3)]
)
def test_simulated_table_behaves_like_the_engine(
    request: pytest.FixtureRequest, engine: str, seed: int
) -> None:
    real, simulated = request.getfixturevalue(engine), InMemoryTable()
    operations = RandomOperations(seed, simulated)
    seen: Counter[tuple[str, str]] = Counter()

    for n in range(OPERATIONS):
        kind, operation = operations.operation()
        expected = _outcome(operation, real)
        actual = _outcome(operation, simulated)

        assert actual == expected, f"operation {n}: {kind}"
        seen[kind, actual[0]] += 1
        if n % 100 == 0:
            assert [simulated.get(pk) for pk in KEYS] == [real.get(pk) for pk in KEYS]

    kinds = {kind for kind, _ in seen}
    assert {kind for kind, outcome in seen if outcome == "done"} == kinds, seen
    assert {
        kind for kind, outcome in seen if outcome == "condition failed"
    } == kinds - UNCONDITIONAL, seen


@pytest.mark.parametrize("engine", ["on_dynamodb_local", "on_moto"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_list_has_each_task_once_even_if_many_were_created_at_one_instant(
    request: pytest.FixtureRequest, engine: str, limit: int
) -> None:
    repository = TaskRepository(request.getfixturevalue(engine))
    states = ("submitting", "running")
    tasks = [
        replace(task(f"key{n}", created_at=START + n // 4), state=states[n % 2], write_token=f"{n}")
        for n in range(12)
    ]
    for each in tasks:
        repository.create(replace(each, owner_status_key=owner_status_key(each.status, each.owner)))
    for other in (
        task("another", owner="other", owner_key="other"),
        task("deleted", owner_key=None),
    ):
        repository.create(replace(other, owner_status_key=None))

    for status in (None, "running"):
        listed, after = list[Task](), None
        while True:
            page = repository.list("owner", status=status, limit=limit, after=after)
            listed += page.tasks
            if (after := page.last) is None:
                break
        expected = {each.task_id for each in tasks if status in (None, each.status)}

        assert len(listed) == len(expected)
        assert {each.task_id for each in listed} == expected
        instants = [each.created_at for each in listed]
        assert instants == sorted(instants, reverse=True)
