"""Tasks in DynamoDB: created once, claimed once, one PoYo id for each, and errors by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import DueTask, TaskRepository, WriteResult
from imagetasks.clock import WriteStamp
from imagetasks.errors import DatabaseUnavailable, PoyoIdConflict, TaskNotFound
from imagetasks.tasks import transition_writes
from imagetasks.tasks.task import StoredImage, Task, shard_of
from imagetasks.tasks.transition_write import TransitionWrite
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, START, task
from tests.support.stored_tasks import CALLER_URL
from tests.support.unavailable import UnavailableRepository

NOW = START + 5_000
LATER = START + 300_000
STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)
ENDED: dict[str, Any] = {"due_at": None, "due_shard": None, "finished_at": START}
STAMP = WriteStamp(NOW, "token")


@pytest.fixture(scope="module")
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


def release_poyo_id(env: TestEnvironment) -> None:
    env.table.client.delete_item(TableName=env.table.name, Key={"pk": {"S": "poyo#NEW"}})


def test_task_is_created_once(env: TestEnvironment) -> None:
    created = task("once")

    first = env.repository.create(created)
    replay = env.repository.create(replace(created, write_token="another", created_at=NOW))
    after_lost_response = env.repository.create(created)

    assert (first.applied, replay.applied, after_lost_response.applied) == (True, False, True)
    assert replay.task == created
    assert env.read(created) == created


def test_missing_task_is_not_found_and_not_claimed(env: TestEnvironment) -> None:
    missing = task("missing")

    with pytest.raises(TaskNotFound):
        env.repository.get(missing.task_id)
    with pytest.raises(TaskNotFound):
        env.repository.apply(
            transition_writes.mark_unknown(missing, STAMP, expires_at=LATER, detail="")
        )
    with pytest.raises(TaskNotFound):
        env.repository.confirm_submission(
            transition_writes.confirm_submission(
                missing, STAMP, poyo_id="N2", due_at=LATER, source="answer"
            ),
            "N2",
        )
    assert not env.repository.claim(DueTask(missing.task_id, START, START), until=LATER)


def test_only_one_sweep_claims_a_task(env: TestEnvironment) -> None:
    created = env.put(task("claimed"))
    due = DueTask(created.task_id, START + 60_000, START + 60_000)

    assert env.repository.claim(due, until=LATER)
    assert not env.repository.claim(due, until=LATER + 1)
    assert env.read(created).due_at == LATER


def confirmation(each: Task, source: str) -> TransitionWrite:
    return transition_writes.confirm_submission(
        each, STAMP, poyo_id="NEW", due_at=LATER, source=source
    )


@pytest.mark.parametrize("source", ["answer", "callback"])
def test_poyo_id_is_confirmed_for_one_task_and_the_other_stays_as_it_is(
    env: TestEnvironment, source: str
) -> None:
    release_poyo_id(env)
    first, second = (env.put(task(each, state="unknown")) for each in ("first", "second"))
    env.repository.name_poyo_id("NEW", first.task_id, now=NOW)

    def confirm(each: Task) -> WriteResult:
        write, named = confirmation(each, source), source == "callback"
        return env.repository.confirm_submission(write, "NEW", named=named)

    assert confirm(first).task.poyo_id == "NEW"
    with pytest.raises(PoyoIdConflict):
        confirm(second)
    assert env.read(second) == second


def test_confirmation_that_stopped_after_its_first_write_is_repeated(env: TestEnvironment) -> None:
    release_poyo_id(env)
    before = env.put(task("crashed", state="unknown"))
    other = env.put(task("other", state="unknown"))
    crashed = UnavailableRepository(env.table, fails=frozenset({"apply"}))
    with pytest.raises(DatabaseUnavailable):
        crashed.confirm_submission(confirmation(before, "answer"), "NEW")
    assert (env.read(before), env.table.get("poyo#NEW")["task_id"]) == (before, before.task_id)

    with pytest.raises(PoyoIdConflict):
        env.repository.name_poyo_id("NEW", other.task_id, now=NOW)
    with pytest.raises(PoyoIdConflict):
        env.repository.confirm_submission(confirmation(other, "answer"), "NEW")
    assert env.repository.name_poyo_id("NEW", before.task_id, now=NOW) == 0
    result = env.repository.confirm_submission(confirmation(before, "answer"), "NEW")

    assert result.applied
    assert result.task.poyo_id == "NEW"


def test_task_with_a_poyo_id_is_never_given_another(env: TestEnvironment) -> None:
    before = env.put(task(state="running", poyo_id=POYO_ID, confirmed_at=START))
    owners = {"answer": {"pk": "poyo#NEW", "task_id": before.task_id}}

    for source in ("answer", "callback"):
        release_poyo_id(env)
        named = source == "callback"
        if named:  # it may have lied, so that the id stays free
            env.repository.name_poyo_id("NEW", before.task_id, now=NOW)
            owners[source] = env.table.get("poyo#NEW")
        write = confirmation(before, source)
        result = env.repository.confirm_submission(write, "NEW", named=named)

        assert not result.applied
        assert result.task == before
        assert env.table.get("poyo#NEW") == owners[source]
    assert "task_id" not in owners["callback"]


def test_id_that_no_callback_named_is_not_confirmed_as_named(env: TestEnvironment) -> None:
    release_poyo_id(env)
    before = env.put(task("unnamed", state="unknown"))

    with pytest.raises(PoyoIdConflict):
        env.repository.confirm_submission(confirmation(before, "callback"), "NEW", named=True)

    assert (env.read(before), env.table.get("poyo#NEW")) == (before, {})


def test_confirmation_removes_the_failure_and_keeps_the_candidates_as_evidence(
    env: TestEnvironment,
) -> None:
    release_poyo_id(env)
    before = env.put(
        task(
            state="failed",
            reason="unconfirmed",
            detail="answer lost",
            candidate_poyo_ids=("NEW", "SECOND"),
            not_before=START,
            **ENDED,
        )
    )
    transition = transition_writes.confirm_submission(
        before, STAMP, poyo_id="NEW", due_at=LATER, source="callback"
    )

    after = env.repository.confirm_submission(transition, "NEW").task

    assert (after.state, after.poyo_id, after.confirmed_at) == ("running", "NEW", NOW)
    assert (after.reason, after.detail, after.finished_at) == (None, None, None)
    assert (after.candidate_poyo_ids, after.not_before) == (("NEW", "SECOND"), None)
    assert (after.due_at, after.due_shard) == (LATER, shard_of(before.task_id))
    assert after.history[-1] == {"at": NOW, "event": "submitted", "source": "callback"}


def test_delete_keeps_credits_owner_and_fingerprint(
    env: TestEnvironment,
) -> None:
    finished: dict[str, Any] = {
        "charged_credits": Decimal(2),
        "state": "finished",
        "files": (STORED_IMAGE,),
        "poyo_id": POYO_ID,
    }
    before = env.put(task(detail="PROMPT", notification_url=CALLER_URL, **finished | ENDED))

    after = env.repository.apply(transition_writes.delete(before, STAMP)).task

    assert (after.charged_credits, after.estimated_credits, after.state) == (
        Decimal(2),
        Decimal(2),
        "finished",
    )
    assert (after.fingerprint, after.owner) == (before.fingerprint, before.owner)
    assert (after.deleted_at, after.due_at, after.files) == (NOW, NOW, (STORED_IMAGE,))
    assert after.history[-1] == {"at": NOW, "event": "deleted"}


def test_unavailable_table_raises_database_unavailable(env: TestEnvironment) -> None:
    table = Table(env.table.client, "no-such-table")
    unavailable = TaskRepository(table)
    write = transition_writes.confirm_submission(
        task(state="unknown"), STAMP, poyo_id="NEW", due_at=LATER, source="callback"
    )

    for use in (
        lambda: unavailable.get("t"),
        lambda: unavailable.create(task()),
        lambda: unavailable.find_due("0", now=NOW, limit=1),
        lambda: unavailable.claim(DueTask("t", 1, 1), until=2),
        lambda: unavailable.confirm_submission(write, "NEW"),
    ):
        with pytest.raises(DatabaseUnavailable):
            use()
