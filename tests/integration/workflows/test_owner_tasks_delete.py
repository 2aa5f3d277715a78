"""Deleting a task: what its owner can still read, who may delete it and what the tombstone keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagetasks.errors import TaskNotFound
from imagetasks.tasks import signed_urls
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    START,
    finished_response,
    submit_response,
    task,
)
from tests.support.stored_tasks import (
    owner_tasks,
    put_running,
)


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", finished_response(credits_amount=5.0))
        environment.fake_poyo.respond_with("POST", submit_response())
        yield environment


def test_deleted_task_is_not_found_by_any_read(env: TestEnvironment) -> None:
    before = put_running(env)
    finished = env.reconcile(before)
    token = signed_urls.file_token(finished.file_url_key, 0)
    tasks = owner_tasks(env)
    assert tasks.shared_file(before.task_id, "0", token) == finished.files[0]
    listed = [tasks.list("owner", status=status, limit=9, after=None) for status in (None, "finished")]  # fmt: skip
    assert [page.tasks for page in listed] == [(finished,), (finished,)]

    tasks.delete("owner", before.task_id)
    tasks.delete("owner", before.task_id)

    for read in (
        lambda: tasks.get("owner", before.task_id),
        lambda: tasks.wait_for_change("owner", before.task_id, wait_s=1),
        lambda: tasks.shared_file(before.task_id, "0", token),
        lambda: tasks.shared_file(before.task_id, "0", signed_urls.file_token("", 0)),
    ):
        with pytest.raises(TaskNotFound):
            read()
    for status in (None, "finished"):
        assert tasks.list("owner", status=status, limit=9, after=None).tasks == ()


def test_list_omits_a_deleted_task_that_a_lagging_index_still_has(env: TestEnvironment) -> None:
    before = env.put(task(deleted_at=START))  # a lagging index still has it

    assert owner_tasks(env).list("owner", status=None, limit=9, after=None).tasks == ()
    assert env.read(before).owner_key == "owner"


def test_second_deletion_does_not_change_the_tombstone(env: TestEnvironment) -> None:
    before = env.put(task())
    owner_tasks(env).delete("owner", before.task_id)
    first = env.read(before)
    env.time.forward(9)

    owner_tasks(env).delete("owner", before.task_id)

    assert env.read(before) == first


@pytest.mark.parametrize("owner", ["other", "owner/user", ""])
def test_task_of_another_owner_cannot_be_deleted(env: TestEnvironment, owner: str) -> None:
    before = env.put(task())

    with pytest.raises(TaskNotFound):
        owner_tasks(env).delete(owner, before.task_id)

    assert env.read(before) == before
    assert env.cloud.messages() == []


def test_replay_of_a_deleted_order_returns_the_tombstone_and_submits_nothing(
    env: TestEnvironment,
) -> None:
    placed = order()
    created = env.submitter.submit(placed).task
    owner_tasks(env).delete("owner", created.task_id)

    placement = env.submitter.submit(placed)
    replay, replayed = placement.task, placement.replayed

    assert (replay.task_id, replayed, replay.input) == (created.task_id, True, {})
    assert replay.deleted_at is not None
    assert env.fake_poyo.request_count("POST") == 1
