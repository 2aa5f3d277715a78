"""Conditions: `Condition.holds` and DynamoDB give the same result for the same item."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.aws.table import Table
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    ConditionFailed,
    PutItem,
    UpdateItem,
    absent,
    equals,
    one_of,
    unchanged,
)
from tests.support.emulated_aws import aws

ITEM: dict[str, Any] = {"pk": "item", "state": "running", "n": Decimal(3), "l": ["a", "b"], "s": ""}

TESTS: list[tuple[AttributeTest, bool]] = [
    (absent("pk"), False),
    (absent("missing"), True),
    (absent("s"), False),
    (equals("state", "running"), True),
    (equals("state", "Running"), False),
    (equals("missing", "running"), False),
    (equals("n", 3), True),
    (equals("n", Decimal("3.0")), True),
    (equals("n", "3"), False),
    (equals("l", ["a", "b"]), True),
    (equals("l", ["b", "a"]), False),
    (equals("s", ""), True),
    (one_of("state", ["running", "failed"]), True),
    (one_of("state", ["failed"]), False),
    (one_of("missing", ["failed"]), False),
    (unchanged("missing", None), True),
    (unchanged("state", None), False),
    (unchanged("state", "running"), True),
    (unchanged("missing", "running"), False),
]
TRUE, FALSE = equals("state", "running"), equals("state", "failed")
CONDITIONS: list[tuple[Condition, bool]] = [
    *((Condition((test,)), holds) for test, holds in TESTS),
    (Condition((TRUE, TRUE)), True),
    (Condition((TRUE, FALSE)), False),
    (Condition(any_of=((FALSE,), (TRUE,))), True),
    (Condition(any_of=((FALSE,), (TRUE, FALSE))), False),
    (Condition((FALSE,), ((TRUE,),)), False),
    (Condition((TRUE,), ((FALSE,), (TRUE, absent("x")))), True),
    (Condition((TRUE,), ((FALSE,),)), False),
]


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    with aws() as cloud:
        yield Table(cloud.client("dynamodb"), cloud.table_name)


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_condition_holds_exactly_when_dynamodb_accepts_it(
    table: Table, condition: Condition, holds: bool
) -> None:
    table.put(PutItem(item=ITEM, condition=Condition((unchanged("missing", None),))))
    update = UpdateItem(pk="item", condition=condition, values={"touched": True})

    assert condition.holds(ITEM) is holds
    if holds:
        assert table.update(update) == update.applied(ITEM)
    else:
        with pytest.raises(ConditionFailed) as failed:
            table.update(update)
        assert failed.value.item == ITEM
        assert table.get("item") == ITEM


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_only_absence_is_true_of_a_missing_item(
    table: Table, condition: Condition, holds: bool
) -> None:
    put = PutItem(item={"pk": "other"}, condition=condition)
    table.client.delete_item(TableName=table.name, Key={"pk": {"S": "other"}})

    if condition.holds({}):
        table.put(put)
    else:
        with pytest.raises(ConditionFailed) as failed:
            table.put(put)
        assert failed.value.item == {}


def test_update_in_python_equals_the_update_in_dynamodb(table: Table) -> None:
    item = ITEM | {"history": [{"at": Decimal(1), "event": "accepted"}]}
    update = UpdateItem(
        pk="item",
        condition=Condition((equals("pk", "item"),)),
        values={"state": "finished", "files": [{"bytes": Decimal(7)}]},
        removed=("n", "missing"),
        history_entry={"at": Decimal(2), "event": "finished"},
    )
    table.put(PutItem(item=item, condition=Condition((unchanged("missing", None),))))

    assert table.update(update) == update.applied(item)
    assert "n" not in update.applied(item)
    assert [entry["event"] for entry in update.applied(item)["history"]] == ["accepted", "finished"]
    assert len(item["history"]) == 1
