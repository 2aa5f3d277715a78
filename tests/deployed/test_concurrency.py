"""Fifty at once on real engines: one winner for each key, no claim twice, both writes or neither."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from threading import Barrier, Lock
from typing import Any, cast

import pytest

from imagetasks.aws.secrets import CachedSecret, CallbackKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import DueTask, TaskRepository
from imagetasks.clock import WriteStamp
from imagetasks.errors import DatabaseUnavailable, PoyoIdConflict
from imagetasks.limits import Limits
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import transition_writes
from imagetasks.tasks.conditional_write import Condition, PutItem, equals
from imagetasks.tasks.task import Task, poyo_pk, shard_of
from imagetasks.tasks.transition_writes import TransitionWrite
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import TaskUpdater
from local.system import System
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.environment import order
from tests.support.fakes import (
    START,
    FakeSecretsClient,
    ManualClock,
    make_clock,
    submit_response,
    task,
)

THREADS = 50


@pytest.fixture(scope="module")
def own_engine() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture
def on_own_engine(own_engine: str) -> Table:
    return create_table(own_engine)


@pytest.fixture
def on_emulated_cloud(stack: System) -> Table:
    return create_table(stack.cloud_url)


@pytest.fixture(params=["on_own_engine", "on_emulated_cloud"])
def repository(request: pytest.FixtureRequest) -> TaskRepository:
    return TaskRepository(request.getfixturevalue(request.param))


def at_once[T](act: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """What so many threads got that began at the same moment."""
    together = Barrier(threads)

    def run(n: int) -> T:
        together.wait()
        return act(n)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def at(n: int) -> WriteStamp:
    return WriteStamp(START + n, f"stamp-{n}")


def test_one_of_fifty_creates_the_task_and_the_others_are_shown_it(
    repository: TaskRepository,
) -> None:
    outcomes = at_once(lambda n: repository.create(replace(task(), write_token=f"stamp-{n}")))

    winners = [outcome for outcome in outcomes if outcome.applied]
    assert len(winners) == 1
    assert {outcome.task.write_token for outcome in outcomes} == {winners[0].task.write_token}


def test_one_of_fifty_retries_a_pending_task(repository: TaskRepository) -> None:
    pending = replace(task(), state="pending", not_before=START)
    repository.create(pending)

    outcomes = at_once(
        lambda n: repository.apply(transition_writes.retry(pending, at(n), due_at=START))
    )

    assert sum(outcome.applied for outcome in outcomes) == 1
    assert repository.get(pending.task_id).attempt == pending.attempt + 1


def test_one_of_fifty_claims_what_is_due(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)
    due = DueTask(made.task_id, int(made.due_at or 0))

    claimed = at_once(lambda n: repository.claim(due, until=START + 10_000 + n))

    assert sum(claimed) == 1


def test_one_poyo_id_of_fifty_is_bound_and_the_others_leave_nothing_behind(
    repository: TaskRepository,
) -> None:
    made = task()
    repository.create(made)

    def bind(n: int) -> bool:
        change = transition_writes.confirm_submission(
            made, at(n), poyo_id=f"ID{n}", due_at=START, source="answer"
        )
        return patiently(lambda: repository.confirm_submission(change, f"ID{n}").applied)

    won = at_once(bind)

    owned = [n for n in range(THREADS) if repository.table.get(poyo_pk(f"ID{n}"))]
    assert sum(won) == 1
    assert owned == [won.index(True)]
    assert repository.get(made.task_id).poyo_id == f"ID{owned[0]}"


def test_one_of_fifty_tasks_gets_a_poyo_id_and_the_others_stay_as_they_were(
    repository: TaskRepository,
) -> None:
    made = [task(f"key-{n}") for n in range(THREADS)]
    for each in made:
        repository.create(each)

    def bind(n: int) -> bool:
        change = transition_writes.confirm_submission(
            made[n], at(n), poyo_id="ONE", due_at=START, source="answer"
        )
        try:
            return patiently(lambda: repository.confirm_submission(change, "ONE").applied)
        except PoyoIdConflict:
            return False

    won = at_once(bind)

    states = [repository.get(each.task_id).state for each in made]
    assert sum(won) == 1
    assert states.count("running") == 1
    assert states.index("running") == won.index(True)


def test_the_same_binding_fifty_times_is_one(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)
    change = transition_writes.confirm_submission(
        made, at(0), poyo_id="SAME", due_at=START, source="answer"
    )

    outcomes = at_once(lambda _: patiently(lambda: repository.confirm_submission(change, "SAME")))

    assert all(outcome.applied for outcome in outcomes)  # all carry the same stamp: it was us
    assert len(repository.get(made.task_id).history) == len(made.history) + 1


def test_fifty_submits_are_all_counted(repository: TaskRepository) -> None:
    counted = at_once(lambda _: patiently(lambda: repository.count_submit(7).sent))

    assert sorted(counted) == list(range(1, THREADS + 1))


def test_the_index_forgets_a_task_that_has_ended(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)
    shard = shard_of(made.task_id)
    assert [due.task_id for due in repository.find_due(shard, now=START * 2, limit=10)] == [
        made.task_id
    ]

    change = transition_writes.fail(made, at(1), reason="rejected", detail="no")

    assert repository.apply(change).applied
    assert repository.find_due(shard, now=START * 2, limit=10) == []


def test_a_refused_put_brings_the_row_that_stands(repository: TaskRepository) -> None:
    row = {"pk": "poyo#X", "task_id": "somebody"}
    repository.table.put(PutItem(item=row, condition=Condition()))

    with pytest.raises(Exception) as refused:  # noqa: PT011  # Refused carries its row, not a text
        repository.table.put(PutItem(item=row, condition=Condition((equals("task_id", "nobody"),))))

    assert getattr(refused.value, "row", None) == row


def test_one_of_fifty_deletes(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)

    outcomes = at_once(lambda n: repository.apply(transition_writes.delete(made, at(n))))

    assert sum(outcome.applied for outcome in outcomes) == 1
    stands = repository.get(made.task_id)
    assert [line["event"] for line in stands.history] == ["accepted", "deleted"]
    assert (stands.owner_key, stands.owner_status_key, stands.input) == (None, None, {})


def test_a_deletion_and_an_end_at_once_come_to_one_truth(repository: TaskRepository) -> None:
    made = [task(f"key-{n}", state="running", poyo_id=f"ID{n}") for n in range(THREADS // 2)]
    for each in made:
        repository.create(each)

    def deleted_or_finished(n: int) -> bool:
        before = made[n // 2]
        change = transition_writes.delete(before, at(n)) if n % 2 else finish(before, at(n))
        return repository.apply(change).applied

    won = at_once(deleted_or_finished)

    assert all(won[1::2])  # nothing forbids a deletion
    for before, finished in zip(made, won[::2], strict=True):
        stands = repository.get(before.task_id)
        assert stands.deleted_at is not None
        assert (stands.state == "finished") is finished
        assert (stands.charged_credits is not None) is finished
        assert stands.due_at is not None  # erased, or looked at once more
        settled = repository.apply(finish(stands, at(99)))
        assert settled.applied is not finished
        assert (settled.task.charged_credits, settled.task.owner_status_key) == (Decimal(2), None)
    assert repository.list("owner", status=None, limit=100, after=None).tasks == ()


def test_one_of_fifty_tells_the_caller(repository: TaskRepository) -> None:
    url = "https://caller.example/hook"
    made = task(
        state="finished",
        notification_url=url,
        notification_attempts=0,
        next_notification_at=START,
        due_at=START,
    )
    repository.create(made)

    def claim(n: int) -> bool:
        write = transition_writes.reschedule(
            made,
            at(n),
            due_at=START + 120_000 + n,
            notification_attempts=1,
            next_notification_at=START + 60_000 + n,
        )
        return repository.apply(write).applied

    assert sum(at_once(claim)) == 1
    assert repository.get(made.task_id).notification_attempts == 1


def test_pages_show_what_was_there_once_while_orders_come_in(repository: TaskRepository) -> None:
    old = [task(f"old-{n}", created_at=START + n // 3) for n in range(12)]
    for each in old:
        repository.create(each)

    def order_or_walk(n: int) -> list[str]:
        if n % 5:
            owner = "owner" if n % 2 else "stranger"
            values = {
                "owner": owner,
                "owner_key": owner,
                "owner_status_key": f"not_started#{owner}",
            }
            repository.create(task(f"new-{n}", created_at=START + n - 25, **values))
            return []
        shown, after = list[str](), None
        while True:
            page = repository.list("owner", status=None, limit=2, after=after)
            assert {each.owner for each in page.tasks} <= {"owner"}
            shown += [each.task_id for each in page.tasks]
            if (after := page.last) is None:
                return shown

    walks = [shown for n, shown in enumerate(at_once(order_or_walk)) if n % 5 == 0]

    for shown in walks:
        assert len(set(shown)) == len(shown)
        assert {each.task_id for each in old} <= set(shown)
    now = repository.list("owner", status="not_started", limit=100, after=None).tasks
    assert len(now) == len(old) + THREADS * 2 // 5


def finish(stands: Task, at: WriteStamp) -> TransitionWrite:
    """The end of a task, as whoever read it so has it written."""
    return transition_writes.finish(stands, at, files=[], charged_credits=Decimal(2))


def patiently[T](act: Callable[[], T]) -> T:
    """Fifty transactions on one row collide more often than the store's own patience lasts."""
    for _ in range(200):
        with contextlib.suppress(DatabaseUnavailable):
            return act()
    return act()


