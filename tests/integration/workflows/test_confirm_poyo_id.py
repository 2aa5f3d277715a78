"""Confirming candidate PoYo ids: only an id that PoYo knows and no other task owns is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.errors import ResponseLost
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import poyo_pk
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.workflows.admit_callback import MAX_CANDIDATE_IDS
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    NOT_FOUND,
    POYO_ID,
    START,
    finished_response,
    status_response,
    submit_response,
    task,
)
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import LIMITS, put_failed, put_running

HOUR_S = 60 * 60
OPEN = ("submitting", "unknown")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", status_response("running"))
        yield environment


WITHOUT_POYO_ID: dict[str, dict[str, Any]] = {
    "submitting": {"state": "submitting"},
    "pending": {"state": "pending", "not_before": START},
    "unknown": {"state": "unknown"},
    "unconfirmed": {
        "state": "failed",
        "reason": "unconfirmed",
        "due_at": None,
        "due_shard": None,
        "finished_at": START,
    },
}


@pytest.mark.parametrize("changed", WITHOUT_POYO_ID.values(), ids=WITHOUT_POYO_ID)
def test_named_candidate_is_confirmed_some_seconds_after_poyo_says_that_it_ended(
    env: TestEnvironment, changed: dict[str, Any]
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    before = env.put(task(**changed))

    held = env.reconcile(before, source="callback", poyo_id=POYO_ID)
    assert (held.state in OPEN, held.poyo_id, held.candidate_poyo_ids) == (
        before.state != "failed",
        None,
        (POYO_ID,),
    )
    assert env.is_due(held)
    env.time.forward(LIMITS.candidate_hold_s)
    after = env.reconcile(before, source="retry")

    assert (after.state, after.poyo_id) == ("finished", POYO_ID)
    assert env.table.get(poyo_pk(POYO_ID))["task_id"] == after.task_id
    assert env.fake_poyo.request_count("POST") == 0
    assert [entry["event"] for entry in after.history][-2:] == ["submitted", "finished"]


@pytest.mark.parametrize("word", ["not_started", "running"])
def test_named_candidate_is_not_confirmed_while_poyo_works_on_it(
    env: TestEnvironment, word: str
) -> None:
    env.fake_poyo.respond_with("GET", status_response(word))
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    for _ in range(LIMITS.candidate_checks * 2):
        env.time.forward(LIMITS.candidate_hold_s * 2)
        after = env.reconcile(before)

    assert (after.state, after.poyo_id, after.candidate_poyo_ids) == ("unknown", None, (POYO_ID,))


def test_candidate_of_poyos_own_answer_is_confirmed_at_once(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown"))

    after = env.reconcile(before, source="submit", poyo_id=POYO_ID)

    assert (after.state, after.poyo_id) == ("running", POYO_ID)
    assert after.history[-1]["source"] == "answer"


@pytest.mark.parametrize("changed", WITHOUT_POYO_ID.values(), ids=WITHOUT_POYO_ID)
def test_candidate_that_poyo_does_not_know_yet_is_kept_and_checked_again(
    env: TestEnvironment, changed: dict[str, Any]
) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND, finished_response())
    before = env.put(task(**changed))

    after = env.reconcile(before, source="callback", poyo_id=POYO_ID)
    assert after.candidate_poyo_ids == (POYO_ID,)
    assert env.is_due(after)
    assert env.fake_poyo.request_count("POST") == 0
    for _ in range(2):
        env.time.forward(LIMITS.candidate_hold_s)
        confirmed = env.reconcile(before, source="retry")

    assert (confirmed.state, confirmed.poyo_id) == ("finished", POYO_ID)


def test_candidate_that_poyo_never_knows_is_dropped_after_the_last_check(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id="FORGED")
    for _ in range(LIMITS.candidate_checks + 2):
        after = env.reconcile(before)

    assert (after.state, after.candidate_poyo_ids) == ("unknown", ())
    assert after.due_at == START + LIMITS.unconfirmed_after_s * 1000


def test_new_candidate_gets_every_check_however_many_earlier_ones_have_used_up(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id="FORGED")
    for _ in range(LIMITS.candidate_checks - 1):
        env.reconcile(before)
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    for _ in range(LIMITS.candidate_checks):
        after = env.reconcile(before)

    assert POYO_ID in after.candidate_poyo_ids


def test_candidate_is_kept_for_a_day_while_poyo_does_not_answer(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", ResponseLost("x"))
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    for _ in range(23):
        env.time.forward(HOUR_S)
        after = env.reconcile(before)

    assert (after.state, after.candidate_poyo_ids) == ("unknown", (POYO_ID,))


def test_task_ends_after_a_day_although_poyo_never_answers_and_its_candidate_is_checked_on(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", ResponseLost("x"))
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    env.time.forward(LIMITS.timed_out_after_s)

    after = env.reconcile(before)
    assert (after.state, after.reason) == ("failed", "unconfirmed")
    assert (after.candidate_poyo_ids, env.is_due(after)) == ((POYO_ID,), True)
    env.fake_poyo.respond_with("GET", finished_response())
    env.reconcile(before)
    env.time.forward(LIMITS.candidate_hold_s)
    assert env.reconcile(before).state == "finished"


def test_one_new_forged_id_an_hour_does_not_keep_a_task_open(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    before = env.put(task(state="unknown"))
    for n in range(3):
        after = env.reconcile(before, source="callback", poyo_id=f"FORGED{n}")
        env.time.forward(HOUR_S)

    assert (after.state, after.reason) == ("failed", "unconfirmed")
    assert after.finished_at == START + HOUR_S * 1000


def test_forged_id_at_the_end_of_patience_does_not_drop_the_true_one(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    before = env.put(task(state="unknown"))
    env.time.forward(HOUR_S)
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    env.fake_poyo.respond_with("GET", finished_response())
    for _ in range(2):
        env.time.forward(LIMITS.candidate_hold_s)
        after = env.reconcile(before)

    assert (after.state, after.poyo_id) == ("finished", POYO_ID)


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("forged", [4, 50])
def test_forged_ids_evict_neither_the_oldest_nor_the_newest_candidate(
    env: TestEnvironment, place: str, forged: int
) -> None:
    env.fake_poyo.respond_with("GET", ResponseLost("x"))
    before = env.put(task(state="unknown"))
    ids = [f"FORGED{n}" for n in range(forged)]
    for poyo_id in (POYO_ID, *ids) if place == "first" else (*ids, POYO_ID):
        after = env.reconcile(before, source="callback", poyo_id=poyo_id)

    assert POYO_ID in after.candidate_poyo_ids
    assert len(after.candidate_poyo_ids) == MAX_CANDIDATE_IDS


def test_forged_ids_never_evict_the_id_of_poyos_answer(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", ResponseLost("x"))
    before = env.put(task(state="unknown"))
    for n in range(5):
        env.reconcile(before, source="callback", poyo_id=f"EARLY{n}")
    env.reconcile(before, source="submit", poyo_id=POYO_ID)
    for n in range(50):
        after = env.reconcile(before, source="callback", poyo_id=f"LATE{n}")

    assert after.answered_poyo_id == after.candidate_poyo_ids[0] == POYO_ID
    env.fake_poyo.respond_with("GET", status_response("running"))
    assert env.reconcile(before).poyo_id == POYO_ID


def test_id_named_for_two_tasks_is_confirmed_for_neither(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    mallory, victim = env.put(task("mallory", state="unknown")), env.put(task(state="unknown"))
    with captured_logs() as log:
        env.reconcile(mallory, source="callback", poyo_id=POYO_ID)
        env.reconcile(victim, source="callback", poyo_id=POYO_ID)
        for _ in range(3):
            env.time.forward(LIMITS.candidate_hold_s)
            env.reconcile(mallory)
            env.reconcile(victim)

    assert [env.read(each).poyo_id for each in (mallory, victim)] == [None, None]
    assert env.file_host.fetched == []
    assert "poyo_id_conflict" in log.getvalue()


@pytest.mark.parametrize("held_s", [0, 5])
def test_poyos_answer_decides_whatever_a_callback_named_before(
    env: TestEnvironment, held_s: int
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.fake_poyo.respond_with("POST", submit_response())
    mallory = env.put(task("mallory", state="unknown"))
    env.reconcile(mallory, source="callback", poyo_id=POYO_ID)
    env.time.forward(held_s)

    placed = env.submitter.submit(order("victim")).task
    env.time.forward(LIMITS.candidate_hold_s)
    env.reconcile(mallory)

    assert (placed.state, placed.poyo_id) == ("running", POYO_ID)
    assert env.read(mallory).poyo_id is None


def test_candidate_that_another_task_owns_is_not_confirmed(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    other = env.put(task("other", state="unknown"))
    env.reconcile(other, source="submit", poyo_id=POYO_ID)
    before = env.put(task(state="unknown"))
    with captured_logs() as log:
        env.reconcile(before, source="callback", poyo_id=POYO_ID)
        env.time.forward(LIMITS.candidate_hold_s)
        after = env.reconcile(before)

    assert (after.state, after.poyo_id) == ("unknown", None)
    assert "poyo_id_conflict" in log.getvalue()
    assert env.read(other).poyo_id == POYO_ID


@pytest.mark.parametrize("reason", ["rejected", "unavailable", "insufficient_credits"])
def test_id_for_a_final_failure_changes_nothing_and_raises_an_alarm(
    env: TestEnvironment, reason: str
) -> None:
    before = put_failed(env, reason)
    with captured_logs() as log:
        after = env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert (after.state, after.reason, after.due_at) == ("failed", reason, None)
    assert (after.poyo_id, after.candidate_poyo_ids) == (None, ())
    assert "duplicate_poyo_task" in log.getvalue()


def test_image_of_a_refused_task_goes_to_no_other_task_that_a_forged_callback_names(
    env: TestEnvironment,
) -> None:
    """PoYo refused the order but created it all the same, and somebody knows another task's URL."""
    refused = put_failed(env, "rejected")
    other = env.put(task(state="unknown", task_id="b" * 26, owner="owner2"))
    env.fake_poyo.respond_with("GET", finished_response())
    env.reconcile(refused, source="callback", poyo_id=POYO_ID)

    env.reconcile(other, source="callback", poyo_id=POYO_ID)
    env.time.forward(LIMITS.candidate_hold_s)
    after = env.reconcile(other, source="retry")

    assert (after.state, after.poyo_id, after.files) == ("unknown", None, ())


