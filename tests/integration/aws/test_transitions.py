"""The life of a task: every transition tried in every state, on a table, against the check."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.aws.task_repository import Due, Outcome
from imagetasks.errors import PoyoIdTaken, StoreUnavailable, TaskNotFound
from imagetasks.tasks import transitions
from imagetasks.tasks.failure_reasons import REASONS, SOFT
from imagetasks.tasks.task import KeptFile, State, Task, row_key, shard_of, to_row
from imagetasks.tasks.transitions import TRANSITIONS, At, Change
from tests.support.environment import World, world
from tests.support.fakes import POYO_ID, START, task

NOW = START + 5_000
LATER = START + 300_000
KEPT = KeptFile(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)
ENDED: dict[str, Any] = {"due_at": None, "due_shard": None, "finished_at": START}

# Every kind of row there is: the states, the open ones with and without a hint, each failure.
ROWS: dict[str, dict[str, Any]] = {
    "submitting": {"state": "submitting"},
    "submitting, hinted": {"state": "submitting", "hints": (POYO_ID,)},
    "submitting again": {"state": "submitting", "attempt": 2},
    "pending": {"state": "pending", "not_before": START + 1},
    "unknown": {"state": "unknown", "detail": "answer lost"},
    "unknown, hinted": {"state": "unknown", "hints": (POYO_ID,)},
    "running": {"state": "running", "poyo_id": POYO_ID, "bound_at": START},
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
TOLD: dict[str, Any] = {"notify_url": HOOK}
DELETED: dict[str, Any] = {
    "deleted_at": START + 1,
    "input": {},
    "metadata": {},
    "link_key": "",
    "listed": None,
    "listed_status": None,
    "detail": None,
}
# The same once more: deleted, and with a caller who wants to be told or is being told.
KINDS: dict[str, dict[str, Any]] = {
    "": {},
    ", deleted": DELETED,
    ", to be told": TOLD,
    ", being told": TOLD | {"notices": 3, "notice_at": START + 7},
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

Make = Callable[[Task, At], Change]


def _failing(reason: str, *, tell: bool = True) -> Make:
    return lambda task, at: transitions.fail(task, at, reason=reason, detail="why", tell=tell)


# What may happen, by name: how it is made, and the rows it may happen to.
ARROWS: dict[str, tuple[Make, set[str]]] = {
    "bind": (
        lambda task, at: transitions.bind(task, at, poyo_id="NEW", due_at=LATER, how="callback"),
        OPEN_WITHOUT_ID | UNBOUND_SOFT,
    ),
    "defer": (
        lambda task, at: transitions.defer(
            task, at, not_before=LATER, due_at=LATER + 1, detail="429"
        ),
        SUBMITTING,
    ),
    "doubt": (
        lambda task, at: transitions.doubt(task, at, due_at=LATER, detail="lost"),
        SUBMITTING,
    ),
    "retry": (lambda task, at: transitions.retry(task, at, due_at=LATER), {"pending"}),
    "finish": (
        lambda task, at: transitions.finish(task, at, files=[asdict(KEPT)], charged=Decimal(2)),
        {"running"} | SOFTLY,
    ),
    "move": (
        lambda task, at: transitions.move(task, at, due_at=LATER, looks=3),
        set(BASES.values()),
    ),
    "move out of the index": (
        lambda task, at: transitions.move(task, at, due_at=None),
        set(BASES.values()),
    ),
    "revive": (
        lambda task, at: transitions.revive(task, at, due_at=LATER, copies=1),
        SOFTLY,
    ),
    "delete": (transitions.delete, set(BASES.values())),
    "fail: rejected": (_failing("rejected"), SUBMITTING),
    "fail: rejected, not told": (_failing("rejected", tell=False), SUBMITTING),
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


def made(row: str, arrow: str, stamp: str = "mine") -> tuple[Task, Change]:
    before = task(**ROWS[row])
    return before, ARROWS[arrow][0](before, At(NOW, stamp))


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made_world:
        yield made_world


def applied(here: World, change: Change) -> Outcome:
    return here.store.bind(change, "NEW") if change.name == "bind" else here.store.apply(change)


def forget_owners(here: World) -> None:
    here.table.client.delete_item(TableName=here.table.name, Key={"pk": {"S": "poyo#NEW"}})


def test_every_transition_and_every_reason_is_tried() -> None:
    assert {name.split(":")[0].split(" ")[0] for name in ARROWS} == set(TRANSITIONS)
    failing = [name.removeprefix("fail: ") for name in ARROWS if ": " in name]
    assert {name.partition(",")[0] for name in failing} == set(REASONS)
    assert {row["state"] for row in ROWS.values()} >= set(State)


@pytest.mark.parametrize("arrow", ARROWS)
@pytest.mark.parametrize("row", ROWS)
def test_a_transition_happens_where_it_may_and_moves_nothing_elsewhere(
    here: World, row: str, arrow: str
) -> None:
    before, change = made(row, arrow)
    forget_owners(here)
    here.put(before)
    allowed = may(row, arrow)

    outcome = applied(here, change)

    assert change.update.condition.holds(to_row(before)) is allowed
    assert outcome.won is allowed
    after = here.read(before)
    assert outcome.task == after
    if allowed:
        assert here.table.get(row_key(before.task_id)) == change.update.applied(to_row(before))
        check_moved(before, after, change)
        check_told(before, after, arrow)
        check_listed(after)
    else:
        assert after == before
        assert here.table.get("poyo#NEW") == {}
    check_to_do(here, after)


def check_moved(before: Task, after: Task, change: Change) -> None:
    """The state is the arrow's, the stamp is ours, the history one line longer if at all."""
    assert after.state == (TARGETS[change.name] or before.state)
    assert (after.stamp, after.updated_at) == ("mine", NOW)
    lines = 1 if TRANSITIONS[change.name].event else 0
    assert len(after.history) == len(before.history) + lines
    assert after.history[: len(before.history)] == before.history
    if change.name in ("finish", "fail") and after.notices is None and after.deleted_at is None:
        assert after.due_at is None


