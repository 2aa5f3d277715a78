"""Deleting a task: what its owner can still read, who may delete it and what the tombstone keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from imagetasks.errors import TaskNotFound
from imagetasks.tasks import signed_urls, transition_writes
from imagetasks.tasks.task import StoredImage, Task
from tests.support.environment import (
    TestEnvironment,
    new_finishing_environment,
    order,
)
from tests.support.fakes import PROMPT, START, task
from tests.support.stored_tasks import owner_tasks, put_running
from tests.support.unavailable import UnavailableQueue

STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_finishing_environment() as environment:
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


def deleted(env: TestEnvironment, stored: Task) -> Task:
    owner_tasks(env).delete("owner", stored.task_id)
    return env.read(stored)


def test_tombstone_keeps_credits_and_fingerprint_and_nothing_else_of_the_order(
    env: TestEnvironment,
) -> None:
    before = env.put(
        task(
            state="finished",
            files=(STORED_IMAGE,),
            charged_credits=Decimal(2),
            detail=PROMPT,
            notification_url="https://shop.example",
            notification_attempts=0,
            next_notification_at=START,
        )
    )

    after = deleted(env, before)

    assert after.deleted_at == START
    assert after.fingerprint == before.fingerprint
    assert (after.estimated_credits, after.charged_credits) == (
        before.estimated_credits,
        Decimal(2),
    )
    assert (dict(after.input), dict(after.metadata), after.detail) == ({}, {}, None)
    assert (after.file_url_key, after.owner_key, after.owner_status_key) == ("", None, None)
    assert (after.notification_url, after.notification_attempts, after.next_notification_at) == (
        None,
        None,
        None,
    )
    assert PROMPT not in repr(after)
    assert env.is_due(after), "the worker erases its images"
    [message] = env.cloud.messages()
    assert (message["task_id"], message["source"]) == (after.task_id, "delete")


def test_second_deletion_changes_nothing_and_enqueues_nothing(env: TestEnvironment) -> None:
    stored = env.put(task())
    first = deleted(env, stored)
    env.cloud.messages()
    env.time.forward(60)

    assert deleted(env, stored) == first
    assert env.cloud.messages() == []


def test_task_is_deleted_in_spite_of_a_concurrent_transition(env: TestEnvironment) -> None:
    stored = env.put(task(state="running"))
    read = env.repository.get(stored.task_id)
    env.put(replace(stored, state="finished", files=(STORED_IMAGE,), write_token="1" * 24))

    env.repository.apply(transition_writes.delete(read, env.clock.stamp()))

    after = env.read(stored)
    assert (after.state, after.deleted_at) == ("finished", START)


def test_deletion_is_kept_when_sqs_is_unavailable(env: TestEnvironment) -> None:
    stored = env.put(task())
    without_sqs = replace(owner_tasks(env), updater=env.updater_with(queue=UnavailableQueue()))

    without_sqs.delete("owner", stored.task_id)

    assert env.read(stored).deleted_at == START
    assert env.is_due(env.read(stored)), "the sweep finds it"
