"""Fifty concurrent writes on real engines: one winner for each key, one claim, both writes or neither."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from threading import Lock
from typing import Any, cast

import pytest

from imagetasks.aws.secrets import CachedSecret, CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import DueTask, TaskRepository
from imagetasks.clock import WriteStamp
from imagetasks.errors import DatabaseUnavailable, PoyoIdConflict
from imagetasks.limits import Limits
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import transition_writes
from imagetasks.tasks.conditional_write import Condition, ConditionFailed, PutItem, equals
from imagetasks.tasks.task import Task, poyo_pk, shard_of
from imagetasks.tasks.transition_write import TransitionWrite
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
from tests.support.threads import THREADS, concurrently


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


def at(n: int) -> WriteStamp:
    return WriteStamp(START + n, f"stamp-{n}")


def test_one_of_fifty_creates_the_task_and_the_others_get_it(
    repository: TaskRepository,
) -> None:
    outcomes = concurrently(lambda n: repository.create(replace(task(), write_token=f"stamp-{n}")))

    winners = [outcome for outcome in outcomes if outcome.applied]
    assert len(winners) == 1
    assert {outcome.task.write_token for outcome in outcomes} == {winners[0].task.write_token}


def test_one_of_fifty_retries_a_pending_task(repository: TaskRepository) -> None:
    pending = replace(task(), state="pending", not_before=START)
    repository.create(pending)

    outcomes = concurrently(
        lambda n: repository.apply(transition_writes.retry(pending, at(n), due_at=START))
    )

    assert sum(outcome.applied for outcome in outcomes) == 1
    assert repository.get(pending.task_id).attempt == pending.attempt + 1


def test_one_of_fifty_claims_a_due_task(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)
    due = DueTask(made.task_id, int(made.due_at or 0), int(made.due_since or 0))

    claimed = concurrently(lambda n: repository.claim(due, until=START + 10_000 + n))

    assert sum(claimed) == 1


def test_one_poyo_id_of_fifty_is_confirmed_and_the_others_write_nothing(
    repository: TaskRepository,
) -> None:
    made = task()
    repository.create(made)
    for n in range(THREADS):
        repository.name_poyo_id(f"ID{n}", made.task_id, now=START)

    def confirm(n: int) -> bool:
        change = transition_writes.confirm_submission(
            made, at(n), poyo_id=f"ID{n}", due_at=START, source="callback"
        )
        return retry_until_available(
            lambda: repository.confirm_submission(change, f"ID{n}", named=True).applied
        )

    won = concurrently(confirm)

    owned = [n for n in range(THREADS) if "task_id" in repository.table.get(poyo_pk(f"ID{n}"))]
    assert sum(won) == 1
    assert owned == [won.index(True)]
    assert repository.get(made.task_id).poyo_id == f"ID{owned[0]}"


def test_one_of_fifty_tasks_gets_the_poyo_id_and_the_others_stay_unchanged(
    repository: TaskRepository,
) -> None:
    made = [task(f"key-{n}") for n in range(THREADS)]
    for each in made:
        repository.create(each)

    def confirm(n: int) -> bool:
        change = transition_writes.confirm_submission(
            made[n], at(n), poyo_id="ONE", due_at=START, source="answer"
        )
        try:
            return retry_until_available(
                lambda: repository.confirm_submission(change, "ONE").applied
            )
        except PoyoIdConflict:
            return False

    won = concurrently(confirm)

    states = [repository.get(each.task_id).state for each in made]
    assert sum(won) == 1
    assert states.count("running") == 1
    assert states.index("running") == won.index(True)


def test_the_same_confirmation_fifty_times_is_one_change(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)
    change = transition_writes.confirm_submission(
        made, at(0), poyo_id="SAME", due_at=START, source="answer"
    )

    outcomes = concurrently(
        lambda _: retry_until_available(lambda: repository.confirm_submission(change, "SAME"))
    )

    assert all(outcome.applied for outcome in outcomes)  # all have the same write token
    assert len(repository.get(made.task_id).history) == len(made.history) + 1


def test_fifty_submits_get_fifty_slots_of_which_twenty_are_now(repository: TaskRepository) -> None:
    slots = SubmitSlots(repository.table, make_clock(ManualClock()))

    reserved = concurrently(lambda _: retry_until_available(slots.reserve))

    assert sorted(each.number or 0 for each in reserved) == list(range(1, THREADS + 1))
    assert sum(each.not_before is None for each in reserved) == 20


def test_index_does_not_contain_an_ended_task(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)
    shard = shard_of(made.task_id)
    assert [due.task_id for due in repository.find_due(shard, now=START * 2, limit=10)] == [
        made.task_id
    ]

    change = transition_writes.fail(made, at(1), reason="rejected", detail="no")

    assert repository.apply(change).applied
    assert repository.find_due(shard, now=START * 2, limit=10) == []


def test_rejected_put_returns_the_current_item(repository: TaskRepository) -> None:
    item = {"pk": "poyo#X", "task_id": "one"}
    repository.table.put(PutItem(item=item, condition=Condition()))

    with pytest.raises(ConditionFailed) as failed:
        repository.table.put(
            PutItem(item=item, condition=Condition((equals("task_id", "another"),)))
        )

    assert failed.value.item == item


def test_one_of_fifty_deletes(repository: TaskRepository) -> None:
    made = task()
    repository.create(made)

    outcomes = concurrently(lambda n: repository.apply(transition_writes.delete(made, at(n))))

    assert sum(outcome.applied for outcome in outcomes) == 1
    current = repository.get(made.task_id)
    assert [line["event"] for line in current.history] == ["accepted", "deleted"]
    assert (current.owner_key, current.owner_status_key, current.input) == (None, None, {})


def test_concurrent_deletion_and_end_give_one_consistent_task(repository: TaskRepository) -> None:
    made = [task(f"key-{n}", state="running", poyo_id=f"ID{n}") for n in range(THREADS // 2)]
    for each in made:
        repository.create(each)

    def deleted_or_finished(n: int) -> bool:
        before = made[n // 2]
        change = transition_writes.delete(before, at(n)) if n % 2 else finish(before, at(n))
        return repository.apply(change).applied

    won = concurrently(deleted_or_finished)

    assert all(won[1::2])  # a deletion has no condition
    for before, finished in zip(made, won[::2], strict=True):
        current = repository.get(before.task_id)
        assert current.deleted_at is not None
        assert (current.state == "finished") is finished
        assert (current.charged_credits is not None) is finished
        assert current.due_at is not None  # images are erased, or the task is reconciled once more
        settled = repository.apply(finish(current, at(99)))
        assert settled.applied is not finished
        assert (settled.task.charged_credits, settled.task.owner_status_key) == (Decimal(2), None)
    assert repository.list("owner", status=None, limit=100, after=None).tasks == ()


def test_one_of_fifty_claims_the_notification(repository: TaskRepository) -> None:
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

    assert sum(concurrently(claim)) == 1
    assert repository.get(made.task_id).notification_attempts == 1


def test_pages_show_every_older_task_once_while_orders_arrive(repository: TaskRepository) -> None:
    old = [task(f"old-{n}", created_at=START + n // 3) for n in range(12)]
    for each in old:
        repository.create(each)

    def order_or_list(n: int) -> list[str]:
        if n % 5:
            owner = "owner" if n % 2 else "another owner"
            values = {
                "owner": owner,
                "owner_key": owner,
                "owner_status_key": f"open#{owner}",
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

    walks = [shown for n, shown in enumerate(concurrently(order_or_list)) if n % 5 == 0]

    for shown in walks:
        assert len(set(shown)) == len(shown)
        assert {each.task_id for each in old} <= set(shown)
    now = repository.list("owner", status="not_started", limit=100, after=None).tasks
    assert len(now) == len(old) + THREADS * 2 // 5


def finish(current: Task, at: WriteStamp) -> TransitionWrite:
    """The write that finishes a task, made from that state of it."""
    return transition_writes.finish(current, at, files=[], charged_credits=Decimal(2))


def retry_until_available[T](act: Callable[[], T]) -> T:
    """Repeat `act`: fifty transactions on one item conflict more often than the repository retries."""
    for _ in range(200):
        with contextlib.suppress(DatabaseUnavailable):
            return act()
    return act()


class CountingPoyo:
    """A PoYo that accepts every order and records its idempotency key."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._lock = Lock()

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], **_: Any
    ) -> HttpResponse:
        with self._lock:
            self.keys.append(headers["Idempotency-Key"])
            return submit_response(f"POYO{len(self.keys)}")


