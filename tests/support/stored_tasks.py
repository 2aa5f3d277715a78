"""Tasks in the states that the workflows' tests start from, and what these tests read of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from imagetasks.aws.wait_slots import WaitSlots
from imagetasks.limits import Limits
from imagetasks.tasks.task import Task
from imagetasks.workflows.owner_tasks import OwnerTasks
from tests.support.environment import TestEnvironment
from tests.support.fakes import POYO_ID, PROMPT, START, task

LIMITS = Limits()
DAY_S = 24 * 60 * 60
CALLER_URL = "https://caller.example/canary-path"  # the callback_url of an order


def put_running(env: TestEnvironment, **changed: Any) -> Task:
    """A running task in the table."""
    values: dict[str, Any] = {"state": "running", "poyo_id": POYO_ID, "confirmed_at": START}
    return env.put(task(**values | changed))


def put_failed(env: TestEnvironment, reason: str, **changed: Any) -> Task:
    """A failed task in the table, which is not due."""
    values: dict[str, Any] = {"state": "failed", "reason": reason, "finished_at": START}
    return env.put(task(**values | {"due_at": None, "due_shard": None} | changed))


def put_ended(env: TestEnvironment, **changed: Any) -> Task:
    """A task that has just ended, as `finish` and `fail` leave it when its caller is notified."""
    values: dict[str, Any] = {"state": "finished", "poyo_id": POYO_ID, "finished_at": START}
    pending = {
        "notification_url": CALLER_URL,
        "notification_attempts": 0,
        "next_notification_at": START,
        "due_at": START,
    }
    return env.put(task(**values | pending | changed))


def owner_tasks(env: TestEnvironment) -> OwnerTasks:
    """The owners' workflow, whose waits move the manual clock."""
    return OwnerTasks(
        repository=env.repository,
        updater=env.updater,
        clock=env.clock,
        wait_slots=WaitSlots(table=env.table, clock=env.clock, count=1),
        sleep=env.time.forward,
    )


def seconds_until_due(task: Task, env: TestEnvironment) -> float:
    """Seconds from now until the task is reconciled next."""
    assert task.due_at is not None
    return (task.due_at - env.time.now) / 1000


def is_at_rest(env: TestEnvironment, task: Task) -> bool:
    """Whether the task is not due and no notification is pending."""
    pending = (task.due_at, task.notification_attempts, task.next_notification_at)
    return not env.is_due(task) and pending == (None,) * 3


def stored_images(env: TestEnvironment) -> list[str]:
    """The keys of all images in the bucket."""
    found = env.cloud.client("s3").list_objects_v2(Bucket=env.cloud.bucket)
    return [each["Key"] for each in found.get("Contents", ())]


def reconcile_until_at_rest(env: TestEnvironment, before: Task) -> Task:
    """The task when it is no longer due: the sweep enqueues it whenever it is due."""
    for _ in range(30):
        after = env.read(before)
        if after.due_at is None:
            return after
        env.time.now = max(env.time.now, after.due_at)
        if env.reconcile(before, source="sweep").due_at == after.due_at:
            env.time.forward(LIMITS.claim_s)  # until the sweep's claim expires
    pytest.fail(f"the task is due again and again: {after.state}, {after.reason}")


def check_tombstone(env: TestEnvironment, after: Task) -> None:
    """Nothing is left of the order and its images, in the table or in the bucket."""
    assert after.deleted_at is not None
    assert is_at_rest(env, after)
    assert (after.files, after.input, after.metadata) == ((), {}, {})
    assert (after.owner_key, after.owner_status_key, after.file_url_key) == (None, None, "")
    assert stored_images(env) == []
    assert PROMPT not in json.dumps(env.table.get(f"task#{after.task_id}"), default=str)


class ReadingReceiver:
    """A receiver of notifications that reads the task during the POST and then calls `act`."""

    def __init__(self, env: TestEnvironment, act: Callable[[], object] = lambda: None) -> None:
        self.seen: list[Task] = []
        self._env = env
        self._act = act

    def send(self, url: str, body: bytes, *, headers: Any) -> None:
        self.seen.append(self._env.repository.get(json.loads(body)["task_id"]))
        self._act()


def sent_statuses(env: TestEnvironment) -> list[str]:
    """The statuses that the callers were notified of, in order."""
    return [body["status"] for _, body, _ in env.notifications.sent]
