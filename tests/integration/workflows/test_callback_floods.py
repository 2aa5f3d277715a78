"""However many callbacks come, they cause a handful of polls, and one poll follows the last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.workflows.admit_callback import CallbackAdmission
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
from tests.support.stored_tasks import LIMITS, put_ended, put_running

GAP_S = LIMITS.callback_gap_s


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("GET", status_response("running"))
        yield environment


def put_at_rest(env: TestEnvironment) -> Task:
    return put_ended(env, notification_attempts=None, notification_url=None, due_at=None)


class KeptQueue:
    """A queue that only keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[TaskMessage] = []

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        self.sent.append(message)


def flood(env: TestEnvironment, before: Task, callbacks: int, *, poyo_id: str = "") -> None:
    """So many callbacks in one second; `poyo_id` makes each of them name another id."""
    for n in range(callbacks):
        named = f"{poyo_id}{n}" if poyo_id else None
        env.reconcile(before, source="callback", poyo_id=named)
        env.time.forward(1 / callbacks)


def delayed_messages(env: TestEnvironment) -> int:
    return len(env.cloud.messages())


@pytest.mark.parametrize("callbacks", [50, 200])
def test_flood_for_a_running_task_causes_one_poll_and_one_message(
    env: TestEnvironment, callbacks: int
) -> None:
    before = put_running(env)

    flood(env, before, callbacks)

    assert env.fake_poyo.request_count("GET") == 1
    assert delayed_messages(env) == 1


@pytest.mark.parametrize("callbacks", [50, 200])
def test_flood_of_forged_ids_causes_no_more_polls_than_it_leaves_candidates(
    env: TestEnvironment, callbacks: int
) -> None:
    env.fake_poyo.respond_with("GET", NOT_FOUND)
    before = env.put(task(state="unknown"))

    flood(env, before, callbacks, poyo_id="FORGED")
    env.time.forward(GAP_S)
    env.reconcile(before)

    assert env.fake_poyo.request_count("GET") <= 1 + 4
    assert delayed_messages(env) <= 2


def test_flood_of_second_ids_for_an_ended_task_causes_one_request(env: TestEnvironment) -> None:
    before = put_at_rest(env)

    flood(env, before, 50, poyo_id="SECOND")

    assert env.fake_poyo.request_count("GET") == 1
    assert not env.is_due(before)


@pytest.mark.parametrize("put", [put_running, put_at_rest])
def test_second_id_that_comes_soon_after_another_callback_raises_its_alarm_all_the_same(
    env: TestEnvironment, put: Callable[[TestEnvironment], Task]
) -> None:
    """PoYo created the task twice, and both of its tasks end at the same time."""
    before, queue = put(env), KeptQueue()
    env.reconcile(before, source="callback", poyo_id="FIRST")
    env.time.forward(1)
    message = TaskMessage(task_id=before.task_id, source="callback", poyo_id="SECOND")
    reconciler = env.reconciler_with(queue=queue)
    reconciler.reconcile(message)
    env.time.forward(GAP_S)
    with captured_logs() as log:
        reconciler.reconcile(queue.sent[-1])

    assert '"poyo_id":"SECOND"' in log.getvalue()
    assert "duplicate_poyo_task" in log.getvalue()


