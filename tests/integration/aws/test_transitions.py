"""The life of a task: every transition tried in every state, on a table, against the check."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.aws.task_repository import DueTask, WriteResult
from imagetasks.clock import WriteStamp
from imagetasks.errors import DatabaseUnavailable, PoyoIdConflict, TaskNotFound
from imagetasks.tasks import transition_writes
from imagetasks.tasks.failure_reasons import REASONS, RECOVERABLE
from imagetasks.tasks.task import State, StoredImage, Task, shard_of, task_pk, to_item
from imagetasks.tasks.transition_writes import TransitionWrite
from imagetasks.tasks.transitions import TRANSITIONS
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, START, task

NOW = START + 5_000
LATER = START + 300_000
KEPT = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)
ENDED: dict[str, Any] = {"due_at": None, "due_shard": None, "finished_at": START}

# Every kind of row there is: the states, the open ones with and without a hint, each failure.
ROWS: dict[str, dict[str, Any]] = {
    "submitting": {"state": "submitting"},
    "submitting, hinted": {"state": "submitting", "candidate_poyo_ids": (POYO_ID,)},
    "submitting again": {"state": "submitting", "attempt": 2},
    "pending": {"state": "pending", "not_before": START + 1},
    "unknown": {"state": "unknown", "detail": "answer lost"},
    "unknown, hinted": {"state": "unknown", "candidate_poyo_ids": (POYO_ID,)},
    "running": {"state": "running", "poyo_id": POYO_ID, "confirmed_at": START},
    "finished": {"state": "finished", "poyo_id": POYO_ID, "files": (KEPT,)} | ENDED,
    **{
        f"failed: {reason}": {
            "state": "failed",
            "reason": reason,
            "poyo_id": None if reason in ("unconfirmed", "rejected", "unavailable") else POYO_ID,
        }
        | ENDED
        for reason in REASONS
    },
    "failed: unconfirmed, due": {"state": "failed", "reason": "unconfirmed"},
    "a newer version's": {"state": "upscaling", "poyo_id": POYO_ID},
}
HOOK = "https://caller.example/hook"
TOLD: dict[str, Any] = {"notification_url": HOOK}
DELETED: dict[str, Any] = {
    "deleted_at": START + 1,
    "input": {},
    "metadata": {},
    "file_url_key": "",
    "owner_key": None,
    "owner_status_key": None,
    "detail": None,
}
# The same once more: deleted, and with a caller who wants to be told or is being told.
KINDS: dict[str, dict[str, Any]] = {
    "": {},
    ", deleted": DELETED,
    ", to be told": TOLD,
    ", being told": TOLD | {"notification_attempts": 3, "next_notification_at": START + 7},
}
WITH = [
    (row, kind)
    for row, made in ROWS.items()
    for kind in KINDS
    if kind in ("", ", deleted") or (kind == ", being told") is ("finished_at" in made)
]
BASES = {row + kind: row for row, kind in WITH}
ROWS = {row + kind: ROWS[row] | KINDS[kind] for row, kind in WITH}

OPEN_WITHOUT_ID = {
    "submitting",
    "submitting, hinted",
    "submitting again",
    "pending",
    "unknown",
    "unknown, hinted",
}
SUBMITTING = {"submitting", "submitting, hinted", "submitting again"}
UNKNOWN = {"unknown", "unknown, hinted"}
UNBOUND_SOFT = {"failed: unconfirmed", "failed: unconfirmed, due"}
SOFTLY = UNBOUND_SOFT | {"failed: timed_out", "failed: result_expired"}

Make = Callable[[Task, WriteStamp], TransitionWrite]


def _failing(reason: str, *, notify: bool = True) -> Make:
    return lambda task, at: transition_writes.fail(
        task, at, reason=reason, detail="why", notify=notify
    )


# What may happen, by name: how it is made, and the rows it may happen to.
ARROWS: dict[str, tuple[Make, set[str]]] = {
    "confirm_submission": (
        lambda task, at: transition_writes.confirm_submission(
            task, at, poyo_id="NEW", due_at=LATER, source="callback"
        ),
        OPEN_WITHOUT_ID | UNBOUND_SOFT,
    ),
    "defer": (
        lambda task, at: transition_writes.defer(
            task, at, not_before=LATER, due_at=LATER + 1, detail="429"
        ),
        SUBMITTING,
    ),
    "mark_unknown": (
        lambda task, at: transition_writes.mark_unknown(task, at, due_at=LATER, detail="lost"),
        SUBMITTING,
    ),
    "retry": (lambda task, at: transition_writes.retry(task, at, due_at=LATER), {"pending"}),
    "finish": (
        lambda task, at: transition_writes.finish(
            task, at, files=[KEPT], charged_credits=Decimal(2)
        ),
        {"running"} | SOFTLY,
    ),
    "reschedule": (
        lambda task, at: transition_writes.reschedule(task, at, due_at=LATER, polls=3),
        set(BASES.values()),
    ),
    "reschedule out of the index": (
        lambda task, at: transition_writes.reschedule(task, at, due_at=None),
        set(BASES.values()),
    ),
    "reopen": (
        lambda task, at: transition_writes.reopen(task, at, due_at=LATER, copy_attempts=1),
        SOFTLY,
    ),
    "delete": (transition_writes.delete, set(BASES.values())),
    "fail: rejected": (_failing("rejected"), SUBMITTING),
    "fail: rejected, not told": (_failing("rejected", notify=False), SUBMITTING),
    "fail: moderated": (_failing("moderated"), SUBMITTING | {"running"}),
    "fail: insufficient_credits": (_failing("insufficient_credits"), SUBMITTING),
    "fail: unavailable": (_failing("unavailable"), SUBMITTING | {"pending"}),
    "fail: unconfirmed": (_failing("unconfirmed"), UNKNOWN),
    "fail: timed_out": (_failing("timed_out"), {"running"}),
    "fail: upstream": (_failing("upstream"), {"running"}),
    "fail: bad_result": (_failing("bad_result"), {"running"}),
    "fail: result_expired": (_failing("result_expired"), {"running"}),
}
TARGETS = {name: transition.target for name, transition in TRANSITIONS.items()}


def may(row: str, arrow: str) -> bool:
    """Whether the arrow may be taken from the row: nothing is deleted twice."""
    deleted = "deleted_at" in ROWS[row]
    return BASES[row] in ARROWS[arrow][1] and not (deleted and arrow == "delete")


def made(row: str, arrow: str, stamp: str = "mine") -> tuple[Task, TransitionWrite]:
    before = task(**ROWS[row])
    return before, ARROWS[arrow][0](before, WriteStamp(NOW, stamp))


@pytest.fixture(scope="module")
def env() -> Iterator[TestEnvironment]:
    with new_environment() as made_world:
        yield made_world


def applied(env: TestEnvironment, change: TransitionWrite) -> WriteResult:
    return (
        env.repository.confirm_submission(change, "NEW")
        if change.name == "confirm_submission"
        else env.repository.apply(change)
    )


def forget_owners(env: TestEnvironment) -> None:
    env.table.client.delete_item(TableName=env.table.name, Key={"pk": {"S": "poyo#NEW"}})


def test_every_transition_and_every_reason_is_tried() -> None:
    assert {name.split(":")[0].split(" ")[0] for name in ARROWS} == set(TRANSITIONS)
    failing = [name.removeprefix("fail: ") for name in ARROWS if ": " in name]
    assert {name.partition(",")[0] for name in failing} == set(REASONS)
    assert {row["state"] for row in ROWS.values()} >= set(State)


@pytest.mark.parametrize("arrow", ARROWS)
@pytest.mark.parametrize("row", ROWS)
def test_a_transition_happens_where_it_may_and_moves_nothing_elsewhere(
    env: TestEnvironment, row: str, arrow: str
) -> None:
    before, change = made(row, arrow)
    forget_owners(env)
    env.put(before)
    allowed = may(row, arrow)

    outcome = applied(env, change)

    assert change.update.condition.holds(to_item(before)) is allowed
    assert outcome.applied is allowed
    after = env.read(before)
    assert outcome.task == after
    if allowed:
        assert env.table.get(task_pk(before.task_id)) == change.update.applied(to_item(before))
        check_moved(before, after, change)
        check_told(before, after, arrow)
        check_listed(after)
    else:
        assert after == before
        assert env.table.get("poyo#NEW") == {}
    check_to_do(env, after)


def check_moved(before: Task, after: Task, change: TransitionWrite) -> None:
    """The state is the arrow's, the stamp is ours, the history one line longer if at all."""
    assert after.state == (TARGETS[change.name] or before.state)
    assert (after.write_token, after.updated_at) == ("mine", NOW)
    lines = 1 if TRANSITIONS[change.name].event else 0
    assert len(after.history) == len(before.history) + lines
    assert after.history[: len(before.history)] == before.history
    if (
        change.name in ("finish", "fail")
        and after.notification_attempts is None
        and after.deleted_at is None
    ):
        assert after.due_at is None