def check_told(before: Task, after: Task, arrow: str) -> None:
    """An end is told from the beginning, unless the answer to the order says it; a deletion is
    due at once, and from then on nobody is told anything."""
    ends = arrow == "finish" or arrow.startswith("fail")
    if after.deleted_at is not None:
        assert (after.notify_url, after.notices, after.notice_at) == (None, None, None)
        assert after.due_at == NOW or not (ends or arrow == "delete")
    elif ends and before.notify_url and "not told" not in arrow:
        assert (after.notices, after.notice_at, after.due_at) == (0, NOW, NOW)
    elif arrow not in ("move", "move out of the index"):
        assert (after.notices, after.notice_at) == (before.notices, before.notice_at)


def check_listed(after: Task) -> None:
    """The lists follow the status; what was deleted is on none, and says nothing of its order."""
    if after.deleted_at is None:
        assert after.listed == "owner"
        if after.state in set(State):
            assert after.listed_status in (f"{after.status}#owner", "not_started#owner")
        return
    assert (after.listed, after.listed_status, after.link_key) == (None, None, "")
    assert (after.input, after.metadata, after.detail) == ({}, {}, None)


def check_to_do(here: World, after: Task) -> None:
    """The index has exactly what has a next look."""
    assert here.due(after) is (after.due_at is not None)
    assert (after.due_at is None) is (after.due_shard is None)


@pytest.mark.parametrize("arrow", ARROWS)
def test_a_write_whose_answer_was_lost_is_recognised_as_our_own(here: World, arrow: str) -> None:
    row = min(row for row in BASES if may(row, arrow))
    before, change = made(row, arrow, stamp="the lost one")
    forget_owners(here)
    here.put(before)

    first, again = applied(here, change), applied(here, change)

    assert first.won
    assert again.won
    assert again.task == first.task
    _, theirs = made(row, arrow, stamp="somebody else's")
    other = applied(here, theirs)
    assert other.won is theirs.update.condition.holds(to_row(first.task))


SAME: list[tuple[str, str, dict[str, Any]]] = [
    ("defer", "submitting", {"attempt": 2}),
    ("doubt", "submitting", {"attempt": 2}),
    ("retry", "pending", {"attempt": 2}),
    ("finish", "running", {"poyo_id": "OTHER"}),
    ("fail: upstream", "running", {"poyo_id": "OTHER"}),
    ("fail: unconfirmed", "unknown", {"hints": (POYO_ID,)}),
    ("fail: unconfirmed", "unknown, hinted", {"hints": (POYO_ID, "ANOTHER")}),
    ("fail: rejected", "submitting", {"attempt": 2}),
    ("fail: rejected", "submitting", {"poyo_id": POYO_ID}),
    ("move", "running", {"due_at": START + 1}),
    ("move", "running", {"due_at": None, "due_shard": None}),
    ("move", "failed: timed_out", {"due_at": START + 1, "due_shard": "1"}),
    ("move", "submitting", {"state": "pending"}),
    ("revive", "failed: timed_out", {"poyo_id": "OTHER"}),
    *(
        (arrow, min(row for row in BASES if may(row, arrow)), {"deleted_at": START + 2})
        for arrow in ARROWS
    ),
]


@pytest.mark.parametrize(("arrow", "row", "meanwhile"), SAME)
def test_what_changed_meanwhile_refuses_the_transition(
    here: World, arrow: str, row: str, meanwhile: dict[str, Any]
) -> None:
    before, change = made(row, arrow)
    stands = here.put(replace(before, **meanwhile))

    outcome = applied(here, change)

    assert not outcome.won
    assert not change.update.condition.holds(to_row(stands))
    assert here.read(before) == stands


