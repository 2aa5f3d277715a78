"""A callback for an order that PoYo refused: PoYo has created it, so it is never submitted again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from imagetasks.errors import ResponseLost
from imagetasks.poyo.rate_limit import Slot
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.message import TaskMessage
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    NOT_FOUND,
    POYO_ID,
    START,
    finished_response,
    poyo_response,
    status_response,
    submit_response,
    task,
)
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import LIMITS

AWAY = HttpResponse(503, b"")
BUSY = poyo_response({"code": 429, "error": {"message": "Too many requests"}}, 429)
INVALID = poyo_response({"code": 400, "error": {"message": "size"}}, 400)
MODERATED = poyo_response({"code": 400, "error": {"type": "content_moderation_error"}}, 400)


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", AWAY)
        environment.fake_poyo.respond_with("POST", submit_response("SECOND"))
        yield environment


def test_candidate_stored_between_read_and_write_prevents_the_second_submit(
    env: TestEnvironment,
) -> None:
    before = env.put(task(state="pending", not_before=START))

    class SlowSlots:
        """Slots that are so slow that PoYo's callback comes before the submit has one."""

        def reserve(self, number: int | None, not_before: int, *, early: bool) -> Slot:
            message = TaskMessage(task_id=before.task_id, source="callback", poyo_id=POYO_ID)
            env.reconciler.reconcile(message)
            return env.slots.reserve(number, not_before, early=early)

    submitter = env.submitter_with(slots=SlowSlots())
    env.reconciler_with(submitter=submitter).reconcile(
        TaskMessage(task_id=before.task_id, source="retry")
    )

    after = env.read(before)
    assert env.fake_poyo.request_count("POST") == 0
    assert (after.state, after.candidate_poyo_ids) == ("unknown", (POYO_ID,))
    env.fake_poyo.respond_with("GET", finished_response())
    env.reconcile(after)
    env.time.forward(LIMITS.candidate_hold_s)
    assert env.reconcile(after).state == "finished"


@pytest.mark.parametrize("poyo_id", [POYO_ID, None])
def test_order_that_a_callback_reached_is_not_submitted_again(
    env: TestEnvironment, poyo_id: str | None
) -> None:
    before = env.put(task(state="pending", not_before=START))

    after = env.reconcile(before, source="callback", poyo_id=poyo_id)
    assert (after.state, after.not_before) == ("unknown", None)
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    for _ in range(3 * LIMITS.candidate_checks):
        env.time.forward(LIMITS.unconfirmed_after_s)
        after = env.reconcile(before)

    assert (after.state, after.reason) == ("failed", "unconfirmed")
    assert env.fake_poyo.request_count("POST") == 0


@pytest.mark.parametrize("refusal", [BUSY, INVALID, MODERATED])
@pytest.mark.parametrize("poyo_id", [POYO_ID, None])
def test_refusal_that_a_callback_overtook_leaves_the_outcome_unknown(
    env: TestEnvironment, refusal: HttpResponse, poyo_id: str | None
) -> None:
    env.fake_poyo.respond_with("POST", _after_callback(env, poyo_id, refusal))

    after = env.submitter.submit(order()).task

    assert after.state == "unknown"
    assert after.candidate_poyo_ids == ((POYO_ID,) if poyo_id else ())
    expires_at = START + LIMITS.unconfirmed_after_s * 1000
    assert after.due_at == (START if poyo_id else expires_at)


def test_lost_answer_that_a_callback_overtook_keeps_the_candidate_due_at_once(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("POST", _after_callback(env, POYO_ID, ResponseLost("x")))

    after = env.submitter.submit(order()).task

    assert (after.state, after.candidate_poyo_ids, after.due_at) == ("unknown", (POYO_ID,), START)


def test_expired_submission_does_not_put_a_candidate_off(env: TestEnvironment) -> None:
    before = env.put(task())
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    env.time.forward(LIMITS.submit_lease_s)
    write = env.updater.unknown(before, env.clock.stamp(), "the sender stopped")

    assert not env.updater.apply(write).applied
    assert env.read(before).candidate_poyo_ids == (POYO_ID,)


def test_confirmation_enqueues_every_other_candidate_and_keeps_it(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown", candidate_poyo_ids=("FIRST", POYO_ID)))
    env.fake_poyo.respond_with("GET", status_response("running"))
    env.repository.name_poyo_id(POYO_ID, before.task_id, now=START)

    env.updater.confirm_submission(before, poyo_id=POYO_ID, source="callback")

    assert env.cloud.messages() == [
        {
            "task_id": before.task_id,
            "source": "submit",
            "poyo_id": "FIRST",
            "due_since": None,
        }
    ]
    assert env.read(before).candidate_poyo_ids == ("FIRST", POYO_ID)
    with captured_logs() as log:
        env.reconcile(before, source="submit", poyo_id="FIRST")
    assert "duplicate_poyo_task" in log.getvalue()


def _after_callback(
    env: TestEnvironment, poyo_id: str | None, answer: HttpResponse | Exception
) -> Callable[[], HttpResponse]:
    """PoYo's answer to the submit, which arrives after its callback."""

    def respond() -> HttpResponse:
        task_id = env.fake_poyo.requests[-1].headers["Idempotency-Key"]
        message = TaskMessage(task_id=task_id, source="callback", poyo_id=poyo_id)
        env.reconciler.reconcile(message)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return respond
