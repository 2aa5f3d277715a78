"""Tasks whose credits are booked in the table as the functions book them."""

from __future__ import annotations

from typing import Any

from imagetasks.tasks import transition_writes
from imagetasks.tasks.task import Task
from imagetasks.tasks.usage import usage_pk
from tests.support.environment import TestEnvironment
from tests.support.fakes import POYO_ID, task


def create(env: TestEnvironment, key: str = "key", **changed: Any) -> Task:
    """A new task that has reserved its estimate."""
    created = task(key, created_at=env.time.now, updated_at=env.time.now, **changed)
    with_items = task(
        key,
        created_at=env.time.now,
        updated_at=env.time.now,
        **changed | {"spend_pks": (usage_pk(created),)},
    )
    return env.repository.create(with_items).task


def running(env: TestEnvironment, key: str = "key", poyo_id: str = POYO_ID, **changed: Any) -> Task:
    """A running task that has reserved its estimate."""
    return env.updater.confirm_submission(
        create(env, key, **changed), poyo_id=poyo_id, source="answer"
    ).task


def timed_out(
    env: TestEnvironment, key: str = "key", poyo_id: str = POYO_ID, **changed: Any
) -> Task:
    """A failed task of which nobody knows whether PoYo charged it."""
    before = running(env, key, poyo_id, **changed)
    write = transition_writes.fail(before, env.clock.stamp(), reason="timed_out", detail="")
    return env.updater.apply(write).task


def unconfirmed(env: TestEnvironment, key: str = "key", **changed: Any) -> Task:
    """A failed task of which nobody knows whether PoYo created it."""
    before = create(env, key, **changed)
    unknown = env.updater.unknown(before, env.clock.stamp(), "the answer was lost")
    after = env.updater.apply(unknown).task
    write = transition_writes.fail(after, env.clock.stamp(), reason="unconfirmed", detail="")
    return env.updater.apply(write).task
