"""What owners do with their tasks: read, wait for a change, open a file URL, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.wait_slots import WaitSlots
from imagetasks.errors import DatabaseUnavailable, TaskNotFound
from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import StoredImage, Task, derive_task_id
from imagetasks.workflows.owner_tasks import REREAD_S, OwnerTasks
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import POYO_ID, START, task
from tests.support.lambdas import recorded_aws_calls

STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@dataclass
class Waiting:
    """OwnerTasks whose sleeps move the manual clock; `meanwhile[n]` runs after the `n`th sleep."""

    env: TestEnvironment
    slept: list[float] = field(default_factory=list)
    meanwhile: dict[int, Callable[[], object]] = field(default_factory=dict)
    slots: int = 1

    @property
    def owner_tasks(self) -> OwnerTasks:
        env = self.env
        return OwnerTasks(
            repository=env.repository,
            updater=env.updater,
            clock=env.clock,
            wait_slots=WaitSlots(table=env.table, clock=env.clock, count=self.slots),
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.env.time.forward(seconds)
        self.meanwhile.pop(len(self.slept), lambda: None)()


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    with new_environment() as environment:
        yield Waiting(environment)


def change(waiting: Waiting, **changed: object) -> Callable[[], object]:
    return lambda: waiting.env.put(replace(task(), **changed))  # type: ignore[arg-type]


def test_task_is_found_by_its_own_owner_only(waiting: Waiting) -> None:
    stored = waiting.env.put(task(owner="owner/ada"))

    assert waiting.owner_tasks.get("owner/ada", stored.task_id) == stored
    for other in ("owner", "owner/", "owner/Ada", "ada", "other", ""):
        with pytest.raises(TaskNotFound):
            waiting.owner_tasks.get(other, stored.task_id)


def test_malformed_task_id_is_not_found_without_a_request_to_dynamodb(waiting: Waiting) -> None:
    requests = recorded_aws_calls(waiting.env.cloud.client("dynamodb"))

    for text in ("", "x", "A" * 26, "a" * 27, "task#" + "a" * 21, "é" * 26, "a" * 25 + "\n"):
        for method in (waiting.owner_tasks.get, waiting.owner_tasks.delete):
            with pytest.raises(TaskNotFound):
                method("owner", text)
        with pytest.raises(TaskNotFound):
            waiting.owner_tasks.shared_file(text, "0", "A" * 43)
    assert requests == []


def test_wait_of_zero_seconds_returns_the_task_as_it_is(waiting: Waiting) -> None:
    stored = waiting.env.put(task())

    assert waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=0) == stored
    assert waiting.slept == []


@pytest.mark.parametrize("wait_s", [1, 2, 7, 20])
def test_wait_without_a_change_lasts_exactly_as_long_as_requested(
    waiting: Waiting, wait_s: int
) -> None:
    stored = waiting.env.put(task())

    found = waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=wait_s)

    assert found == stored
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
def test_wait_ends_when_the_status_changes(waiting: Waiting, before: str, after: str) -> None:
    stored = waiting.env.put(task(state=before))
    waiting.meanwhile[3] = change(waiting, state=after)

    found = waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=20)

    assert (found.state, len(waiting.slept)) == (after, 3)


def test_wait_ends_with_a_new_status_or_after_its_seconds(waiting: Waiting) -> None:
    env, before = waiting.env, waiting.env.put(task())

    def sleep(seconds: float) -> None:
        env.time.forward(seconds)
        if env.time.now >= START + 7_000:
            env.put(replace(before, state="running", poyo_id=POYO_ID))

    tasks = replace(waiting.owner_tasks, sleep=sleep)

    assert tasks.wait_for_change("owner", before.task_id, wait_s=3).status == "not_started"
    assert env.time.now == START + 3_000
    assert tasks.wait_for_change("owner", before.task_id, wait_s=20).status == "running"
    assert env.time.now == START + 7_000


def test_new_state_with_the_same_public_status_does_not_end_the_wait(waiting: Waiting) -> None:
    stored = waiting.env.put(task(state="submitting"))
    waiting.meanwhile[2] = change(waiting, state="pending")

    found = waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=5)

    assert (found.state, sum(waiting.slept)) == ("pending", 5)


@pytest.mark.parametrize("state", ["finished", "failed"])
def test_wait_for_an_ended_task_returns_at_once(waiting: Waiting, state: str) -> None:
    stored = waiting.env.put(task(state=state, reason="upstream"))

    waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=20)

    assert waiting.slept == []


def test_wait_ends_with_not_found_when_the_task_is_deleted(waiting: Waiting) -> None:
    stored = waiting.env.put(task(state="running"))
    waiting.meanwhile[2] = lambda: waiting.owner_tasks.delete("owner", stored.task_id)

    with pytest.raises(TaskNotFound):
        waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=20)

    assert len(waiting.slept) == 2


def test_wait_reads_the_item_once_a_second(waiting: Waiting) -> None:
    stored = waiting.env.put(task())
    requests = recorded_aws_calls(waiting.env.cloud.client("dynamodb"))

    waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=10)

    slot = ["DynamoDB.GetItem", "DynamoDB.PutItem"]
    assert requests == ["DynamoDB.GetItem", *slot, *["DynamoDB.GetItem"] * 10, "DynamoDB.PutItem"]


def is_newer_than(seen: Task) -> Callable[[Task], bool]:
    return lambda current: current.updated_at != seen.updated_at


def test_task_that_differs_from_what_the_caller_has_is_returned_at_once(waiting: Waiting) -> None:
    old = task(state="running")
    stored = waiting.env.put(replace(old, updated_at=START + 1))

    found = waiting.owner_tasks.wait_for_change(
        "owner", stored.task_id, wait_s=20, has_changed=is_newer_than(old)
    )

    assert (found, waiting.slept) == (stored, [])


def test_wait_ends_with_any_difference_from_what_the_caller_has(waiting: Waiting) -> None:
    stored = waiting.env.put(task(state="running"))
    waiting.meanwhile[3] = change(waiting, state="running", updated_at=START + 1)

    waiting.owner_tasks.wait_for_change(
        "owner", stored.task_id, wait_s=20, has_changed=is_newer_than(stored)
    )

    assert len(waiting.slept) == 3


@pytest.mark.parametrize("slots", [0, 2])
def test_wait_without_a_free_slot_returns_the_task_at_once(waiting: Waiting, slots: int) -> None:
    waiting.slots = slots
    stored = waiting.env.put(task())
    taken = [waiting.owner_tasks.wait_slots.take() for _ in range(slots)]

    found = waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=20)

    assert all(taken)
    assert (found, waiting.slept) == (stored, [])


def test_wait_ends_while_there_is_time_to_read_and_to_respond(waiting: Waiting) -> None:
    stored = waiting.env.put(task())
    ends_at = START + 25_000
    waiting.env.clock.begin(lambda: ends_at - waiting.env.time.now)

    waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=20)

    assert sum(waiting.slept) == 25 - waiting.env.limits.aws_call_s


def test_wait_frees_its_slot(waiting: Waiting) -> None:
    stored = waiting.env.put(task())

    for _ in range(3):
        waiting.owner_tasks.wait_for_change("owner", stored.task_id, wait_s=2)

    assert sum(waiting.slept) == 6


def test_wait_frees_its_slot_although_its_task_is_deleted_meanwhile(waiting: Waiting) -> None:
    stored, other = waiting.env.put(task()), waiting.env.put(task("other"))

    def delete(_: float) -> None:
        waiting.owner_tasks.delete("owner", stored.task_id)

    with pytest.raises(TaskNotFound):
        replace(waiting.owner_tasks, sleep=delete).wait_for_change(
            "owner", stored.task_id, wait_s=20
        )
    waiting.owner_tasks.wait_for_change("owner", other.task_id, wait_s=2)

    assert sum(waiting.slept) == 2


def test_request_that_does_not_wait_takes_no_slot(waiting: Waiting) -> None:
    ended = waiting.env.put(task(state="finished"))
    requests = recorded_aws_calls(waiting.env.cloud.client("dynamodb"))

    waiting.owner_tasks.wait_for_change("owner", ended.task_id, wait_s=20)
    waiting.owner_tasks.wait_for_change("owner", ended.task_id, wait_s=0)

    assert requests == ["DynamoDB.GetItem"] * 2


def test_file_url_opens_only_the_file_that_it_was_signed_for(waiting: Waiting) -> None:
    files = tuple(replace(STORED_IMAGE, key=f"images/t/{n}") for n in range(3))
    stored = waiting.env.put(task(state="finished", files=files))

    for n, image in enumerate(files):
        token = signed_urls.file_token(stored.file_url_key, n)
        assert waiting.owner_tasks.shared_file(stored.task_id, str(n), token) == image
        for other in ({0, 1, 2, 3} - {n}, ("00", f"0{n}", f"{n} ", "-1", "٠", "x", "9" * 5000)):
            for text in map(str, other):
                with pytest.raises(TaskNotFound):
                    waiting.owner_tasks.shared_file(stored.task_id, text, token)


def test_error_of_dynamodb_is_raised(waiting: Waiting) -> None:
    without_dynamodb = replace(
        waiting.owner_tasks,
        repository=replace(
            waiting.env.repository,
            table=Table(waiting.env.cloud.client("dynamodb"), "no-such-table"),
        ),
    )
    task_id = derive_task_id("owner", "key")

    with pytest.raises(DatabaseUnavailable):
        without_dynamodb.get("owner", task_id)
    with pytest.raises(DatabaseUnavailable):
        without_dynamodb.delete("owner", task_id)
    with pytest.raises(DatabaseUnavailable):
        without_dynamodb.list("owner", status=None, limit=10, after=None)
