"""Lists on AWS's own engine: whole, in order, and for no more than what they show.

The gate lists ten thousand tasks of one owner among a thousand of others, since loading is what takes long;
LISTING_OTHERS=100000 puts them among a hundred thousand.
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import batched, count
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from boto3.dynamodb.types import TypeSerializer

from imagetasks.api import pagination
from imagetasks.api.routes.tasks import _page_body as cut_to_size
from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskPage, TaskRepository
from imagetasks.clock import WriteStamp
from imagetasks.tasks import transition_writes
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import Task, derive_task_id, owner_status_key, shard_of, to_item
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.environment import table_arguments
from tests.support.fakes import START, task
from tests.support.lambdas import Api, http_event, loaded_api

OWN = 10_000
OTHERS = int(os.environ.get("LISTING_OTHERS", "1000"))
BIG_EVERY = 100  # one task in a hundred has the longest prompt
BIG = "x" * 20_000
UNIT = 4096
SERIALIZER = TypeSerializer()


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture
def table(engine: str) -> Table:
    return create_table(engine)


@pytest.fixture
def api(engine: str) -> Iterator[Api]:
    """The API's door, before an empty table on AWS's own engine."""
    name = f"tasks-{uuid.uuid4().hex[:8]}"
    with loaded_api(AWS_ENDPOINT_URL_DYNAMODB=engine, TABLE_NAME=name) as made:
        behind(made).client.create_table(TableName=name, **table_arguments())
        yield made


def behind(api: Api) -> Table:
    """The table that the door reads."""
    table: Table = api.handler_module.clients.repository.table
    return table


# Rows


def one(owner: str, n: int, created_at: int, **changed: Any) -> Task:
    """The `n`th task of `owner`, finished, unless `changed`."""
    task_id = derive_task_id(owner, f"{n}")
    values: dict[str, Any] = {
        "task_id": task_id,
        "owner": owner,
        "state": "finished",
        "due_at": None,
        "due_shard": None,
        "created_at": created_at,
        "owner_key": owner,
        "owner_status_key": owner_status_key("finished", owner),
    }
    return replace(task(), **values | changed)


def put(table: Table, tasks: list[Task]) -> None:
    rows = [{"PutRequest": {"Item": _marshalled(each)}} for each in tasks]

    def write(some: tuple[Any, ...]) -> None:
        left: Any = {table.name: list(some)}
        while left:
            left = table.client.batch_write_item(RequestItems=left).get("UnprocessedItems")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, batched(rows, 25, strict=False)))


def _marshalled(each: Task) -> dict[str, Any]:
    return {name: SERIALIZER.serialize(value) for name, value in to_item(each).items()}


def bytes_of(value: Mapping[str, Any]) -> int:
    """The size of a value as DynamoDB counts it: UTF-8, half a byte a digit, three a container."""
    [(kind, said)] = value.items()
    match kind:
        case "S":
            return len(said.encode())
        case "N":
            return math.ceil(len(said.strip("-").replace(".", "").strip("0") or "0") / 2) + 1
        case "M":
            return 3 + sum(1 + len(name.encode()) + bytes_of(each) for name, each in said.items())
        case "L":
            return 3 + sum(1 + bytes_of(each) for each in said)
        case _:
            return 1


def item_bytes(item: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + bytes_of(value) for name, value in item.items())


# What it costs


@dataclass
class Meter:
    """Every call of one client: its name, what it consumed, what it brought."""

    calls: Counter[str] = field(default_factory=Counter)
    index_units: float = 0
    row_units: float = 0
    index_bytes: list[int] = field(default_factory=list)
    row_bytes: list[int] = field(default_factory=list)

    def ask(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "INDEXES"}

    def note(self, model: Any, **_: Any) -> None:
        self.calls[model.name] += 1

    def queried(self, parsed: dict[str, Any], **_: Any) -> None:
        used = parsed["ConsumedCapacity"]
        assert used["Table"]["CapacityUnits"] == 0
        [units] = [each["CapacityUnits"] for each in used["GlobalSecondaryIndexes"].values()]
        self.index_units += units
        self.index_bytes.append(sum(map(item_bytes, parsed["Items"])))

    def read(self, parsed: dict[str, Any], **_: Any) -> None:
        [used] = parsed["ConsumedCapacity"]
        self.row_units += used["CapacityUnits"]
        [rows] = parsed["Responses"].values()
        self.row_bytes += map(item_bytes, rows)


@contextmanager
def metered(table: Table) -> Iterator[Meter]:
    """What is consumed through the table's client while the block runs."""
    meter, events = Meter(), table.client.meta.events
    hooks: dict[str, Callable[..., Any]] = {
        "provide-client-params.dynamodb.*": meter.ask,
        "before-call.dynamodb.*": meter.note,
        "after-call.dynamodb.Query": meter.queried,
        "after-call.dynamodb.BatchGetItem": meter.read,
    }
    for name, hook in hooks.items():
        events.register(name, hook)
    yield meter
    for name, hook in hooks.items():
        events.unregister(name, hook)


