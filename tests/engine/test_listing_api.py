"""Pages of the list route over DynamoDB Local: cursors, and the size limit of a response."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from imagetasks.api import pagination, schemas
from imagetasks.api.routes.tasks import _page_body as page_body
from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskPage
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import Task, derive_task_id
from tests.support.api import Api, loaded_api
from tests.support.dynamodb_engines import dynamodb_local
from tests.support.fakes import START
from tests.support.listed_tasks import listed_task, write_tasks
from tests.support.template import table_arguments

LONGEST_INPUT = {"prompt": "🗼" * 20_000, "image_urls": [f"https://a.example/{'a' * 2000}"] * 16}
MAX_PAGE_BYTES = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture
def api(engine: str) -> Iterator[Api]:
    """The API with an empty table in DynamoDB Local."""
    name = f"tasks-{uuid.uuid4().hex[:8]}"
    with loaded_api(AWS_ENDPOINT_URL_DYNAMODB=engine, TABLE_NAME=name) as loaded:
        table_of(loaded).client.create_table(TableName=name, **table_arguments())
        yield loaded


def table_of(api: Api) -> Table:
    """The table that the API reads."""
    table: Table = api.handler_module.clients.repository.table
    return table


def page_of(api: Api, query: str = "") -> tuple[list[str], str | None]:
    response = api.get(f"/v1/tasks{query}")
    assert response.status == 200, response.body
    return [each["task_id"] for each in response.json["tasks"]], response.json["next_cursor"]


def test_forged_cursor_is_only_a_position_in_the_callers_own_list(api: Api) -> None:
    own = [listed_task("owner", n, START + n) for n in range(6)]
    others = [listed_task("other", n, START + n) for n in range(6)]
    write_tasks(table_of(api), [*own, *others])
    newest_first = [each.task_id for each in reversed(own)]

    positions: dict[ListPosition, set[tuple[str, ...]]] = {
        ListPosition(START + 3, others[3].task_id): {
            tuple(newest_first[2:]),
            tuple(newest_first[3:]),
        },
        ListPosition(START + 3, own[3].task_id): {tuple(newest_first[3:])},
        ListPosition(0, own[3].task_id): {()},
        ListPosition(2**53 - 1, derive_task_id("missing", "x")): {tuple(newest_first)},
        ListPosition(START + 2, "a" * 26): {tuple(newest_first[3:]), tuple(newest_first[4:])},
    }
    for position, expected in positions.items():
        found, _ = page_of(api, f"?cursor={pagination.encode_cursor(position)}")
        assert tuple(found) in expected, position


def test_list_of_the_longest_orders_is_complete(api: Api) -> None:
    write_tasks(
        table_of(api), [listed_task("owner", n, START + n, input=LONGEST_INPUT) for n in range(40)]
    )
    found: list[str] = []
    after: str | None = ""

    while after is not None:
        page, after = page_of(api, f"?limit=40&cursor={after}" if after else "?limit=40")
        found += page

    assert len(found) == len(set(found)) == 40


def test_page_over_the_size_limit_is_cut_and_continues_exactly() -> None:
    tasks = [listed_task("owner", n, START - n // 3, input=LONGEST_INPUT) for n in range(100)]
    remaining, found, sizes = tasks, list[str](), list[int]()

    while remaining:
        cut = cut_page(tuple(remaining))
        found += [each["task_id"] for each in cut["tasks"]]
        sizes.append(len(json.dumps(cut, ensure_ascii=False).encode()))
        remaining = tasks[len(found) :]
        position = pagination.decode_cursor(cut["next_cursor"]) if cut["next_cursor"] else None
        last = tasks[len(found) - 1]
        assert position == (ListPosition(last.created_at, last.task_id) if remaining else None)

    assert found == [each.task_id for each in tasks]
    assert max(sizes) <= 1.01 * MAX_PAGE_BYTES
    assert all(size + max(sizes) / len(found) * 2 > MAX_PAGE_BYTES * 0.9 for size in sizes[:-1])


def test_page_has_at_least_one_task_however_long() -> None:
    longest = listed_task("owner", 1, START, input={"prompt": "x" * (MAX_PAGE_BYTES + 1)})

    cut = cut_page((longest, longest))

    assert len(cut["tasks"]) == 1
    assert cut["next_cursor"] is not None


def test_hundred_tasks_are_one_page(api: Api) -> None:
    write_tasks(table_of(api), [listed_task("owner", n, START + n) for n in range(101)])

    found, after = page_of(api, "?limit=100")
    rest, end = page_of(api, f"?limit=100&cursor={after}")

    assert (len(found), len(rest), end) == (100, 1, None)


def cut_page(tasks: tuple[Task, ...]) -> schemas.TaskListBody:
    """As many of `tasks` as one response can carry."""
    bodies = [schemas.task_body(task, public_base_url="https://img.example") for task in tasks]
    return page_body(TaskPage(tasks, None), bodies)
