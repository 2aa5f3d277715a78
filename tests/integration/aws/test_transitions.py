"""Every transition applied to every kind of item, in DynamoDB and by the condition in Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imagetasks.aws.task_repository import WriteResult
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import State, Task, task_pk
from imagetasks.tasks.task_item import to_item
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.tasks.transitions import TRANSITIONS
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, START
from tests.support.transition_cases import (
    BASES,
    ITEMS,
    NOW,
    TARGETS,
    WRITES,
    is_allowed,
    make_write,
)


@pytest.fixture(scope="module")
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


def apply(env: TestEnvironment, transition: TransitionWrite) -> WriteResult:
    return (
        env.repository.confirm_submission(transition, "NEW")
        if transition.name == "confirm_submission"
        else env.repository.apply(transition)
    )


def release_poyo_id(env: TestEnvironment) -> None:
    env.table.client.delete_item(TableName=env.table.name, Key={"pk": {"S": "poyo#NEW"}})


def test_table_has_every_transition_every_reason_and_every_state() -> None:
    assert {name.split(":")[0].split(" ")[0] for name in WRITES} == set(TRANSITIONS)
    failing = [name.removeprefix("fail: ") for name in WRITES if ": " in name]
    assert {name.partition(",")[0] for name in failing} == set(REASONS)
    assert {item["state"] for item in ITEMS.values()} >= set(State)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("item", ITEMS)
def test_transition_is_applied_where_it_is_allowed_and_changes_nothing_elsewhere(
    env: TestEnvironment, item: str, write: str
) -> None:
    before, transition = make_write(item, write)
    release_poyo_id(env)
    env.put(before)
    allowed = is_allowed(item, write)

    result = apply(env, transition)

    assert transition.update.condition.holds(to_item(before)) is allowed
    assert result.applied is allowed
    after = env.read(before)
    assert result.task == after
    if allowed:
        assert env.table.get(task_pk(before.task_id)) == transition.update.applied(to_item(before))
        check_transition(before, after, transition)
        check_notification(before, after, write)
        check_owner_lists(after)
    else:
        assert after == before
        # PoYo's answer gave the id to this task, whether or not the task can take it.
        assert env.table.get("poyo#NEW").get("task_id", before.task_id) == before.task_id
    check_due_index(env, after)


def check_transition(before: Task, after: Task, transition: TransitionWrite) -> None:
    """The state is the transition's target, the write token is ours and the history has its event."""
    assert after.state == (TARGETS[transition.name] or before.state)
    assert (after.write_token, after.updated_at) == ("mine", NOW)
    entries = 1 if TRANSITIONS[transition.name].event else 0
    assert len(after.history) == len(before.history) + entries
    assert after.history[: len(before.history)] == before.history
    if (
        transition.name in ("finish", "fail")
        and after.notification_attempts is None
        and after.deleted_at is None
    ):
        assert after.due_at is None


def check_notification(before: Task, after: Task, write: str) -> None:
    """An end sets a notification, unless the response to the order says it; a deletion is due at once
    and cancels every notification."""
    ends = write == "finish" or write.startswith("fail")
    if after.deleted_at is not None:
        assert (
            after.notification_url,
            after.notification_attempts,
            after.next_notification_at,
        ) == (None, None, None)
        assert after.due_at == NOW or not (ends or write == "delete")
    elif ends and before.notification_url and "not notified" not in write:
        assert (after.notification_attempts, after.next_notification_at, after.due_at) == (
            0,
            NOW,
            NOW,
        )
    elif write not in ("reschedule", "reschedule out of the index"):
        assert (after.notification_attempts, after.next_notification_at) == (
            before.notification_attempts,
            before.next_notification_at,
        )


def check_owner_lists(after: Task) -> None:
    """The owner's lists follow the status; a tombstone is in no list and has nothing of its order."""
    if after.deleted_at is None:
        assert after.owner_key == "owner"
        if after.state in set(State):
            assert after.owner_status_key in (f"{after.status}#owner", "open#owner")
        return
    assert (after.owner_key, after.owner_status_key, after.file_url_key) == (None, None, "")
    assert (after.input, after.metadata, after.detail) == ({}, {}, None)


