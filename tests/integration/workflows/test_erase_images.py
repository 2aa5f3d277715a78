"""Erasing deleted tasks in every state, at once and once more later."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.tasks.message import TaskMessage
from tests.support.environment import TestEnvironment, new_finishing_environment
from tests.support.fakes import (
    POYO_ID,
    PROMPT,
    START,
    status_response,
    task,
)
from tests.support.stored_tasks import (
    CALLER_URL,
    LIMITS,
    check_tombstone,
    owner_tasks,
    put_running,
    reconcile_until_at_rest,
    stored_images,
)


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_finishing_environment() as environment:
        yield environment


def test_images_are_erased_at_once_and_again_when_a_concurrent_copy_must_have_ended(
    env: TestEnvironment,
) -> None:
    before = put_running(env, notification_url=CALLER_URL)
    env.reconcile(before)
    key = f"images/{before.task_id}/0"
    assert stored_images(env) == [key]
    owner_tasks(env).delete("owner", before.task_id)

    first = env.reconcile(before, source="delete")
    assert stored_images(env) == []
    assert first.due_at == START + LIMITS.erase_again_s * 1000
    env.cloud.client("s3").put_object(Bucket=env.cloud.bucket, Key=key, Body=b"late")
    assert env.reconcile(before, source="retry").due_at == first.due_at
    env.cloud.client("s3").put_object(Bucket=env.cloud.bucket, Key=key, Body=b"later")
    env.time.forward(LIMITS.erase_again_s)
    after = env.reconcile(before, source="sweep")

    check_tombstone(env, after)
    assert (after.state, after.charged_credits) == ("finished", Decimal(5))


def test_second_erasure_waits_longer_than_a_worker_lives_and_clocks_differ() -> None:
    assert LIMITS.erase_again_s >= 60 + 2 * 5 * 60


def test_erasure_stays_due_while_the_bucket_is_unavailable(env: TestEnvironment) -> None:
    class UnavailableBucket:
        def delete_all(self, task_id: str) -> None:
            raise ConnectionError("bucket")

    before = put_running(env, notification_url=CALLER_URL)
    env.reconcile(before)
    owner_tasks(env).delete("owner", before.task_id)

    with pytest.raises(ConnectionError):
        env.reconciler_with(images=UnavailableBucket()).reconcile(
            TaskMessage(task_id=before.task_id, source="delete")
        )

    assert env.is_due(env.read(before))
    check_tombstone(env, reconcile_until_at_rest(env, before))


TASKS_IN_EVERY_STATE: dict[str, tuple[dict[str, Any], str, str | None, Decimal | None, int]] = {
    # the item's attributes; final state, reason and charge; requests to PoYo
    "submitting": ({}, "failed", "unconfirmed", None, 0),
    "pending": ({"state": "pending", "not_before": START}, "failed", "unavailable", None, 0),
    "unknown": ({"state": "unknown"}, "failed", "unconfirmed", None, 0),
    "running": ({"state": "running", "poyo_id": POYO_ID}, "finished", None, Decimal(5), 1),
    "failed": ({"state": "failed", "reason": "upstream"}, "failed", "upstream", None, 0),
    "recoverable failure": (
        {"state": "failed", "reason": "timed_out", "poyo_id": POYO_ID},
        "failed",
        "timed_out",
        None,
        0,
    ),
}


@pytest.mark.parametrize(("changed", "state", "reason", "charged", "requests"), TASKS_IN_EVERY_STATE.values(), ids=TASKS_IN_EVERY_STATE)  # fmt: skip
def test_task_can_be_deleted_in_every_state(
    env: TestEnvironment,
    changed: dict[str, Any],
    state: str,
    reason: str | None,
    charged: Decimal | None,
    requests: int,
) -> None:
    before = env.put(task(notification_url=CALLER_URL, detail=f"quotes {PROMPT}", **changed))

    owner_tasks(env).delete("owner", before.task_id)
    assert env.cloud.messages() == [
        {"task_id": before.task_id, "source": "delete", "poyo_id": None, "due_since": None}
    ]
    after = reconcile_until_at_rest(env, before)

    check_tombstone(env, after)
    assert (after.state, after.reason, after.charged_credits) == (state, reason, charged)
    assert len(env.fake_poyo.requests) == requests
    assert env.file_host.fetched == []
    assert env.notifications.sent == []


def test_deleted_task_that_poyo_fails_is_not_charged(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with(
        "GET", status_response("failed", error_message=f"{PROMPT} is not nice")
    )
    before = put_running(env, notification_url=CALLER_URL)
    owner_tasks(env).delete("owner", before.task_id)

    after = reconcile_until_at_rest(env, before)

    check_tombstone(env, after)
    assert (after.state, after.reason, after.charged_credits) == ("failed", "upstream", None)
