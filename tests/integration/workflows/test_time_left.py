"""A function is ended at its time-out: PoYo's id is recorded before, and nothing is begun too late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from imagetasks.aws.secrets import CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.errors import DatabaseUnavailable, DownloadFailed
from imagetasks.limits import Limits
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import derive_task_id, task_pk
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.workflows.submit import Submitter
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    FILE_URL,
    POYO_ID,
    finished_response,
    poyo_response,
    submit_response,
    task,
)
from tests.support.lambdas import captured_logs
from tests.support.template import properties
from tests.support.unavailable import UnavailableQueue

LIMITS = Limits()
TASK_ID = derive_task_id("owner", "key")
API_TIMEOUT_S = float(properties("ApiFunction")["Timeout"])


class Ended(BaseException):
    """The platform ends the invocation: none of its remaining code runs."""


@dataclass(frozen=True)
class HangingRepository(TaskRepository):
    """A repository whose table takes every call and answers none that confirms an id."""

    hang: Callable[[float], None]

    def confirm_submission(
        self, write: TransitionWrite, poyo_id: str, *, named: bool = False
    ) -> WriteResult:
        self.hang(LIMITS.aws_call_s)
        raise DatabaseUnavailable("ReadTimeoutError")


class Invocation:
    """An invocation of a function with `timeout_s`, which ends when the manual clock passes it."""

    def __init__(self, env: TestEnvironment, timeout_s: float) -> None:
        self._env, self._until = env, env.time.now + timeout_s * 1000
        env.clock.begin(lambda: self._until - env.time.now)

    def wait(self, seconds: float) -> None:
        self._env.time.forward(seconds)
        if self._env.time.now > self._until:
            raise Ended

    def accepted_after(self, seconds: float) -> Callable[[], HttpResponse]:
        """PoYo's answer to a submit after so many seconds."""

        def respond() -> HttpResponse:
            self.wait(seconds)
            return submit_response()

        return respond

    def submitter(self) -> Submitter:
        """The submitter on a table that hangs."""
        return self._env.submitter_with(
            repository=HangingRepository(self._env.table, self.wait),
        )


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


@pytest.mark.parametrize("answer_s", [1, 11, 12])
@pytest.mark.parametrize("earlier_s", [0, 2, 5])
def test_id_of_a_paid_task_is_enqueued_although_the_table_hangs(
    env: TestEnvironment, answer_s: float, earlier_s: float
) -> None:
    invocation = Invocation(env, API_TIMEOUT_S)
    invocation.wait(earlier_s)
    env.fake_poyo.respond_with("POST", invocation.accepted_after(answer_s))

    with captured_logs() as log:
        placed = invocation.submitter().submit(order()).task

    messages = env.cloud.messages()
    assert [(each["task_id"], each["poyo_id"]) for each in messages] == [(placed.task_id, POYO_ID)]
    assert "poyo_id_received" in log.getvalue()
    assert POYO_ID in log.getvalue()


def test_id_is_enqueued_before_a_write_that_may_take_the_rest_of_the_time(
    env: TestEnvironment,
) -> None:
    invocation = Invocation(env, API_TIMEOUT_S)
    invocation.wait(5)

    def answer() -> HttpResponse:
        invocation.wait(API_TIMEOUT_S - 5 - LIMITS.aws_call_s + 0.5)
        return submit_response()

    env.fake_poyo.respond_with("POST", answer)
    with pytest.raises(Ended):
        invocation.submitter().submit(order())

    assert [message["poyo_id"] for message in env.cloud.messages()] == [POYO_ID]


def test_id_is_logged_when_the_queue_is_unavailable_too(env: TestEnvironment) -> None:
    invocation = Invocation(env, API_TIMEOUT_S)
    env.fake_poyo.respond_with("POST", invocation.accepted_after(11))
    submitter = env.submitter_with(
        repository=HangingRepository(env.table, invocation.wait), queue=UnavailableQueue()
    )

    with captured_logs() as log:
        submitter.submit(order())

    assert "enqueue_failed" in log.getvalue()
    assert log.getvalue().count(POYO_ID) >= 2