def check_told(before: Task, after: Task, arrow: str) -> None:
    """An end is told from the beginning, unless the answer to the order says it; a deletion is
    due at once, and from then on nobody is told anything."""
    ends = arrow == "finish" or arrow.startswith("fail")
    if after.deleted_at is not None:
        assert (
            after.notification_url,
            after.notification_attempts,
            after.next_notification_at,
        ) == (None, None, None)
        assert after.due_at == NOW or not (ends or arrow == "delete")
    elif ends and before.notification_url and "not told" not in arrow:
        assert (after.notification_attempts, after.next_notification_at, after.due_at) == (
            0,
            NOW,
            NOW,
        )
    elif arrow not in ("reschedule", "reschedule out of the index"):
        assert (after.notification_attempts, after.next_notification_at) == (
            before.notification_attempts,
            before.next_notification_at,
        )


def check_listed(after: Task) -> None:
    """The lists follow the status; what was deleted is on none, and says nothing of its order."""
    if after.deleted_at is None:
        assert after.owner_key == "owner"
        if after.state in set(State):
            assert after.owner_status_key in (f"{after.status}#owner", "not_started#owner")
        return
    assert (after.owner_key, after.owner_status_key, after.file_url_key) == (None, None, "")
    assert (after.input, after.metadata, after.detail) == ({}, {}, None)


