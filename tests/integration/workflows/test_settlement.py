"""What becomes of an order's credits: reserved with its task, then charged or released, in each way it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from imagetasks.errors import BudgetExhausted, ResponseLost
from imagetasks.tasks import transition_writes
from imagetasks.tasks.budgets import Budget
from imagetasks.tasks.failure_reasons import REASONS, RECOVERABLE
from imagetasks.tasks.task import State, Task
from tests.support.booked_credits import false_items
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    NOT_FOUND,
    POYO_ID,
    START,
    finished_response,
    poyo_response,
    status_response,
    submit_response,
)
from tests.support.stored_tasks import owner_tasks

LIMIT = Budget(scope="stack", max_credits=Decimal(10)).limit(START)
ESTIMATE = Decimal(2)
HOUR_S, DAY_S = 3600, 24 * 3600
LOST = ResponseLost("ReadTimeout")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("POST", submit_response())
        environment.fake_poyo.respond_with("GET", finished_response())
        yield environment


def place(env: TestEnvironment, key: str = "key") -> Task:
    return env.submitter.submit(order(key), [LIMIT]).task


def sums(env: TestEnvironment) -> tuple[Decimal, Decimal]:
    """What the stack has reserved and was charged; every item agrees with its tasks."""
    read = TypeDeserializer().deserialize
    items = [{k: read(v) for k, v in item.items()} for item in env.cloud.items()]
    assert false_items({str(each["pk"]): each for each in items}) == []
    stack = env.table.get(LIMIT.pk)
    return stack.get("reserved", Decimal(0)), stack.get("charged", Decimal(0))


def credits_(reserved: object, charged: object) -> tuple[Decimal, Decimal]:
    return Decimal(str(reserved)), Decimal(str(charged))


def fail(env: TestEnvironment, task: Task, reason: str, **facts: Any) -> Task:
    """The task after the transition `fail`, from a state in which it may fail for this reason."""
    state = REASONS[reason].from_states[0]
    if state == State.UNKNOWN:
        env.updater.settle(
            task, lambda each, stamp: env.updater.unknown(each, stamp, "answer lost")
        )
    elif state == State.RUNNING:
        env.updater.confirm_submission(task, poyo_id=POYO_ID, source="answer")
    now = env.read(task)
    write = transition_writes.fail(now, env.clock.stamp(), reason=reason, detail="", **facts)
    assert env.updater.apply(write).applied
    return env.read(task)


def submitting(env: TestEnvironment) -> Task:
    """A new task whose process stopped before its POST."""
    env.fake_poyo.respond_with("POST", _Stopped())
    with pytest.raises(_Stopped):
        place(env)
    env.fake_poyo.respond_with("POST", submit_response())
    [item] = [each for each in env.cloud.items() if each["pk"]["S"].startswith("task#")]
    return env.repository.get(item["task_id"]["S"])


class _Stopped(Exception):
    """The process ends here."""


def test_order_reserves_its_estimate_and_is_charged_what_poyo_names(env: TestEnvironment) -> None:
    task = place(env)
    assert sums(env) == credits_(2, 0)
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=2.37))

    assert env.reconcile(task).state == "finished"

    assert sums(env) == credits_(0, 2.37)


def test_replay_reserves_nothing(env: TestEnvironment) -> None:
    place(env)

    assert env.submitter.submit(order(), [LIMIT]).replayed
    env.reconcile(place(env))
    assert env.submitter.submit(order(), [LIMIT]).replayed

    assert sums(env) == credits_(0, 2)


def test_refused_order_leaves_nothing(env: TestEnvironment) -> None:
    for n in range(5):
        place(env, f"key-{n}")

    with pytest.raises(BudgetExhausted):
        place(env, "another")

    assert sums(env) == credits_(10, 0)
    assert env.fake_poyo.request_count("POST") == 5


def expected_sums(reason: str, named: Decimal | None) -> tuple[Decimal, Decimal]:
    if named is not None:
        return credits_(0, named)
    return {None: credits_(2, 0), True: credits_(0, 2), False: credits_(0, 0)}[
        REASONS[reason].charged
    ]


@pytest.mark.parametrize("deleted", ["not", "before", "after"])
@pytest.mark.parametrize("named", [None, Decimal(0), Decimal("1.3")])
@pytest.mark.parametrize("reason", REASONS)
def test_failure_charges_releases_or_keeps_the_estimate(
    env: TestEnvironment, reason: str, named: Decimal | None, deleted: str
) -> None:
    task = submitting(env)
    if deleted == "before":
        owner_tasks(env).delete("owner", task.task_id)

    fail(env, env.read(task), reason, charged_credits=named)
    if deleted == "after":
        owner_tasks(env).delete("owner", task.task_id)

    assert sums(env) == expected_sums(reason, named)


@pytest.mark.parametrize("amount", [None, 2.5])
@pytest.mark.parametrize("named", [None, Decimal(0), Decimal("1.3")])
@pytest.mark.parametrize("reason", RECOVERABLE)
def test_image_that_comes_after_a_failure_is_charged_once(
    env: TestEnvironment, reason: str, named: Decimal | None, amount: float | None
) -> None:
    failed = fail(env, submitting(env), reason, charged_credits=named)
    facts = {} if amount is None else {"credits_amount": amount}
    env.fake_poyo.respond_with("GET", finished_response(**facts))

    env.reconcile(failed, "callback", POYO_ID)
    env.time.forward(20)
    after = env.reconcile(failed)

    assert after.state == "finished"
    # That a failure cost nothing does not make its image free.
    assert sums(env) == credits_(0, amount or named or ESTIMATE)


@pytest.mark.parametrize("reason", RECOVERABLE)
def test_reopened_task_reserves_its_estimate_again(env: TestEnvironment, reason: str) -> None:
    failed = fail(env, submitting(env), reason)
    if failed.poyo_id is None:
        env.updater.confirm_submission(failed, poyo_id=POYO_ID, source="answer")
    else:
        env.updater.reopen(failed, 5, copy_attempts=1)

    assert sums(env) == credits_(2, 0)


@pytest.mark.parametrize(("named", "charged"), [({}, 0), ({"credits_amount": 0.4}, "0.4")])
def test_timed_out_task_is_released_or_charged_when_poyo_says_twice_that_it_failed(
    env: TestEnvironment, named: dict[str, float], charged: object
) -> None:
    failed = fail(env, submitting(env), "timed_out")
    env.fake_poyo.respond_with("GET", status_response("failed", **named))

    env.reconcile(failed, "callback", POYO_ID)
    assert sums(env) == credits_(2, 0)  # one poll may be wrong
    env.reconcile(failed)
    assert sums(env) == credits_(2, 0)  # and so may one in the same second
    env.time.forward(5)
    after = env.reconcile(failed)

    assert (after.state, after.reason, after.due_at) == ("failed", "timed_out", None)
    assert sums(env) == credits_(0, charged)


def settled(env: TestEnvironment, amount: str) -> Task:
    """A task of an unknown charge that the operator has decided."""
    failed, charged = fail(env, submitting(env), "timed_out"), Decimal(amount)
    write = transition_writes.settle(failed, env.clock.stamp(), charged_credits=charged)
    return env.updater.apply(write).task


KNOWN: dict[str, tuple[Callable[[TestEnvironment], Task], object]] = {
    "released": (lambda env: settled(env, "0"), 0),
    "charged": (lambda env: settled(env, "1.07"), "1.07"),
    "upstream": (lambda env: fail(env, submitting(env), "upstream"), 0),
    "bad_result": (lambda env: fail(env, submitting(env), "bad_result"), 2),
}


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("named", [None, 0, 0.4])
def test_failed_task_is_charged_what_poyo_names_for_it_later_and_else_keeps_its_charge(
    env: TestEnvironment, known: str, named: float | None
) -> None:
    make, before = KNOWN[known]
    task = make(env)
    later = {} if named is None else {"credits_amount": named}
    env.fake_poyo.respond_with("GET", status_response("failed", **later))

    env.reconcile(task, "callback", POYO_ID)
    env.reconcile(task)
    assert sums(env) == credits_(
        0, before
    )  # one poll may be wrong, and so may one in the same second
    env.time.forward(5)
    after = env.reconcile(task)

    assert (after.state, after.due_at, after.failure_seen_at) == ("failed", None, None)
    assert sums(env) == credits_(0, before if named is None else named)


def test_zero_credits_of_a_task_that_still_runs_do_not_release_it_when_it_times_out(
    env: TestEnvironment,
) -> None:
    task = place(env)
    env.fake_poyo.respond_with("GET", status_response("running", credits_amount=0))
    env.time.forward(DAY_S + 1)

    after = env.reconcile(task)

    assert (after.reason, after.charged_credits) == ("timed_out", None)
    assert sums(env) == credits_(2, 0)


def test_lost_answer_keeps_its_estimate_until_a_callback_tells_the_truth(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("POST", LOST)
    task = place(env)
    assert (task.state, sums(env)) == ("unknown", credits_(2, 0))
    env.time.forward(HOUR_S)
    assert env.reconcile(task).reason == "unconfirmed"
    assert sums(env) == credits_(2, 0)
    env.fake_poyo.respond_with("GET", finished_response(credits_amount="1.99"))

    env.reconcile(task, "callback", POYO_ID)
    env.time.forward(20)

    assert env.reconcile(task).state == "finished"
    assert sums(env) == credits_(0, 1.99)


@pytest.mark.parametrize("reason", ["unconfirmed", "timed_out"])
@pytest.mark.parametrize("amount", [Decimal(0), Decimal("0.07"), Decimal(5)])
def test_operator_settles_what_nobody_else_knows_once(
    env: TestEnvironment, reason: str, amount: Decimal
) -> None:
    failed = fail(env, submitting(env), reason)

    def settle(credits_: Decimal) -> bool:
        write = transition_writes.settle(failed, env.clock.stamp(), charged_credits=credits_)
        return env.updater.apply(write).applied

    assert [settle(amount), settle(Decimal(9)), settle(amount)] == [True, False, False]

    assert sums(env) == credits_(0, amount)


REFUSALS: dict[str, Callable[[], Any]] = {
    "rejected": lambda: poyo_response(
        {"code": 400, "error": {"message": "size", "type": "validation_error"}}, 400
    ),
    "insufficient_credits": lambda: poyo_response(
        {"code": 402, "error": {"message": "none", "type": "insufficient_credits_error"}}, 402
    ),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_order_that_poyo_refuses_is_released_by_the_response(
    env: TestEnvironment, reason: str
) -> None:
    env.fake_poyo.respond_with("POST", REFUSALS[reason]())

    assert place(env).reason == reason

    assert sums(env) == credits_(0, 0)


def test_deletion_releases_nothing(env: TestEnvironment) -> None:
    running = place(env)
    owner_tasks(env).delete("owner", running.task_id)
    assert sums(env) == credits_(2, 0)

    assert env.reconcile(running).state == "finished"
    env.reconcile(running)

    assert sums(env) == credits_(0, 2)


def test_process_that_stops_after_the_reservation_is_found_and_settled(
    env: TestEnvironment,
) -> None:
    task = submitting(env)
    assert sums(env) == credits_(2, 0)
    env.fake_poyo.respond_with("GET", NOT_FOUND)

    for wait_s in (61, HOUR_S, HOUR_S):
        env.time.forward(wait_s)
        env.reconcile(task)

    assert env.read(task).reason == "unconfirmed"
    assert sums(env) == credits_(2, 0)
