"""Tasks without a PoYo id: pending orders are submitted again, unknown submissions expire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagetasks.errors import (
    RequestNotSent,
    SecretInvalid,
)
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.message import TaskMessage
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import (
    POYO_ID,
    START,
    submit_response,
    task,
)
from tests.support.stored_tasks import LIMITS


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("POST", submit_response())
        yield environment


def test_submission_becomes_unknown_when_its_lease_has_expired(env: TestEnvironment) -> None:
    before = env.put(task())
    env.time.forward(LIMITS.submit_lease_s - 1)
    assert env.reconcile(before) == before
    env.time.forward(1)

    after = env.reconcile(before)

    assert after.state == "unknown"
    assert after.due_at == START + LIMITS.unconfirmed_after_s * 1000
    assert env.fake_poyo.requests == []


def test_unknown_submission_fails_as_unconfirmed_after_an_hour(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown", due_at=START + LIMITS.unconfirmed_after_s * 1000))
    assert env.reconcile(before) == before
    env.time.forward(LIMITS.unconfirmed_after_s)

    after = env.reconcile(before)

    assert (after.state, after.reason) == ("failed", "unconfirmed")
    assert REASONS["unconfirmed"].charged is None
    assert env.fake_poyo.requests == []


def test_unknown_submission_is_due_again_at_its_own_time_after_an_early_message(
    env: TestEnvironment,
) -> None:
    before = env.put(task(state="unknown", due_at=START + 7))

    assert env.reconcile(before).due_at == START + LIMITS.unconfirmed_after_s * 1000


def test_pending_order_is_submitted_once_when_its_delay_has_passed(env: TestEnvironment) -> None:
    before = env.put(task(state="pending", not_before=START + 10_000, due_at=START + 70_000))
    assert env.reconcile(before, source="retry") == before
    assert env.fake_poyo.requests == []
    env.time.forward(10)

    after = env.reconcile(before, source="retry")

    assert (after.state, after.attempt, after.poyo_id) == ("running", 2, POYO_ID)
    assert env.fake_poyo.request_count("POST") == 1
    assert env.fake_poyo.requests[0].headers["Idempotency-Key"] == before.task_id


def test_two_concurrent_messages_for_a_pending_order_make_one_post(env: TestEnvironment) -> None:
    before = env.put(task(state="pending", not_before=START))

    def concurrent() -> HttpResponse:
        env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="retry"))
        return submit_response()

    env.fake_poyo.respond_with("POST", concurrent)
    env.reconcile(before, source="retry")

    assert env.fake_poyo.request_count("POST") == 1


@pytest.mark.parametrize(("refused_for_s", "state"), [(1799, "pending"), (1800, "failed")])
def test_order_that_poyo_refuses_again_after_half_an_hour_fails_as_unavailable(
    env: TestEnvironment, refused_for_s: int, state: str
) -> None:
    before = env.put(task(state="pending", not_before=START, refused_at=START))
    env.fake_poyo.respond_with("POST", RequestNotSent("ConnectTimeout"))
    env.time.forward(refused_for_s)

    after = env.reconcile(before)

    assert after.state == state
    assert after.reason == ("unavailable" if state == "failed" else None)
    assert after.refused_at == START


def test_order_that_only_waited_for_its_slot_is_sent_however_late_that_is(
    env: TestEnvironment,
) -> None:
    before = env.put(task(state="pending", not_before=START, slot_number=1))
    env.time.forward(5 * LIMITS.unavailable_after_s)

    assert env.reconcile(before).state == "running"


def test_first_refusal_after_a_long_wait_does_not_end_the_order(env: TestEnvironment) -> None:
    before = env.put(task(state="pending", not_before=START, slot_number=1))
    env.fake_poyo.respond_with("POST", RequestNotSent("ConnectTimeout"))
    env.time.forward(5 * LIMITS.unavailable_after_s)

    after = env.reconcile(before)

    assert (after.state, after.refused_at) == ("pending", env.time.now)


def test_pending_order_is_unchanged_while_the_api_key_is_missing(env: TestEnvironment) -> None:
    class WithoutKeys:
        def require_credentials(self) -> None:
            raise SecretInvalid("poyo_api_key")

    before = env.put(task(state="pending", not_before=START))

    with pytest.raises(SecretInvalid):
        env.reconciler_with(submitter=WithoutKeys()).reconcile(
            TaskMessage(task_id=before.task_id, source="sweep")
        )
    assert env.read(before) == before


def test_pending_order_waits_for_a_slot_in_the_rate_limit(env: TestEnvironment) -> None:
    limited = TestEnvironment(env.cloud, limits=replace(LIMITS, window_submits=1))
    limited.slots.reserve()
    before = limited.put(task(state="pending", not_before=START))

    after = limited.reconcile(before)

    assert after.state == "pending"
    assert after.not_before is not None
    assert after.not_before > limited.time.now
    assert limited.is_due(after)
    assert limited.fake_poyo.requests == []
