"""Confirming candidate PoYo ids: only an id that PoYo knows and no other task owns is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imagetasks.errors import ResponseLost
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import poyo_pk
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import (
    NOT_FOUND,
    POYO_ID,
    START,
    finished_response,
    status_response,
    task,
)
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import LIMITS, put_failed, put_running


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
def test_candidate_that_poyo_knows_is_confirmed_and_its_image_copied_at_once(
    env: TestEnvironment, changed: dict[str, Any]
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())

    after = env.reconcile(env.put(task(**changed)), source="callback", poyo_id=POYO_ID)

    assert (after.state, after.poyo_id) == ("finished", POYO_ID)
    assert env.table.get(poyo_pk(POYO_ID))["task_id"] == after.task_id
    assert env.fake_poyo.request_count("POST") == 0
    assert [entry["event"] for entry in after.history][-2:] == ["submitted", "finished"]


@pytest.mark.parametrize("changed", WITHOUT_POYO_ID.values(), ids=WITHOUT_POYO_ID)
def test_candidate_that_poyo_does_not_know_yet_is_kept_and_checked_again(
    env: TestEnvironment, changed: dict[str, Any]
) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND, status_response("running"))
    before = env.put(task(**changed))

    after = env.reconcile(before, source="callback", poyo_id=POYO_ID)
    state = "unknown" if before.state == "pending" else before.state
    assert (after.state, after.candidate_poyo_ids) == (state, (POYO_ID,))
    assert env.is_due(after)
    assert env.fake_poyo.request_count("POST") == 0
    env.time.forward(10)
    confirmed = env.reconcile(before, source="retry")

    assert (confirmed.state, confirmed.poyo_id) == ("running", POYO_ID)


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


def test_candidate_is_kept_while_poyo_does_not_answer(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", ResponseLost("x"))
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    for _ in range(LIMITS.candidate_checks * 3):
        env.time.forward(LIMITS.unconfirmed_after_s)
        after = env.reconcile(before)

    assert (after.state, after.candidate_poyo_ids) == ("unknown", (POYO_ID,))


def test_only_the_newest_candidates_are_kept_and_the_newest_is_checked_first(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    before = env.put(task(state="unknown"))
    for n in range(9):
        after = env.reconcile(before, source="callback", poyo_id=f"FORGED{n}")

    assert after.candidate_poyo_ids == ("FORGED5", "FORGED6", "FORGED7", "FORGED8")
    assert env.fake_poyo.requests[-4].url.endswith("/FORGED8")


def test_candidate_that_another_task_owns_is_not_confirmed(env: TestEnvironment) -> None:
    other = env.put(task("other", state="unknown"))
    env.reconcile(other, source="callback", poyo_id=POYO_ID)
    before = env.put(task(state="unknown"))
    with captured_logs() as log:
        after = env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert (after.state, after.poyo_id) == ("unknown", None)
    assert "poyo_id_conflict" in log.getvalue()
    assert env.read(other).poyo_id == POYO_ID


@pytest.mark.parametrize("reason", ["rejected", "unavailable", "insufficient_credits"])
def test_id_for_a_final_failure_changes_nothing_and_raises_an_alarm(
    env: TestEnvironment, reason: str
) -> None:
    before = put_failed(env, reason)
    with captured_logs() as log:
        assert env.reconcile(before, source="callback", poyo_id=POYO_ID) == before

    assert "duplicate_poyo_task" in log.getvalue()


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


def test_candidate_is_enqueued_again_when_a_concurrent_write_kept_it_out_of_the_item(
    env: TestEnvironment,
) -> None:
    before = env.put(task(state="unknown"))

    def concurrent() -> HttpResponse:
        env.put(replace(before, due_at=START + 99_000))
        return NOT_FOUND

    env.fake_poyo.respond_with("GET", concurrent)
    env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert env.read(before).candidate_poyo_ids == ()
    assert env.cloud.messages() == [{"delayed": True}]