def check_to_do(env: TestEnvironment, after: Task) -> None:
    """The index has exactly what has a next look."""
    assert env.is_due(after) is (after.due_at is not None)
    assert (after.due_at is None) is (after.due_shard is None)


@pytest.mark.parametrize("arrow", ARROWS)
def test_a_write_whose_answer_was_lost_is_recognised_as_our_own(
    env: TestEnvironment, arrow: str
) -> None:
    row = min(row for row in BASES if may(row, arrow))
    before, change = made(row, arrow, stamp="the lost one")
    forget_owners(env)
    env.put(before)

    first, again = applied(env, change), applied(env, change)

    assert first.applied
    assert again.applied
    assert again.task == first.task
    _, theirs = made(row, arrow, stamp="somebody else's")
    other = applied(env, theirs)
    assert other.applied is theirs.update.condition.holds(to_item(first.task))


SAME: list[tuple[str, str, dict[str, Any]]] = [
    ("defer", "submitting", {"attempt": 2}),
    ("mark_unknown", "submitting", {"attempt": 2}),
    ("retry", "pending", {"attempt": 2}),
    ("finish", "running", {"poyo_id": "OTHER"}),
    ("fail: upstream", "running", {"poyo_id": "OTHER"}),
    ("fail: unconfirmed", "unknown", {"candidate_poyo_ids": (POYO_ID,)}),
    ("fail: unconfirmed", "unknown, hinted", {"candidate_poyo_ids": (POYO_ID, "ANOTHER")}),
    ("fail: rejected", "submitting", {"attempt": 2}),
    ("fail: rejected", "submitting", {"poyo_id": POYO_ID}),
    ("reschedule", "running", {"due_at": START + 1}),
    ("reschedule", "running", {"due_at": None, "due_shard": None}),
    ("reschedule", "failed: timed_out", {"due_at": START + 1, "due_shard": "1"}),
    ("reschedule", "submitting", {"state": "pending"}),
    ("reopen", "failed: timed_out", {"poyo_id": "OTHER"}),
    *(
        (arrow, min(row for row in BASES if may(row, arrow)), {"deleted_at": START + 2})
        for arrow in ARROWS
    ),
]


@pytest.mark.parametrize(("arrow", "row", "meanwhile"), SAME)
def test_what_changed_meanwhile_refuses_the_transition(
    env: TestEnvironment, arrow: str, row: str, meanwhile: dict[str, Any]
) -> None:
    before, change = made(row, arrow)
    stands = env.put(replace(before, **meanwhile))

    outcome = applied(env, change)

    assert not outcome.applied
    assert not change.update.condition.holds(to_item(stands))
    assert env.read(before) == stands


def test_binding_claims_the_id_and_moves_the_task_together(env: TestEnvironment) -> None:
    forget_owners(env)
    first, second = task("first", state="unknown"), task("second", state="unknown")
    env.put(first)
    env.put(second)
    at = WriteStamp(NOW, "write_token")

    def bound(each: Task) -> WriteResult:
        change = transition_writes.confirm_submission(
            each, at, poyo_id="NEW", due_at=LATER, source="callback"
        )
        return env.repository.confirm_submission(change, "NEW")

    assert bound(first).task.poyo_id == "NEW"
    with pytest.raises(PoyoIdConflict):
        bound(second)
    assert env.read(second) == second


