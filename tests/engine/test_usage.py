"""Usage in DynamoDB Local: pages are complete even though all rows of a day share their sort key."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import product

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.usage_repository import UsageRepository, UsageRow
from imagetasks.tasks.budgets import Spend
from imagetasks.tasks.caller import Caller
from imagetasks.tasks.conditional_write import Condition, UpdateItem
from imagetasks.tasks.usage import UsageKey, usage_list
from tests.support.consumed_capacity import metered
from tests.support.dynamodb_engines import create_table, dynamodb_local

DAYS = [f"2026-03-{day:02}" for day in range(1, 8)]
USERS = [f"website/u{n}" for n in range(40)]
MODELS = ["gpt-image-2", "gpt-image-2-edit"]
EVERYONE = Caller(key="website", owner="website")


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    """Two tasks of each model on each day by each of forty users, and as many of another key."""
    with dynamodb_local() as url:
        table = create_table(url)
        for day, user, model in product(DAYS, USERS, MODELS):
            for owner in (user, user.replace("website", "other")):
                key = UsageKey(day=day, model=model, owner=owner)
                position = {
                    "owner_key": usage_list(owner),
                    "owner_status_key": usage_list(owner.partition("/")[0]),
                    "created_at": key.created_at,
                }
                added = {"tasks": Decimal(2), "estimated": Decimal("4.24")}
                table.update(
                    UpdateItem(pk=key.pk, condition=Condition(), values=position, added=added)
                )
        yield table


def whole(table: Table, caller: Caller, limit: int, first: str, last: str) -> list[UsageRow]:
    """The rows of all pages."""
    rows: list[UsageRow] = []
    after: UsageKey | None = None
    while True:
        page = UsageRepository(table).list(caller, first=first, last=last, limit=limit, after=after)
        rows += page.rows
        after = page.last
        if after is None:
            return rows


@pytest.mark.parametrize("limit", [7, 80, 100])
def test_pages_of_a_key_have_every_row_of_its_days_once_newest_day_first(
    table: Table, limit: int
) -> None:
    rows = whole(table, EVERYONE, limit, DAYS[1], DAYS[3])

    found = [(row.key.day, row.key.owner, row.key.model) for row in rows]
    assert len(found) == len(set(found))
    assert set(found) == set(product(DAYS[1:4], USERS, MODELS))
    assert [day for day, _, _ in found] == sorted((day for day, _, _ in found), reverse=True)
    assert {row.spend for row in rows} == {Spend(tasks=2, estimated=Decimal("4.24"))}


def test_usage_of_one_owner_reads_nothing_of_the_others(table: Table) -> None:
    ada = Caller(key="website", owner="website/u7")

    with metered(table) as meter:
        rows = whole(table, ada, 100, DAYS[0], DAYS[-1])

    assert {row.key.owner for row in rows} == {"website/u7"}
    assert len(rows) == len(DAYS) * len(MODELS)
    assert meter.calls == {"Query": 1, "BatchGetItem": 1}
