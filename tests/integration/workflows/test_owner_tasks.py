"""Reading: the caller's own alone, held until something changes, gone once it is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from imagetasks.aws.table import Table
from imagetasks.errors import DatabaseUnavailable, QueueUnavailable, TaskNotFound
from imagetasks.tasks import signed_urls, transition_writes
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import StoredImage, Task, derive_task_id
from imagetasks.workflows.owner_tasks import REREAD_S, OwnerTasks
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import PROMPT, START, task
from tests.support.lambdas import recorded_aws_calls

KEPT = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@dataclass
class Waiting:
    """A reader whose seconds pass at once; `meanwhile` happens after so many of them."""

    env: TestEnvironment
    slept: list[float] = field(default_factory=list)
    meanwhile: dict[int, Callable[[], object]] = field(default_factory=dict)

    @property
    def reader(self) -> OwnerTasks:
        env = self.env
        return OwnerTasks(
            repository=env.repository, updater=env.updater, clock=env.clock, sleep=self.sleep
        )

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.env.time.forward(seconds)
        self.meanwhile.pop(len(self.slept), lambda: None)()


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    with new_environment() as made:
        yield Waiting(made)


def change(waiting: Waiting, **changed: object) -> Callable[[], object]:
    return lambda: waiting.env.put(replace(task(), **changed))  # type: ignore[arg-type]


def test_a_task_is_its_owners(waiting: Waiting) -> None:
    made = waiting.env.put(task(owner="owner/ada"))

    assert waiting.reader.get("owner/ada", made.task_id) == made
    for other in ("owner", "owner/", "owner/Ada", "ada", "stranger", ""):
        with pytest.raises(TaskNotFound):
            waiting.reader.get(other, made.task_id)


def test_what_cannot_be_a_task_is_not_looked_for(waiting: Waiting) -> None:
    made = recorded_aws_calls(waiting.env.cloud.client("dynamodb"))

    for text in ("", "x", "A" * 26, "a" * 27, "task#" + "a" * 21, "é" * 26, "a" * 25 + "\n"):
        for ask in (waiting.reader.get, waiting.reader.delete):
            with pytest.raises(TaskNotFound):
                ask("owner", text)
        with pytest.raises(TaskNotFound):
            waiting.reader.shared_file(text, "0", "A" * 43)
    assert made == []


# Waiting


def test_who_does_not_wait_gets_the_task_as_it_stands(waiting: Waiting) -> None:
    made = waiting.env.put(task())

    assert waiting.reader.wait_for_change("owner", made.task_id, wait_s=0) == made
    assert waiting.slept == []


@pytest.mark.parametrize("wait_s", [1, 2, 7, 20])
def test_who_waits_in_vain_waits_as_long_as_asked_and_no_longer(
    waiting: Waiting, wait_s: int
) -> None:
    made = waiting.env.put(task())

    found = waiting.reader.wait_for_change("owner", made.task_id, wait_s=wait_s)

    assert found == made
    assert sum(waiting.slept) == wait_s
    assert max(waiting.slept) <= REREAD_S


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("submitting", "running"),
        ("pending", "running"),
        ("running", "finished"),
        ("running", "failed"),
        ("unknown", "failed"),
    ],
)
def test_waiting_ends_with_the_status(waiting: Waiting, before: str, after: str) -> None:
    made = waiting.env.put(task(state=before))
    waiting.meanwhile[3] = change(waiting, state=after)

    found = waiting.reader.wait_for_change("owner", made.task_id, wait_s=20)

    assert (found.state, len(waiting.slept)) == (after, 3)


def test_a_state_that_nobody_is_shown_is_no_change(waiting: Waiting) -> None:
    made = waiting.env.put(task(state="submitting"))
    waiting.meanwhile[2] = change(waiting, state="pending")

    found = waiting.reader.wait_for_change("owner", made.task_id, wait_s=5)

    assert (found.state, sum(waiting.slept)) == ("pending", 5)


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_nobody_waits_for_an_ended_task(waiting: Waiting, state: str) -> None:
    made = waiting.env.put(task(state=state, reason="upstream"))

    waiting.reader.wait_for_change("owner", made.task_id, wait_s=20)

    assert waiting.slept == []


def test_a_task_that_is_deleted_meanwhile_is_gone_at_once(waiting: Waiting) -> None:
    made = waiting.env.put(task(state="running"))
    waiting.meanwhile[2] = lambda: waiting.reader.delete("owner", made.task_id)

    with pytest.raises(TaskNotFound):
        waiting.reader.wait_for_change("owner", made.task_id, wait_s=20)

    assert len(waiting.slept) == 2


def test_waiting_costs_a_read_a_second(waiting: Waiting) -> None:
    made = waiting.env.put(task())
    seen = recorded_aws_calls(waiting.env.cloud.client("dynamodb"))

    waiting.reader.wait_for_change("owner", made.task_id, wait_s=10)

    assert seen == ["DynamoDB.GetItem"] * 11


# Links


def test_a_link_shows_the_file_that_it_was_made_for(waiting: Waiting) -> None:
    files = tuple(replace(KEPT, key=f"images/t/{n}") for n in range(3))
    made = waiting.env.put(task(state="finished", files=files))

    for n, kept in enumerate(files):
        mac = signed_urls.file_token(made.file_url_key, n)
        assert waiting.reader.shared_file(made.task_id, str(n), mac) == kept
        for other in ({0, 1, 2, 3} - {n}, ("00", f"0{n}", f"{n} ", "-1", "٠", "x", "9" * 5000)):
            for text in map(str, other):
                with pytest.raises(TaskNotFound):
                    waiting.reader.shared_file(made.task_id, text, mac)


# Deleting


def deleted(waiting: Waiting, made: Task) -> Task:
    waiting.reader.delete("owner", made.task_id)
    return waiting.env.read(made)


def test_a_tombstone_keeps_money_and_key_and_nothing_that_was_said(waiting: Waiting) -> None:
    before = waiting.env.put(
        task(
            state="finished",
            files=(KEPT,),
            charged_credits=Decimal(2),
            detail=PROMPT,
            notification_url="https://shop.example",
            notification_attempts=0,
            next_notification_at=START,
        )
    )

    after = deleted(waiting, before)

    assert after.deleted_at == START
    assert after.fingerprint == before.fingerprint
    assert (after.estimated_credits, after.charged_credits) == (
        before.estimated_credits,
        Decimal(2),
    )
    assert (dict(after.input), dict(after.metadata), after.detail) == ({}, {}, None)
    assert (after.file_url_key, after.owner_key, after.owner_status_key) == ("", None, None)
    assert (after.notification_url, after.notification_attempts, after.next_notification_at) == (
        None,
        None,
        None,
    )
    assert PROMPT not in repr(after)
    assert waiting.env.is_due(after), "its images are taken away at the next look"
    [rung] = waiting.env.cloud.messages()
    assert (rung["task_id"], rung["source"]) == (after.task_id, "delete")


def test_the_second_deletion_changes_nothing_and_rings_nobody(waiting: Waiting) -> None:
    made = waiting.env.put(task())
    first = deleted(waiting, made)
    waiting.env.cloud.messages()
    waiting.env.time.forward(60)

    assert deleted(waiting, made) == first
    assert waiting.env.cloud.messages() == []


def test_a_task_that_moves_meanwhile_is_deleted_all_the_same(waiting: Waiting) -> None:
    made = waiting.env.put(task(state="running"))
    read = waiting.env.repository.get(made.task_id)
    waiting.env.put(replace(made, state="finished", files=(KEPT,), write_token="1" * 24))

    waiting.env.repository.apply(transition_writes.delete(read, waiting.env.clock.stamp()))

    after = waiting.env.read(made)
    assert (after.state, after.deleted_at) == ("finished", START)


def test_a_bell_that_is_dumb_does_not_undo_a_deletion(waiting: Waiting) -> None:
    made = waiting.env.put(task())
    dumb = replace(waiting.reader, updater=waiting.env.updater_with(queue=Dumb()))

    dumb.delete("owner", made.task_id)

    assert waiting.env.read(made).deleted_at == START
    assert waiting.env.is_due(waiting.env.read(made)), "the sweep finds it"


class Dumb:
    """A queue that is away."""

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        raise QueueUnavailable


def test_a_table_that_is_away_is_said_to_be(waiting: Waiting) -> None:
    away = replace(
        waiting.reader,
        repository=replace(
            waiting.env.repository,
            table=Table(waiting.env.cloud.client("dynamodb"), "no-such-table"),
        ),
    )
    task_id = derive_task_id("owner", "key")

    with pytest.raises(DatabaseUnavailable):
        away.get("owner", task_id)
    with pytest.raises(DatabaseUnavailable):
        away.delete("owner", task_id)
    with pytest.raises(DatabaseUnavailable):
        away.list("owner", status=None, limit=10, after=None)