def test_what_is_deleted_keeps_its_money_and_its_key_and_nothing_of_its_order(
    env: TestEnvironment,
) -> None:
    paid: dict[str, Any] = {
        "charged_credits": Decimal(2),
        "state": "finished",
        "files": (KEPT,),
        "poyo_id": POYO_ID,
    }
    before = env.put(task(detail="PROMPT", notification_url=HOOK, **paid | ENDED))

    after = env.repository.apply(transition_writes.delete(before, WriteStamp(NOW, "s"))).task

    assert (after.charged_credits, after.estimated_credits, after.state) == (
        Decimal(2),
        Decimal(2),
        "finished",
    )
    assert (after.fingerprint, after.owner) == (before.fingerprint, before.owner)
    assert (after.deleted_at, after.due_at, after.files) == (NOW, NOW, (KEPT,))
    assert after.history[-1] == {"at": NOW, "event": "deleted"}


def test_a_task_that_has_an_id_never_gets_another(env: TestEnvironment) -> None:
    forget_owners(env)
    before = env.put(task(**ROWS["running"]))
    change = transition_writes.confirm_submission(
        before, WriteStamp(NOW, "s"), poyo_id="NEW", due_at=LATER, source="answer"
    )

    outcome = env.repository.confirm_submission(change, "NEW")

    assert not outcome.applied
    assert outcome.task == before
    assert env.table.get("poyo#NEW") == {}


def test_binding_forgets_the_doubt_and_the_failure(env: TestEnvironment) -> None:
    forget_owners(env)
    before = env.put(
        task(
            state="failed",
            reason="unconfirmed",
            detail="answer lost",
            candidate_poyo_ids=("NEW",),
            not_before=START,
            **ENDED,
        )
    )
    change = transition_writes.confirm_submission(
        before, WriteStamp(NOW, "s"), poyo_id="NEW", due_at=LATER, source="callback"
    )

    after = env.repository.confirm_submission(change, "NEW").task

    assert (after.state, after.poyo_id, after.confirmed_at) == ("running", "NEW", NOW)
    assert (after.reason, after.detail, after.finished_at) == (None, None, None)
    assert (after.candidate_poyo_ids, after.not_before) == ((), None)
    assert (after.due_at, after.due_shard) == (LATER, shard_of(before.task_id))
    assert after.history[-1] == {"at": NOW, "event": "submitted", "source": "callback"}


def test_nothing_happens_to_a_task_that_is_not_there(env: TestEnvironment) -> None:
    nobody = task("nobody")

    with pytest.raises(TaskNotFound):
        env.repository.get(nobody.task_id)
    with pytest.raises(TaskNotFound):
        env.repository.apply(
            transition_writes.mark_unknown(nobody, WriteStamp(NOW, "s"), due_at=LATER, detail="")
        )
    with pytest.raises(TaskNotFound):
        env.repository.confirm_submission(
            transition_writes.confirm_submission(
                nobody, WriteStamp(NOW, "s"), poyo_id="N2", due_at=LATER, source="answer"
            ),
            "N2",
        )
    assert not env.repository.claim(DueTask(nobody.task_id, START), until=LATER)


def test_an_order_is_written_once(env: TestEnvironment) -> None:
    mine = task("once")

    first = env.repository.create(mine)
    replay = env.repository.create(replace(mine, write_token="another", created_at=NOW))
    lost_answer = env.repository.create(mine)

    assert (first.applied, replay.applied, lost_answer.applied) == (True, False, True)
    assert replay.task == mine
    assert env.read(mine) == mine


def test_only_one_sweep_claims(env: TestEnvironment) -> None:
    mine = env.put(task("claimed"))
    due = DueTask(mine.task_id, START + 60_000)

    assert env.repository.claim(due, until=LATER)
    assert not env.repository.claim(due, until=LATER + 1)
    assert env.read(mine).due_at == LATER


def test_failures_that_late_truth_may_still_improve_are_few() -> None:
    assert set(RECOVERABLE) == {"unconfirmed", "timed_out", "result_expired"}


def test_a_table_that_is_away_says_so(env: TestEnvironment) -> None:
    lost = TestEnvironment(env.cloud)
    lost.repository = type(env.repository)(type(env.table)(env.table.client, "no-such-table"))

    for use in (
        lambda: lost.repository.get("t"),
        lambda: lost.repository.create(task()),
        lambda: lost.repository.find_due("0", now=NOW, limit=1),
        lambda: lost.repository.claim(DueTask("t", 1), until=2),
        lambda: lost.repository.confirm_submission(made("unknown", "confirm_submission")[1], "NEW"),
    ):
        with pytest.raises(DatabaseUnavailable):
            use()