def test_second_id_is_enqueued_although_another_write_won_first(
    env: TestEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = put_running(env, callback_poll_at=env.time.now)
    apply, applied = TaskRepository.apply, count()

    def concurrent(repository: TaskRepository, write: TransitionWrite) -> WriteResult:
        if next(applied) == 0:
            env.put(replace(env.read(before), due_at=START + 1))
        return apply(repository, write)

    monkeypatch.setattr(TaskRepository, "apply", concurrent)
    env.reconcile(before, source="callback", poyo_id="SECOND")

    assert delayed_messages(env) == 1
    assert env.fake_poyo.requests == []


def test_flood_of_second_ids_enqueues_one_of_them_again_and_logs_the_others(
    env: TestEnvironment,
) -> None:
    before = put_at_rest(env)
    with captured_logs() as log:
        flood(env, before, 50, poyo_id="SECOND")

    assert delayed_messages(env) == 1
    assert log.getvalue().count("second_poyo_id_not_checked") == 48


def test_flood_of_forged_ids_does_not_keep_a_task_open_for_longer_than_a_day(
    env: TestEnvironment,
) -> None:
    """While PoYo's status is read, a callback names yet another id, each time."""
    before = env.put(task(state="unknown", candidate_poyo_ids=("FORGED",)))
    numbers = count()

    def respond() -> HttpResponse:
        message = TaskMessage(
            task_id=before.task_id, source="callback", poyo_id=f"FORGED{next(numbers)}"
        )
        env.reconciler.reconcile(message)
        return status_response("running")

    env.reconcile(before, source="callback", poyo_id="FORGED")
    env.fake_poyo.respond_with("GET", respond)
    env.time.forward(LIMITS.timed_out_after_s)

    assert env.reconcile(before).reason == "unconfirmed"


def test_an_hour_of_callbacks_causes_one_poll_in_thirty_seconds(env: TestEnvironment) -> None:
    before = put_running(env)
    for _ in range(600):
        env.reconcile(before, source="callback")
        env.time.forward(6)

    assert env.fake_poyo.request_count("GET") <= 3600 / GAP_S + 1


def test_poll_after_the_last_callback_is_scheduled(env: TestEnvironment) -> None:
    """The task's next poll would be far away: the callback brings it forward, once."""
    before = put_running(env)
    env.reconcile(before, source="callback")
    waiting = env.reconcile(before, source="sweep")
    for _ in range(4):
        env.time.forward(1)
        waiting = env.reconcile(before, source="sweep")
    far = env.time.now + 30 * 60 * 1000
    env.updater.reschedule(waiting, due_at=far)
    env.cloud.messages()

    for _ in range(20):
        after = env.reconcile(before, source="callback")

    assert after.due_at is not None
    assert after.due_at <= env.time.now + (GAP_S + LIMITS.sweep_fallback_s) * 1000
    assert after.polls == 0
    assert env.cloud.messages()[-1:] == [{"delayed": True}]
    env.fake_poyo.respond_with("GET", finished_response())
    env.time.forward(GAP_S)
    message = TaskMessage(task_id=after.task_id, source="retry", due_since=after.due_since)
    env.reconciler.reconcile(message)
    assert env.read(before).state == "finished"


def test_callback_that_comes_while_another_one_polls_adds_no_poll(env: TestEnvironment) -> None:
    before = put_running(env)

    def respond() -> HttpResponse:
        for _ in range(5):
            env.reconcile(before, source="callback")
        return finished_response()

    env.fake_poyo.respond_with("GET", respond)
    after = env.reconcile(before, source="callback")

    assert after.state == "finished"
    assert env.fake_poyo.request_count("GET") == 1


def test_callback_after_the_gap_polls_at_once(env: TestEnvironment) -> None:
    before = put_running(env)
    env.reconcile(before, source="callback")
    env.time.forward(GAP_S)
    env.fake_poyo.respond_with("GET", finished_response())

    assert env.reconcile(before, source="callback").state == "finished"


@pytest.mark.parametrize(
    ("due_in_s", "repeated_in_s"), [(21, 21), (90, 90), (20, 60), (91, 60), (-1, 60)]
)
def test_poll_of_a_worker_that_died_is_repeated_when_the_task_is_due_unless_that_is_odd(
    env: TestEnvironment, due_in_s: int, repeated_in_s: int
) -> None:
    before = put_running(env, due_at=env.time.now + due_in_s * 1000)
    admission = CallbackAdmission(updater=env.updater, clock=env.clock)

    begun = admission.admit(before, TaskMessage(task_id=before.task_id, source="callback"))

    assert begun is not None
    assert begun.due_at == env.time.now + repeated_in_s * 1000


def test_clock_that_was_ahead_delays_no_callback_for_longer_than_the_gap(
    env: TestEnvironment,
) -> None:
    before = put_running(env, callback_poll_at=env.time.now + 365 * 86_400_000, due_at=2 * 10**12)

    after = env.reconcile(before, source="callback")

    assert after.due_at is not None
    assert after.due_at <= env.time.now + (2 * GAP_S + LIMITS.sweep_fallback_s) * 1000
    assert after.poyo_id == POYO_ID
