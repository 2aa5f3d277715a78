"""Submits keep within PoYo's rate limit, and a circuit breaker sends few while PoYo fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NoReturn, cast

import pytest

from cli.redrive import close_circuit_breaker
from cli.stack import Stack
from imagetasks.aws.submit_account import ACCOUNT_PK
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.errors import DatabaseUnavailable, RequestNotSent, ResponseLost, TooManyOrders
from imagetasks.tasks.budgets import Limit
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.submit import Submitter
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import poyo_response, submit_response
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import LIMITS


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with(
            "POST", *(submit_response(f"POYO{n:04}") for n in range(200))
        )
        yield environment


def submit(env: TestEnvironment, key: str) -> Task:
    return env.submitter.submit(order(key)).task


class RecordingQueue:
    """A queue that records how long its messages are delayed."""

    def __init__(self) -> None:
        self.delays_s: list[float] = []

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        self.delays_s.append(delay_s)


def _always() -> Condition:
    return Condition((absent("never"),))


def test_burst_sends_twenty_orders_and_the_rest_waits(env: TestEnvironment) -> None:
    tasks = [submit(env, f"burst-{n}") for n in range(50)]

    assert [task.state for task in tasks] == ["running"] * 20 + ["pending"] * 30
    assert env.fake_poyo.request_count("POST") == 20
    assert all(env.is_due(task) for task in tasks)
    starts = [((task.not_before or 0) - env.time.now) / 1000 for task in tasks[20:]]
    assert starts == [10.3] * 20 + [20.6] * 10


def test_order_that_waits_is_created_pending_and_shows_it(env: TestEnvironment) -> None:
    for n in range(20):
        submit(env, f"burst-{n}")

    queue = RecordingQueue()
    waiting = env.submitter_with(queue=queue).submit(order("waiting")).task

    assert env.read(waiting) == waiting
    assert queue.delays_s == [9.3]  # a second early
    assert [entry["event"] for entry in waiting.history] == ["accepted", "waiting"]
    assert (waiting.attempt, waiting.refused_at, waiting.slot_number) == (1, None, 21)


def take(seconds: float, env: TestEnvironment) -> Submitter:
    """The submitter, which needs so many seconds to create a task."""

    class SlowRepository(TaskRepository):
        def create(self, task: Task, limits: Sequence[Limit] = ()) -> WriteResult:
            env.time.forward(seconds)
            return super().create(task, limits)

    return env.submitter_with(repository=SlowRepository(env.table))


def test_order_that_took_long_to_write_records_its_start_anew(env: TestEnvironment) -> None:
    begin = env.time.now
    take(0.1, env).submit(order("punctual"))
    take(0.101, env).submit(order("late"))

    assert env.table.get(ACCOUNT_PK)["sent"] == [begin, begin + 201]
    assert env.fake_poyo.request_count("POST") == 2


def test_order_whose_start_has_passed_is_sent_later_when_poyos_window_is_full(
    env: TestEnvironment,
) -> None:
    sent = [env.time.now - 5000 + n for n in range(19)]
    env.slots.reserve()
    env.table.put(PutItem(item=env.table.get(ACCOUNT_PK) | {"sent": sent}, condition=_always()))

    class Overtaken(TaskRepository):
        """Another function sends a submit while this one writes its task."""

        def create(self, task: Task, limits: Sequence[Limit] = ()) -> WriteResult:
            env.time.forward(1)
            item = env.table.get(ACCOUNT_PK)
            full = {"sent": [*sent, env.time.now]}
            env.table.put(PutItem(item=item | full, condition=_always()))
            return super().create(task, limits)

    late = env.submitter_with(repository=Overtaken(env.table)).submit(order("late")).task

    assert (late.state, late.refused_at, late.attempt) == ("pending", None, 1)
    assert late.not_before == sent[0] + 10_200
    assert env.fake_poyo.requests == []


def test_refused_submit_needs_a_new_slot_for_its_retry(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", RequestNotSent("ConnectTimeout"), submit_response())

    deferred = submit(env, "refused")
    env.time.forward(10)

    assert (deferred.state, deferred.slot_number) == ("pending", None)
    assert env.reconcile(deferred).state == "running"
    assert env.table.get(ACCOUNT_PK)["issued"] == 2


def test_waiting_orders_are_sent_at_their_slots_without_a_new_one(env: TestEnvironment) -> None:
    tasks = [submit(env, f"burst-{n}") for n in range(30)]
    env.time.forward(9.29)
    assert env.reconcile(tasks[29], source="retry").state == "pending"
    env.time.forward(0.01)
    begin = env.time.now

    after = [env.reconcile(task, source="retry") for task in tasks[20:]]

    assert [task.state for task in after] == ["running"] * 10
    assert {task.slot_number for task in after} == {None}
    assert env.table.get(ACCOUNT_PK)["issued"] == 30
    assert env.time.now - begin == 1000  # the workers waited until the turn


def test_order_that_comes_long_after_its_slot_needs_a_new_one(env: TestEnvironment) -> None:
    tasks = [submit(env, f"burst-{n}") for n in range(100)]
    env.time.forward(10.3 + LIMITS.slot_tolerance_s)
    assert env.reconcile(tasks[20]).state == "running"
    env.time.forward(0.001)

    after = env.reconcile(tasks[21])

    assert (after.state, after.slot_number) == ("pending", 101)
    assert after.not_before == env.time.now + 11_199  # 20 submits of the last window, and 10.3 s
    assert env.table.get(ACCOUNT_PK)["issued"] == 101


def test_early_message_makes_the_sweep_wait_for_the_slot(env: TestEnvironment) -> None:
    waiting = [submit(env, f"burst-{n}") for n in range(21)][20]
    claimed = env.put(replace(waiting, due_at=env.time.now + 300_000))

    after = env.reconcile(claimed)

    assert after.not_before == waiting.not_before
    assert after.due_at == (waiting.not_before or 0) + LIMITS.sweep_fallback_s * 1000
    assert env.reconcile(after) == after


def test_slot_beyond_the_longest_delay_of_a_message_is_triggered_by_the_sweep(
    env: TestEnvironment,
) -> None:
    submit(env, "first")
    item = env.table.get(ACCOUNT_PK) | {"starts": [env.time.now] * 20, "issued": 2000}
    env.table.put(PutItem(item=item, condition=_always()))
    queue = RecordingQueue()

    waiting = env.submitter_with(queue=queue).submit(order("waiting")).task

    wait_s = ((waiting.not_before or 0) - env.time.now) / 1000
    assert wait_s == 1030
    assert waiting.due_at == (waiting.not_before or 0) - 600_000
    assert queue.delays_s == []
    env.time.forward(500)
    reconciler = env.reconciler_with(queue=queue)
    reconciler.reconcile(TaskMessage(task_id=waiting.task_id, source="sweep"))
    assert env.read(waiting).due_at == (waiting.not_before or 0) + 60_000
    assert queue.delays_s == [529]


def test_order_beyond_half_an_hour_of_capacity_is_refused_before_a_task_exists(
    env: TestEnvironment,
) -> None:
    submit(env, "first")
    item = env.table.get(ACCOUNT_PK) | {"starts": [env.time.now] * 20, "issued": 3481}
    env.table.put(PutItem(item=item, condition=_always()))

    with captured_logs() as log, pytest.raises(TooManyOrders) as refused:
        submit(env, "refused")

    assert refused.value.wait_s == 2.5  # the next slot is 1,802.5 s ahead
    assert '"message":"too_many_orders"' in log.getvalue()
    assert env.table.get(ACCOUNT_PK)["issued"] == 3481
    env.time.forward(2.5)
    assert submit(env, "refused").state == "pending"


def test_order_that_could_not_be_counted_is_not_sent(env: TestEnvironment) -> None:
    class UncountedSlots(SubmitSlots):
        def reserve(self, *_: object, **__: object) -> NoReturn:
            raise DatabaseUnavailable("ThrottlingException")

    task = env.submitter_with(slots=UncountedSlots(env.table, env.clock)).submit(order()).task

    assert (env.read(task).state, task.refused_at) == ("pending", None)
    assert env.fake_poyo.requests == []
    env.time.forward(10)
    assert env.reconcile(task, source="retry").state == "running"


def test_third_lost_response_in_a_row_makes_the_next_order_wait_for_a_probe(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))
    unknown = [submit(env, f"unknown-{n}").state for n in range(3)]

    waiting = submit(env, "next")

    assert unknown == ["unknown"] * 3
    assert waiting.state == "pending"
    assert waiting.not_before == env.time.now + 10_000
    assert waiting.refused_at == env.time.now
    assert env.fake_poyo.request_count("POST") == 3


def test_one_order_probes_and_the_others_wait_for_its_answer(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))
    for n in range(3):
        submit(env, f"unknown-{n}")
    waiting = [submit(env, f"waiting-{n}") for n in range(3)]
    env.time.forward(15)

    states = [env.reconcile(task, source="retry").state for task in waiting]

    assert states == ["unknown", "pending", "pending"]
    assert env.fake_poyo.request_count("POST") == 4
    assert env.read(waiting[1]).not_before == env.time.now + 20_000  # twice the delay


def test_successful_probe_closes_the_circuit_breaker(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with(
        "POST", *[ResponseLost("ReadTimeout")] * 3, submit_response("A1"), submit_response("A2")
    )
    for n in range(3):
        submit(env, f"unknown-{n}")
    env.time.forward(10)

    states = [submit(env, key).state for key in ("probe", "after")]

    assert states == ["running", "running"]
    assert env.table.get(ACCOUNT_PK)["failures"] == 0


def test_order_fails_when_the_breaker_is_open_half_an_hour_after_the_first_refusal(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))
    for n in range(3):
        submit(env, f"unknown-{n}")
    waiting = submit(env, "waiting")
    for n in range(200):
        env.time.forward(10)
        if n % 3 == 0:
            submit(env, f"more-{n}")
        if env.read(waiting).state != "pending":
            break
        env.slots.record_outcome(succeeded=False)
        env.reconcile(waiting, source="retry")

    after = env.read(waiting)
    assert (after.state, after.reason) == ("failed", "unavailable")
    assert (env.time.now - (waiting.refused_at or 0)) / 1000 == pytest.approx(
        1830, abs=30
    )  # at most a probe's delay later


def test_rejected_order_does_not_count_as_a_failure(env: TestEnvironment) -> None:
    rejection = {"code": 400, "error": {"message": "no", "type": "validation_error"}}
    env.fake_poyo.respond_with("POST", poyo_response(rejection, 400))
    for n in range(5):
        submit(env, f"rejected-{n}")

    assert env.table.get(ACCOUNT_PK)["failures"] == 0


def test_two_functions_that_reserve_at_once_get_two_slots(env: TestEnvironment) -> None:
    class OvertakenTable:
        """A table that another function writes to between our read and our write."""

        def get(self, pk: str) -> object:
            item = env.table.get(pk)
            env.slots.reserve()
            return item

        put, update = env.table.put, env.table.update

    slot = SubmitSlots(OvertakenTable(), env.clock).reserve()  # type: ignore[arg-type]

    assert slot.number == 2
    assert len(env.table.get(ACCOUNT_PK)["starts"]) == 2


def test_new_order_waits_for_room_if_late_submits_have_filled_poyos_window(
    env: TestEnvironment,
) -> None:
    env.slots.reserve()
    env.time.forward(600)
    late = [env.time.now - n for n in range(20)][::-1]
    env.table.put(PutItem(item=env.table.get(ACCOUNT_PK) | {"sent": late}, condition=_always()))

    slots = [env.slots.reserve() for _ in range(21)]

    assert [slot.number for slot in slots] == [*range(2, 23)]
    room = late[0] + 10_200
    assert [slot.not_before for slot in slots] == [room] * 20 + [room + 10_300]
    assert env.table.get(ACCOUNT_PK)["sent"] == late


def test_two_workers_that_record_their_starts_at_once_both_count(env: TestEnvironment) -> None:
    waiting = [submit(env, f"burst-{n}") for n in range(22)][20:]
    turn = waiting[0].not_before or 0
    env.time.forward(9.5)

    class OvertakenTable:
        """A table that another worker writes to between our read and our write."""

        def get(self, pk: str) -> object:
            item = env.table.get(pk)
            env.slots.reserve(21, turn, early=True)
            return item

        put, update = env.table.put, env.table.update

    slot = SubmitSlots(OvertakenTable(), env.clock).reserve(22, turn, early=True)  # type: ignore[arg-type]

    assert (slot.not_before, slot.start) == (None, turn)
    assert env.table.get(ACCOUNT_PK)["sent"].count(turn) == 2


class OperatorsStack:
    """The stack as `cli.redrive` sees it."""

    def __init__(self, env: TestEnvironment) -> None:
        self._env = env

    def client(self, service: str) -> object:
        return self._env.cloud.client(service)

    def output(self, name: str) -> str:
        assert name == "TasksTableName"
        return self._env.cloud.table_name


def test_operator_closes_the_circuit_breaker(env: TestEnvironment) -> None:
    stack = cast(Stack, OperatorsStack(env))
    close_circuit_breaker(stack)  # before the first order there is nothing to close
    assert env.table.get(ACCOUNT_PK) == {}
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))
    for n in range(10):
        submit(env, f"order-{n}")
        env.slots.record_outcome(succeeded=False)
    env.fake_poyo.respond_with("POST", *(submit_response(f"POYO{n:04}") for n in range(200)))

    close_circuit_breaker(stack)

    env.time.forward(70)  # seven orders wait, the first one for a minute
    assert [submit(env, f"after-{n}").state for n in range(3)] == ["running"] * 3