@pytest.mark.parametrize(("spare_s", "posts"), [(0.1, 1), (-0.1, 0)])
def test_post_is_deferred_when_there_is_too_little_time_for_it(
    env: TestEnvironment, spare_s: float, posts: int
) -> None:
    env.fake_poyo.respond_with("POST", submit_response())
    Invocation(env, LIMITS.submit_needs_s + spare_s)

    placed = env.submitter.submit(order()).task

    assert env.fake_poyo.request_count("POST") == posts
    assert placed.state == ("running" if posts else "pending")
    assert env.cloud.messages() == ([] if posts else [{"delayed": True}])
    assert env.is_due(placed)


def test_deferred_post_is_sent_by_the_worker_with_all_of_its_time(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", submit_response())
    Invocation(env, 1)
    placed = env.submitter.submit(order()).task
    env.time.forward(5)
    Invocation(env, float(properties("WorkerFunction")["Timeout"]))

    assert env.reconcile(placed, source="retry").state == "running"


@pytest.mark.parametrize(
    ("left_s", "within_s"), [(60.0, 60 - LIMITS.store_needs_s), (LIMITS.store_needs_s + 1, 1.0)]
)
def test_download_leaves_time_to_store_the_image(
    env: TestEnvironment, left_s: float, within_s: float
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    Invocation(env, left_s)

    after = env.reconcile(env.put(task(state="running", poyo_id=POYO_ID)))

    assert after.state == "finished"
    assert env.file_host.within_s == [within_s]


def test_download_without_time_is_tried_again_later(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    Invocation(env, LIMITS.store_needs_s)
    env.file_host.respond_with(DownloadFailed("too_late"))

    after = env.reconcile(env.put(task(state="running", poyo_id=POYO_ID)))

    assert (after.state, after.copy_attempts) == ("running", 1)
    assert env.file_host.fetched == [FILE_URL]
    assert env.file_host.within_s == [0.0]


@dataclass(frozen=True)
class SlowSlots(SubmitSlots):
    """Slots whose every record takes as long as two calls that hang."""

    def record_outcome(self, *, succeeded: bool) -> None:
        self.sleep(2 * LIMITS.aws_call_s)

    def pause(self, wait_s: float) -> None:
        self.sleep(2 * LIMITS.aws_call_s)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (submit_response(), "running"),
        (poyo_response({"code": 402, "error": {"message": "no credits"}}, 402), "failed"),
        (poyo_response({"code": 429, "error": {"message": "try again in 9 s"}}, 429), "pending"),
        (poyo_response({"code": 503, "error": {"message": "maintenance"}}, 503), "unknown"),
    ],
    ids=["accepted", "no credits", "too many", "maintenance"],
)
def test_outcome_of_a_submit_is_written_before_the_circuit_breaker_and_the_pause(
    env: TestEnvironment, answer: HttpResponse, state: str
) -> None:
    for _ in range(LIMITS.breaker_threshold - 1):
        env.slots.record_outcome(succeeded=False)
    invocation = Invocation(env, API_TIMEOUT_S)
    invocation.wait(API_TIMEOUT_S - LIMITS.submit_needs_s)

    def respond() -> HttpResponse:
        invocation.wait(15)
        return answer

    env.fake_poyo.respond_with("POST", respond)
    slots = SlowSlots(env.table, env.clock, invocation.wait)
    with pytest.raises(Ended):
        env.submitter_with(slots=slots).submit(order())

    assert env.repository.get(TASK_ID).state == state


@pytest.mark.parametrize("spare_s", [1, LIMITS.aws_call_s + 1])
def test_time_that_the_keys_take_is_no_time_for_the_post(
    env: TestEnvironment, spare_s: float
) -> None:
    invocation = Invocation(env, LIMITS.submit_needs_s + spare_s)

    class SlowKeys(CallbackKeys):
        """Keys that are read again, slowly, once the task exists."""

        def current(self) -> tuple[str, str]:
            if env.table.get(task_pk(TASK_ID)) and not slow:
                slow.append(LIMITS.aws_call_s)
                invocation.wait(LIMITS.aws_call_s)
            return super().current()

    slow: list[float] = []
    env.fake_poyo.respond_with("POST", submit_response())
    keys = SlowKeys(env.callback_keys.secret)

    env.submitter_with(callback_keys=keys).submit(order())

    assert slow
    assert env.fake_poyo.request_count("POST") == (spare_s > LIMITS.aws_call_s)