class Counting:
    """A PoYo that takes every order, and remembers under which key it came."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._one = Lock()

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], **_: Any
    ) -> HttpResponse:
        with self._one:
            self.keys.append(headers["Idempotency-Key"])
            return submit_response(f"POYO{len(self.keys)}")


def test_two_hundred_orders_at_once_with_twenty_keys_are_twenty_tasks_and_twenty_submits(
    on_own_engine: Table,
) -> None:
    poyo = Counting()
    secret = CachedSecret(cast(Any, FakeSecretsClient({"current": "k1", "k1": "key"})), "callback")
    repository, clock = (
        TaskRepository(on_own_engine),
        make_clock(ManualClock(), Limits(window_submits=1000)),
    )
    no_queue = cast(Any, None)  # nothing has to wait
    submitter = Submitter(
        repository=repository,
        poyo=PoyoClient(
            send=poyo,
            base_url="https://api.poyo.test",
            key=lambda: "sk",
            refresh_key=lambda _: False,
        ),
        callback_keys=CallbackKeys(secret),
        uploads=cast(Any, None),  # nobody brought any
        updater=TaskUpdater(repository=repository, queue=no_queue, clock=clock),
        clock=clock,
    )

    def submit(n: int) -> tuple[Task, bool]:
        placement = patiently(lambda: submitter.submit(order(f"crowd-{n % 20}")))
        return placement.task, placement.replayed

    answers = at_once(submit, threads=200)

    tasks = Counter(made.task_id for made, _ in answers)
    assert list(tasks.values()) == [10] * 20
    assert sum(not replayed for _, replayed in answers) == 20
    assert sorted(poyo.keys) == sorted(tasks)
    assert {submitter.repository.get(task_id).state for task_id in tasks} == {"running"}