def test_two_hundred_orders_at_once_with_twenty_keys_are_twenty_tasks_and_twenty_submits(
    on_own_engine: Table,
) -> None:
    poyo = CountingPoyo()
    secret = CachedSecret(cast(Any, FakeSecretsClient({"current": "k1", "k1": "key"})), "callback")
    repository, clock = (
        TaskRepository(on_own_engine),
        make_clock(ManualClock(), Limits(window_submits=1000)),
    )
    no_queue = cast(Any, None)  # no message is sent
    submitter = Submitter(
        slots=SubmitSlots(on_own_engine, clock),
        poyo=PoyoClient(
            send=poyo,
            base_url="https://api.poyo.test",
            key=lambda: "sk",
            refresh_key=lambda _: False,
        ),
        callback_keys=CallbackKeys(secret),
        uploads=cast(Any, None),  # no order has an upload
        updater=TaskUpdater(repository=repository, queue=no_queue, clock=clock),
        clock=clock,
    )

    def submit(n: int) -> tuple[Task, bool]:
        placement = retry_until_available(lambda: submitter.submit(order(f"crowd-{n % 20}")))
        return placement.task, placement.replayed

    results = concurrently(submit, threads=200)

    tasks = Counter(made.task_id for made, _ in results)
    assert list(tasks.values()) == [10] * 20
    assert sum(not replayed for _, replayed in results) == 20
    assert sorted(poyo.keys) == sorted(tasks)
    assert {repository.get(task_id).state for task_id in tasks} == {"running"}
