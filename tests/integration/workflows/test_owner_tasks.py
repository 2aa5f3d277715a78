"""Reading: the caller's own alone, held until something changes, gone once it is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import cast

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import Doorbell
from imagetasks.errors import QueueUnavailable, StoreUnavailable, TaskNotFound
from imagetasks.tasks import signed_urls, transitions
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import KeptFile, Task, derive_task_id
from imagetasks.workflows.owner_tasks import LOOK_EVERY_S, Reader
from tests.support.environment import World, world
from tests.support.fakes import PROMPT, START, task
from tests.support.lambdas import calls

KEPT = KeptFile(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@dataclass
class Waiting:
    """A reader whose seconds pass at once; `meanwhile` happens after so many of them."""

    world: World
    slept: list[float] = field(default_factory=list)
    meanwhile: dict[int, Callable[[], object]] = field(default_factory=dict)

    @property
    def reader(self) -> Reader:
        here = self.world
        return Reader(store=here.store, doorbell=here.doorbell, pace=here.pace, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.world.clock.forward(seconds)
        self.meanwhile.pop(len(self.slept), lambda: None)()


@pytest.fixture
def here() -> Iterator[Waiting]:
    with world() as made:
        yield Waiting(made)


def change(here: Waiting, **changed: object) -> Callable[[], object]:
    return lambda: here.world.put(replace(task(), **changed))  # type: ignore[arg-type]


def test_a_task_is_its_owners(here: Waiting) -> None:
    made = here.world.put(task(owner="owner/ada"))

    assert here.reader.task("owner/ada", made.task_id) == made
    for other in ("owner", "owner/", "owner/Ada", "ada", "stranger", ""):
        with pytest.raises(TaskNotFound):
            here.reader.task(other, made.task_id)


def test_what_cannot_be_a_task_is_not_looked_for(here: Waiting) -> None:
    made = calls(here.world.cloud.client("dynamodb"))

    for text in ("", "x", "A" * 26, "a" * 27, "task#" + "a" * 21, "é" * 26, "a" * 25 + "\n"):
        for ask in (here.reader.task, here.reader.delete):
            with pytest.raises(TaskNotFound):
                ask("owner", text)
        with pytest.raises(TaskNotFound):
            here.reader.shared(text, "0", "A" * 43)
    assert made == []


# Waiting


def test_who_does_not_wait_gets_the_task_as_it_stands(here: Waiting) -> None:
    made = here.world.put(task())

    assert here.reader.awaited("owner", made.task_id, wait_s=0) == made
    assert here.slept == []


@pytest.mark.parametrize("wait_s", [1, 2, 7, 20])
def test_who_waits_in_vain_waits_as_long_as_asked_and_no_longer(here: Waiting, wait_s: int) -> None:
    made = here.world.put(task())

    found = here.reader.awaited("owner", made.task_id, wait_s=wait_s)

    assert found == made
    assert sum(here.slept) == wait_s
    assert max(here.slept) <= LOOK_EVERY_S


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
def test_waiting_ends_with_the_status(here: Waiting, before: str, after: str) -> None:
    made = here.world.put(task(state=before))
    here.meanwhile[3] = change(here, state=after)

    found = here.reader.awaited("owner", made.task_id, wait_s=20)

    assert (found.state, len(here.slept)) == (after, 3)


def test_a_state_that_nobody_is_shown_is_no_change(here: Waiting) -> None:
    made = here.world.put(task(state="submitting"))
    here.meanwhile[2] = change(here, state="pending")

    found = here.reader.awaited("owner", made.task_id, wait_s=5)

    assert (found.state, sum(here.slept)) == ("pending", 5)


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_nobody_waits_for_an_ended_task(here: Waiting, state: str) -> None:
    made = here.world.put(task(state=state, reason="upstream"))

    here.reader.awaited("owner", made.task_id, wait_s=20)

    assert here.slept == []


def test_a_task_that_is_deleted_meanwhile_is_gone_at_once(here: Waiting) -> None:
    made = here.world.put(task(state="running"))
    here.meanwhile[2] = lambda: here.reader.delete("owner", made.task_id)

    with pytest.raises(TaskNotFound):
        here.reader.awaited("owner", made.task_id, wait_s=20)

    assert len(here.slept) == 2


def test_waiting_costs_a_read_a_second(here: Waiting) -> None:
    made = here.world.put(task())
    seen = calls(here.world.cloud.client("dynamodb"))

    here.reader.awaited("owner", made.task_id, wait_s=10)

    assert seen == ["DynamoDB.GetItem"] * 11


# Links


def test_a_link_shows_the_file_that_it_was_made_for(here: Waiting) -> None:
    files = tuple(replace(KEPT, key=f"images/t/{n}") for n in range(3))
    made = here.world.put(task(state="finished", files=files))

    for n, kept in enumerate(files):
        mac = signed_urls.file_mac(made.link_key, n)
        assert here.reader.shared(made.task_id, str(n), mac) == kept
        for other in ({0, 1, 2, 3} - {n}, ("00", f"0{n}", f"{n} ", "-1", "٠", "x", "9" * 5000)):
            for text in map(str, other):
                with pytest.raises(TaskNotFound):
                    here.reader.shared(made.task_id, text, mac)


# Deleting


def deleted(here: Waiting, made: Task) -> Task:
    here.reader.delete("owner", made.task_id)
    return here.world.read(made)


def test_a_tombstone_keeps_money_and_key_and_nothing_that_was_said(here: Waiting) -> None:
    before = here.world.put(
        task(
            state="finished",
            files=(KEPT,),
            charged=Decimal(2),
            detail=PROMPT,
            notify_url="https://shop.example",
            notices=0,
            notice_at=START,
        )
    )

    after = deleted(here, before)

    assert after.deleted_at == START
    assert after.fingerprint == before.fingerprint
    assert (after.estimate, after.charged) == (before.estimate, Decimal(2))
    assert (dict(after.input), dict(after.metadata), after.detail) == ({}, {}, None)
    assert (after.link_key, after.listed, after.listed_status) == ("", None, None)
    assert (after.notify_url, after.notices, after.notice_at) == (None, None, None)
    assert PROMPT not in repr(after)
    assert here.world.due(after), "its images are taken away at the next look"
    [rung] = here.world.cloud.rings()
    assert (rung["task_id"], rung["by"]) == (after.task_id, "delete")


def test_the_second_deletion_changes_nothing_and_rings_nobody(here: Waiting) -> None:
    made = here.world.put(task())
    first = deleted(here, made)
    here.world.cloud.rings()
    here.world.clock.forward(60)

    assert deleted(here, made) == first
    assert here.world.cloud.rings() == []


def test_a_task_that_moves_meanwhile_is_deleted_all_the_same(here: Waiting) -> None:
    made = here.world.put(task(state="running"))
    read = here.world.store.read(made.task_id)
    here.world.put(replace(made, state="finished", files=(KEPT,), stamp="1" * 24))

    here.world.store.apply(transitions.delete(read, here.world.pace.at()))

    after = here.world.read(made)
    assert (after.state, after.deleted_at) == ("finished", START)


def test_a_bell_that_is_dumb_does_not_undo_a_deletion(here: Waiting) -> None:
    made = here.world.put(task())
    dumb = replace(here.reader, doorbell=cast(Doorbell, Dumb()))

    dumb.delete("owner", made.task_id)

    assert here.world.read(made).deleted_at == START
    assert here.world.due(here.world.read(made)), "the sweep finds it"


class Dumb:
    """A queue that is away."""

    def ring(self, ring: Ring, *, delay_s: float = 0) -> None:
        raise QueueUnavailable


def test_a_table_that_is_away_is_said_to_be(here: Waiting) -> None:
    away = replace(
        here.reader,
        store=replace(
            here.world.store, table=Table(here.world.cloud.client("dynamodb"), "no-such-table")
        ),
    )
    task_id = derive_task_id("owner", "key")

    with pytest.raises(StoreUnavailable):
        away.task("owner", task_id)
    with pytest.raises(StoreUnavailable):
        away.delete("owner", task_id)
    with pytest.raises(StoreUnavailable):
        away.page("owner", status=None, limit=10, after=None)