@pytest.fixture(scope="module")
def crowded(engine: str) -> Table:
    """The tasks of `owner` among those of a hundred others; five of its own in each millisecond."""
    table = create_table(engine)
    own = [
        one("owner", n, START + n // 5, input={"prompt": BIG if n % BIG_EVERY == 0 else "A boat"})
        for n in range(OWN)
    ]
    put(table, own)
    for some in batched(range(OTHERS), 10_000, strict=False):
        put(table, [one(f"owner{n % 100}", n, START + n // 50) for n in some])
    return table


@pytest.mark.parametrize("status", [None, "finished"])
def test_a_list_costs_what_its_pages_show_and_nothing_for_the_others(
    crowded: Table, status: str | None
) -> None:
    with metered(crowded) as meter:
        found = [
            each for page in pages(TaskRepository(crowded), status=status) for each in page.tasks
        ]

    assert len({each.task_id for each in found}) == len(found) == OWN
    assert {each.owner for each in found} == {"owner"}
    assert sorted(found, key=lambda each: -each.created_at) == found
    walked = OWN // 100
    assert meter.calls["BatchGetItem"] == walked
    assert meter.calls == {
        "Query": walked + 1,
        "BatchGetItem": walked,
    }  # one page more to see the end
    rows = sum(math.ceil(size / UNIT) for size in meter.row_bytes)
    index = sum(max(1, math.ceil(size / UNIT)) / 2 for size in meter.index_bytes)
    print(  # noqa: T201  # the figures are what one runs it for: pytest -s
        f"\n{OWN:,} of {OWN + OTHERS:,} tasks, status {status}: {meter.index_units:,} units of the index "
        f"(accounted for: {index:,}), {meter.row_units:,} of the rows ({rows:,})"
    )
    assert meter.row_units == rows
    assert abs(meter.index_units - index) <= 0.5 * (walked + 1)  # half a unit a page, for rounding


def pages(
    repository: TaskRepository, *, status: str | None = None, limit: int = 100
) -> Iterator[TaskPage]:
    """All pages of `owner`'s list, one after the other."""
    after: ListPosition | None = None
    while True:
        page = repository.list("owner", status=status, limit=limit, after=after)
        yield page
        if page.last is None:
            return
        after = page.last


# What it shows


def listed(repository: TaskRepository, **said: Any) -> list[str]:
    return [each.task_id for page in pages(repository, **said) for each in page.tasks]


@pytest.mark.parametrize("limit", [1, 2, 7, 29, 30, 31, 100])
def test_tasks_of_the_same_millisecond_are_listed_once_each(table: Table, limit: int) -> None:
    own = [one("owner", n, START) for n in range(30)]
    put(table, [*own, *(one("owner2", n, START) for n in range(30))])

    found = listed(TaskRepository(table), limit=limit)

    assert sorted(found) == sorted(each.task_id for each in own)
    assert found == listed(TaskRepository(table))


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_what_is_ordered_or_deleted_meanwhile_moves_nothing_on_later_pages(
    table: Table, limit: int
) -> None:
    repository = TaskRepository(table)
    before = [one("owner", n, START + n // 2) for n in range(30)]
    put(table, before)
    newer = count(100)
    found: list[str] = []

    for page in pages(repository, limit=limit):
        found += [each.task_id for each in page.tasks]
        n = next(newer)
        put(table, [one("owner", n, START + n)])
        for seen in page.tasks[-1:]:  # the very task that the cursor names is gone
            repository.apply(transition_writes.delete(seen, WriteStamp(START, f"stamp{n}")))

    assert Counter(found) == Counter(each.task_id for each in before)


def test_a_list_by_status_follows_the_tasks(table: Table) -> None:
    repository, owner = TaskRepository(table), "owner"
    made = one(
        owner, 1, START, state="submitting", owner_status_key=owner_status_key("not_started", owner)
    )
    put(table, [made])

    def where() -> set[str]:
        statuses = ("not_started", "running", "finished", "failed")
        return {status for status in statuses if listed(repository, status=status)}

    def at(n: int) -> WriteStamp:
        return WriteStamp(START + n, f"stamp{n}")

    assert where() == {"not_started"}
    bound = repository.confirm_submission(
        transition_writes.confirm_submission(
            made, at(1), poyo_id="A", due_at=START, source="answer"
        ),
        "A",
    ).task
    assert where() == {"running"}
    failed = repository.apply(
        transition_writes.fail(bound, at(2), reason="timed_out", detail="")
    ).task
    assert where() == {"failed"}
    revived = repository.apply(transition_writes.reopen(failed, at(3), due_at=START)).task
    assert where() == {"running"}
    done = repository.apply(
        transition_writes.finish(revived, at(4), files=[], charged_credits=Decimal(2))
    ).task
    assert where() == {"finished"}
    assert listed(repository) == [made.task_id]
    repository.apply(transition_writes.delete(done, at(5)))
    assert where() == set()
    assert listed(repository) == []


def test_a_deleted_open_task_comes_back_to_no_list_when_it_ends(table: Table) -> None:
    repository = TaskRepository(table)
    made = one("owner", 1, START, state="running", poyo_id="A", due_shard=shard_of("x"))
    put(table, [made])

    gone = repository.apply(transition_writes.delete(made, WriteStamp(START, "write_token"))).task
    repository.apply(
        transition_writes.finish(
            gone, WriteStamp(START, "stamp2"), files=[], charged_credits=Decimal(2)
        )
    )

    assert listed(repository) == listed(repository, status="finished") == []


# At the door


def shown(api: Api, query: str = "") -> tuple[list[str], str | None]:
    answer = api.get(f"/v1/tasks{query}")
    assert answer.status == 200, answer.body
    return [each["task_id"] for each in answer.json["tasks"]], answer.json["next_cursor"]


def test_a_made_up_cursor_is_a_place_in_ones_own_list_and_nothing_else(api: Api) -> None:
    own = [one("owner", n, START + n) for n in range(6)]
    theirs = [one("stranger", n, START + n) for n in range(6)]
    put(behind(api), [*own, *theirs])
    newest_first = [each.task_id for each in reversed(own)]

    places: dict[ListPosition, set[tuple[str, ...]]] = {
        ListPosition(START + 3, theirs[3].task_id): {
            tuple(newest_first[2:]),
            tuple(newest_first[3:]),
        },
        ListPosition(START + 3, own[3].task_id): {tuple(newest_first[3:])},
        ListPosition(0, own[3].task_id): {()},
        ListPosition(2**53 - 1, derive_task_id("nobody", "x")): {tuple(newest_first)},
        ListPosition(START + 2, "a" * 26): {tuple(newest_first[3:]), tuple(newest_first[4:])},
    }
    for place, expected in places.items():
        found, _ = shown(api, f"?cursor={pagination.encode_cursor(place)}")
        assert tuple(found) in expected, place


HEAVY = {"prompt": "🗼" * 20_000, "image_urls": [f"https://a.example/{'a' * 2000}"] * 16}
MOST = 4 * 1024 * 1024


def test_a_list_of_the_longest_orders_ends_with_the_last_of_them(api: Api) -> None:
    put(behind(api), [one("owner", n, START + n, input=HEAVY) for n in range(40)])
    found: list[str] = []
    after: str | None = ""

    while after is not None:
        page, after = shown(api, f"?limit=40&cursor={after}" if after else "?limit=40")
        found += page

    assert len(found) == len(set(found)) == 40


def test_a_page_that_no_answer_can_carry_is_cut_and_continues_exactly() -> None:
    whole = [one("owner", n, START - n // 3, input=HEAVY) for n in range(100)]
    request = APIGatewayProxyEventV2(http_event("GET", "/v1/tasks"))
    left, found, sizes = whole, list[str](), list[int]()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBLIC_URL", "https://img.example")
        while left:
            cut = cut_to_size(TaskPage(tuple(left), None), request)
            found += [each["task_id"] for each in cut["tasks"]]
            sizes.append(len(json.dumps(cut, ensure_ascii=False).encode()))
            left = whole[len(found) :]
            place = pagination.decode_cursor(cut["next_cursor"]) if cut["next_cursor"] else None
            last = whole[len(found) - 1]
            assert place == (ListPosition(last.created_at, last.task_id) if left else None)

    assert found == [each.task_id for each in whole]
    assert max(sizes) <= 1.01 * MOST
    assert all(size + max(sizes) / len(found) * 2 > MOST * 0.9 for size in sizes[:-1])


def test_one_task_is_shown_however_long_it_is() -> None:
    longest = one("owner", 1, START, input={"prompt": "x" * (MOST + 1)})
    request = APIGatewayProxyEventV2(http_event("GET", "/v1/tasks"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBLIC_URL", "https://img.example")
        cut = cut_to_size(TaskPage((longest, longest), None), request)

    assert len(cut["tasks"]) == 1
    assert cut["next_cursor"] is not None


def test_a_hundred_tasks_are_one_page(api: Api) -> None:
    put(behind(api), [one("owner", n, START + n) for n in range(101)])

    found, after = shown(api, "?limit=100")
    rest, end = shown(api, f"?limit=100&cursor={after}")

    assert (len(found), len(rest), end) == (100, 1, None)