def test_binding_claims_the_id_and_moves_the_task_together(here: World) -> None:
    forget_owners(here)
    first, second = task("first", state="unknown"), task("second", state="unknown")
    here.put(first)
    here.put(second)
    at = At(NOW, "stamp")

    def bound(each: Task) -> Outcome:
        change = transitions.bind(each, at, poyo_id="NEW", due_at=LATER, how="callback")
        return here.store.bind(change, "NEW")

    assert bound(first).task.poyo_id == "NEW"
    with pytest.raises(PoyoIdTaken):
        bound(second)
    assert here.read(second) == second


def test_what_is_deleted_keeps_its_money_and_its_key_and_nothing_of_its_order(here: World) -> None:
    paid: dict[str, Any] = {
        "charged": Decimal(2),
        "state": "finished",
        "files": (KEPT,),
        "poyo_id": POYO_ID,
    }
    before = here.put(task(detail="PROMPT", notify_url=HOOK, **paid | ENDED))

    after = here.store.apply(transitions.delete(before, At(NOW, "s"))).task

    assert (after.charged, after.estimate, after.state) == (Decimal(2), Decimal(2), "finished")
    assert (after.fingerprint, after.owner) == (before.fingerprint, before.owner)
    assert (after.deleted_at, after.due_at, after.files) == (NOW, NOW, (KEPT,))
    assert after.history[-1] == {"at": NOW, "event": "deleted"}


def test_a_task_that_has_an_id_never_gets_another(here: World) -> None:
    forget_owners(here)
    before = here.put(task(**ROWS["running"]))
    change = transitions.bind(before, At(NOW, "s"), poyo_id="NEW", due_at=LATER, how="answer")

    outcome = here.store.bind(change, "NEW")

    assert not outcome.won
    assert outcome.task == before
    assert here.table.get("poyo#NEW") == {}


def test_binding_forgets_the_doubt_and_the_failure(here: World) -> None:
    forget_owners(here)
    before = here.put(
        task(
            state="failed",
            reason="unconfirmed",
            detail="answer lost",
            hints=("NEW",),
            not_before=START,
            **ENDED,
        )
    )
    change = transitions.bind(before, At(NOW, "s"), poyo_id="NEW", due_at=LATER, how="callback")

    after = here.store.bind(change, "NEW").task

    assert (after.state, after.poyo_id, after.bound_at) == ("running", "NEW", NOW)
    assert (after.reason, after.detail, after.finished_at) == (None, None, None)
    assert (after.hints, after.not_before) == ((), None)
    assert (after.due_at, after.due_shard) == (LATER, shard_of(before.task_id))
    assert after.history[-1] == {"at": NOW, "event": "submitted", "by": "callback"}


def test_nothing_happens_to_a_task_that_is_not_there(here: World) -> None:
    nobody = task("nobody")

    with pytest.raises(TaskNotFound):
        here.store.read(nobody.task_id)
    with pytest.raises(TaskNotFound):
        here.store.apply(transitions.doubt(nobody, At(NOW, "s"), due_at=LATER, detail=""))
    with pytest.raises(TaskNotFound):
        here.store.bind(
            transitions.bind(nobody, At(NOW, "s"), poyo_id="N2", due_at=LATER, how="answer"), "N2"
        )
    assert not here.store.claim(Due(nobody.task_id, START), until=LATER)


def test_an_order_is_written_once(here: World) -> None:
    mine = task("once")

    first = here.store.create(mine)
    replay = here.store.create(replace(mine, stamp="another", created_at=NOW))
    lost_answer = here.store.create(mine)

    assert (first.won, replay.won, lost_answer.won) == (True, False, True)
    assert replay.task == mine
    assert here.read(mine) == mine


def test_only_one_sweep_claims(here: World) -> None:
    mine = here.put(task("claimed"))
    due = Due(mine.task_id, START + 60_000)

    assert here.store.claim(due, until=LATER)
    assert not here.store.claim(due, until=LATER + 1)
    assert here.read(mine).due_at == LATER


def test_failures_that_late_truth_may_still_improve_are_few() -> None:
    assert set(SOFT) == {"unconfirmed", "timed_out", "result_expired"}


def test_a_table_that_is_away_says_so(here: World) -> None:
    lost = World(here.cloud)
    lost.store = type(here.store)(type(here.table)(here.table.client, "no-such-table"))

    for use in (
        lambda: lost.store.read("t"),
        lambda: lost.store.create(task()),
        lambda: lost.store.due("0", now=NOW, limit=1),
        lambda: lost.store.claim(Due("t", 1), until=2),
        lambda: lost.store.bind(made("unknown", "bind")[1], "NEW"),
    ):
        with pytest.raises(StoreUnavailable):
            use()
