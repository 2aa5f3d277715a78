"""Waiting for several tasks at once: what ends the wait, what is read meanwhile, and whose tasks are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from imagetasks.aws.wait_slots import WaitSlots
from imagetasks.tasks.task import Task, derive_task_id
from imagetasks.workflows.owner_tasks import OwnerTasks
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import START, task
from tests.support.lambdas import recorded_aws_calls

Tasks = Mapping[str, Task]


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


def owner_tasks(
    env: TestEnvironment, *meanwhile: Callable[[], object], slots: int = 1
) -> OwnerTasks:
    """OwnerTasks whose sleeps move the manual clock; after the nth sleep the nth of `meanwhile` runs."""
    events = iter(meanwhile)

    def sleep(seconds: float) -> None:
        env.time.forward(seconds)
        next(events, lambda: None)()

    wait_slots = WaitSlots(table=env.table, clock=env.clock, count=slots)
    return OwnerTasks(
        repository=env.repository,
        updater=env.updater,
        clock=env.clock,
        wait_slots=wait_slots,
        sleep=sleep,
    )


def put(env: TestEnvironment, *states: str, **changed: object) -> list[Task]:
    """Tasks of `owner` in these states."""
    return [env.put(task(str(n), state=state, **changed)) for n, state in enumerate(states)]


def ids(tasks: Sequence[Task]) -> list[str]:
    return [each.task_id for each in tasks]


def waited_s(env: TestEnvironment) -> float:
    return (env.time.now - START) / 1000


def test_tasks_are_found_in_the_order_of_their_ids_and_only_the_owners(
    env: TestEnvironment,
) -> None:
    first, second = put(env, "running", "finished")
    foreign = env.put(task("foreign", owner="owner/ada"))
    deleted = env.put(task("deleted", deleted_at=START))
    unknown = derive_task_id("owner", "unknown")

    named = [unknown, second.task_id, foreign.task_id, first.task_id, deleted.task_id]
    found = owner_tasks(env).get_several("owner", named)

    assert list(found.items()) == [(second.task_id, second), (first.task_id, first)]
    assert owner_tasks(env).get_several("owner/ada", named) == {foreign.task_id: foreign}


def test_a_hundred_tasks_are_read_by_one_request(env: TestEnvironment) -> None:
    tasks = put(env, *["running"] * 100)
    requests = recorded_aws_calls(env.cloud.client("dynamodb"))

    found = owner_tasks(env).wait_for_change_of_any("owner", ids(tasks), wait_s=0)

    assert list(found) == ids(tasks)
    assert requests == ["DynamoDB.BatchGetItem"]


def test_without_ids_nothing_is_read(env: TestEnvironment) -> None:
    requests = recorded_aws_calls(env.cloud.client("dynamodb"))

    assert owner_tasks(env).wait_for_change_of_any("owner", [], wait_s=20) == {}
    assert requests == []


@pytest.mark.parametrize("which", [0, 1, 2])
def test_wait_ends_when_the_status_of_any_task_changes(env: TestEnvironment, which: int) -> None:
    tasks = put(env, "running", "submitting", "running")
    changed = replace(tasks[which], state="failed", reason="upstream")

    found = owner_tasks(env, lambda: None, lambda: env.put(changed)).wait_for_change_of_any(
        "owner", ids(tasks), wait_s=20
    )

    assert waited_s(env) == 2
    assert [each.state for each in found.values()].count("failed") == 1
    assert found[changed.task_id] == changed


def test_wait_without_a_change_lasts_as_long_as_requested(env: TestEnvironment) -> None:
    tasks = put(env, "running", "finished", "pending")

    found = owner_tasks(env).wait_for_change_of_any("owner", ids(tasks), wait_s=7)

    assert list(found.values()) == tasks
    assert waited_s(env) == 7


@pytest.mark.parametrize("states", [["finished", "failed"], ["finished"], []])
def test_wait_for_tasks_that_all_have_ended_returns_at_once(
    env: TestEnvironment, states: list[str]
) -> None:
    tasks = put(env, *states, reason="upstream")

    named = [*ids(tasks), derive_task_id("owner", "unknown")]
    found = owner_tasks(env).wait_for_change_of_any("owner", named, wait_s=20)

    assert (list(found.values()), waited_s(env)) == (tasks, 0)


def test_only_tasks_without_an_outcome_are_read_again(env: TestEnvironment) -> None:
    finished, running = put(env, "finished", "running")
    read: list[list[str]] = []

    class Recording(type(env.repository)):  # type: ignore[misc]
        def get_several(self, task_ids: Sequence[str]) -> Tasks:
            read.append(list(task_ids))
            found: Tasks = super().get_several(task_ids)
            return found

    tasks = replace(owner_tasks(env), repository=Recording(env.repository.table))
    named = [finished.task_id, running.task_id, derive_task_id("owner", "unknown")]
    tasks.wait_for_change_of_any("owner", named, wait_s=2)

    assert read == [named, [running.task_id], [running.task_id]]


def test_wait_ends_when_a_task_is_deleted(env: TestEnvironment) -> None:
    kept, removed = put(env, "running", "running")
    tasks = owner_tasks(env)

    found = owner_tasks(env, lambda: tasks.delete("owner", removed.task_id)).wait_for_change_of_any(
        "owner", [kept.task_id, removed.task_id], wait_s=20
    )

    assert (list(found), waited_s(env)) == ([kept.task_id], 1)


def test_wait_ends_with_any_difference_from_what_the_caller_has(env: TestEnvironment) -> None:
    tasks = put(env, "running", "running")
    newer = replace(tasks[1], updated_at=START + 1)

    def differs(found: Tasks) -> bool:
        return any(each.updated_at > START for each in found.values())

    waiting = owner_tasks(env, lambda: None, lambda: env.put(newer))
    waiting.wait_for_change_of_any("owner", ids(tasks), wait_s=20, has_changed=differs)
    assert waited_s(env) == 2
    waiting.wait_for_change_of_any("owner", ids(tasks), wait_s=20, has_changed=differs)
    assert waited_s(env) == 2


def test_wait_without_a_free_slot_returns_at_once_and_a_wait_frees_its_slot(
    env: TestEnvironment,
) -> None:
    tasks = put(env, "running")

    owner_tasks(env, slots=0).wait_for_change_of_any("owner", ids(tasks), wait_s=20)
    assert waited_s(env) == 0
    for _ in range(2):
        owner_tasks(env).wait_for_change_of_any("owner", ids(tasks), wait_s=3)
    assert waited_s(env) == 6


def test_wait_ends_while_there_is_time_to_read_and_to_respond(env: TestEnvironment) -> None:
    tasks = put(env, "running")
    env.clock.begin(lambda: START + 25_000 - env.time.now)

    owner_tasks(env).wait_for_change_of_any("owner", ids(tasks), wait_s=20)

    assert waited_s(env) == 25 - env.limits.aws_call_s