def check_due_index(env: TestEnvironment, after: Task) -> None:
    """The due index has exactly the tasks that have a `due_at`."""
    assert env.is_due(after) is (after.due_at is not None)
    assert (after.due_at is None) is (after.due_shard is None)


@pytest.mark.parametrize("write", WRITES)
def test_write_whose_response_was_lost_is_recognised_as_our_own(
    env: TestEnvironment, write: str
) -> None:
    item = min(item for item in BASES if is_allowed(item, write))
    before, transition = make_write(item, write, token="lost")
    release_poyo_id(env)
    env.put(before)

    first, repeated = apply(env, transition), apply(env, transition)

    assert first.applied
    assert repeated.applied
    assert repeated.task == first.task
    _, concurrent = make_write(item, write, token="other")
    other = apply(env, concurrent)
    assert other.applied is concurrent.update.condition.holds(to_item(first.task))


CONCURRENT_CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("defer", "submitting", {"attempt": 2}),
    ("defer", "submitting", {"candidate_poyo_ids": (POYO_ID,)}),
    ("defer", "submitting", {"callback_at": START}),
    ("mark_unknown", "submitting", {"attempt": 2}),
    ("mark_unknown", "submitting", {"state": "pending"}),
    ("mark_unknown", "submitting", {"candidate_poyo_ids": (POYO_ID,)}),
    ("mark_unknown", "submitting", {"callback_at": START}),
    ("retry", "pending", {"attempt": 2}),
    ("retry", "pending", {"candidate_poyo_ids": (POYO_ID,)}),
    ("retry", "pending", {"callback_at": START}),
    ("retry", "pending", {"not_before": START + 2}),
    ("retry", "pending", {"poyo_id": POYO_ID}),
    ("finish", "running", {"poyo_id": "OTHER"}),
    ("fail: upstream", "running", {"poyo_id": "OTHER"}),
    ("fail: unconfirmed", "unknown", {"candidate_poyo_ids": (POYO_ID,)}),
    (
        "fail: unconfirmed",
        "unknown, with a candidate",
        {"candidate_poyo_ids": (POYO_ID, "ANOTHER")},
    ),
    ("fail: rejected", "submitting", {"attempt": 2}),
    ("fail: rejected", "submitting", {"poyo_id": POYO_ID}),
    ("fail: rejected", "submitting", {"candidate_poyo_ids": (POYO_ID,)}),
    ("fail: rejected", "submitting", {"callback_at": START}),
    ("fail: unavailable", "pending", {"candidate_poyo_ids": (POYO_ID,)}),
    ("fail: timed_out", "running", {"callback_at": START}),
    ("fail: timed_out", "running", {"result_seen_at": START}),
    ("fail: upstream", "running", {"failure_seen_at": START}),
    ("reschedule", "running", {"due_at": START + 1}),
    ("reschedule", "running", {"due_at": None, "due_shard": None}),
    ("reschedule", "failed: timed_out", {"due_at": START + 1, "due_shard": "1"}),
    ("reschedule", "submitting", {"state": "pending"}),
    ("reschedule", "unknown", {"candidate_poyo_ids": (POYO_ID,)}),
    ("reschedule", "unknown", {"poyo_id": POYO_ID}),
    ("reschedule", "running", {"callback_at": START}),
    ("reschedule", "finished", {"notification_attempts": 1}),
    ("reopen", "failed: timed_out", {"poyo_id": "OTHER"}),
    ("reopen", "failed: timed_out", {"reason": "upstream"}),
    *(
        (write, min(item for item in BASES if is_allowed(item, write)), {"deleted_at": START + 2})
        for write in WRITES
    ),
]


@pytest.mark.parametrize(("write", "item", "meanwhile"), CONCURRENT_CHANGES)
def test_concurrent_change_of_an_unchanged_attribute_prevents_the_transition(
    env: TestEnvironment, write: str, item: str, meanwhile: dict[str, Any]
) -> None:
    before, transition = make_write(item, write)
    current = env.put(replace(before, **meanwhile))

    result = apply(env, transition)

    assert not result.applied
    assert not transition.update.condition.holds(to_item(current))
    assert env.read(before) == current