@pytest.mark.parametrize(
    ("response", "alarm"),
    [(status_response("running"), True), (ResponseLost("x"), True), (NOT_FOUND, False)],
)
def test_second_id_of_a_task_raises_an_alarm_unless_poyo_denies_it(
    env: TestEnvironment, response: HttpResponse | Exception, alarm: bool
) -> None:
    env.fake_poyo.respond_with("GET", response, status_response("running"))
    with captured_logs() as log:
        after = env.reconcile(put_running(env), source="callback", poyo_id="SECOND")

    assert (after.state, after.poyo_id) == ("running", POYO_ID)
    assert ("duplicate_poyo_task" in log.getvalue()) is alarm
    assert ('"poyo_id":"SECOND"' in log.getvalue()) is alarm


def test_candidate_is_enqueued_again_when_concurrent_writes_keep_it_out_of_the_item(
    env: TestEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = env.put(task(state="unknown"))
    apply = TaskRepository.apply

    def concurrent(repository: TaskRepository, write: TransitionWrite) -> WriteResult:
        env.put(replace(env.read(before), due_at=int(env.read(before).due_at or 0) + 1))
        return apply(repository, write)

    monkeypatch.setattr(TaskRepository, "apply", concurrent)
    env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert env.read(before).candidate_poyo_ids == ()
    assert env.fake_poyo.requests == []
    assert env.cloud.messages() == [{"delayed": True}]


def test_id_that_a_callback_names_a_day_after_the_attempt_is_kept_although_the_task_ends(
    env: TestEnvironment,
) -> None:
    """No sweep has run for a day: the task is still open, and PoYo does not answer just now."""
    before = env.put(task(state="unknown"))
    env.time.forward(LIMITS.timed_out_after_s + 1)
    env.fake_poyo.respond_with("GET", HttpResponse(503, b""))

    ended = env.reconcile(before, source="callback", poyo_id=POYO_ID)
    assert (ended.reason, ended.candidate_poyo_ids) == ("unconfirmed", (POYO_ID,))
    assert ended.due_at is not None

    env.fake_poyo.respond_with("GET", finished_response())
    env.reconcile(ended, source="retry")
    env.time.forward(LIMITS.candidate_hold_s)
    after = env.reconcile(ended, source="retry")
    assert (after.state, after.poyo_id) == ("finished", POYO_ID)


def test_task_that_ends_without_an_id_is_not_asked_for_again(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown"))
    env.time.forward(LIMITS.timed_out_after_s + 1)

    ended = env.reconcile(before, source="callback")

    assert (ended.reason, ended.due_at) == ("unconfirmed", None)


def test_submitting_task_becomes_unknown_with_its_candidates(env: TestEnvironment) -> None:
    """Its sender stopped an hour ago, and PoYo does not know the id that a callback named."""
    before = env.put(task(state="submitting", candidate_poyo_ids=(POYO_ID,)))
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    env.time.forward(LIMITS.unconfirmed_after_s + 1)

    waiting = env.reconcile(before, source="sweep")
    assert (waiting.state, waiting.candidate_poyo_ids) == ("unknown", (POYO_ID,))
    assert env.is_due(waiting)

    ended = env.reconcile(waiting, source="sweep")
    assert (ended.reason, ended.candidate_poyo_ids) == ("unconfirmed", (POYO_ID,))
    assert ended.due_at is not None
