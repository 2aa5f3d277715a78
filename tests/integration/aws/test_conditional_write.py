"""Conditions as values: what they say of a row here is what DynamoDB says of it there."""

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
from tests.support.environment import aws

ROW: dict[str, Any] = {"pk": "row", "state": "running", "n": Decimal(3), "l": ["a", "b"], "s": ""}

CLAUSES: list[tuple[AttributeTest, bool]] = [
    (absent("pk"), False),
    (absent("nothing"), True),
    (absent("s"), False),
    (equals("state", "running"), True),
    (equals("state", "Running"), False),
    (equals("nothing", "running"), False),
    (equals("n", 3), True),
    (equals("n", Decimal("3.0")), True),
    (equals("n", "3"), False),
    (equals("l", ["a", "b"]), True),
    (equals("l", ["b", "a"]), False),
    (equals("s", ""), True),
    (one_of("state", ["running", "failed"]), True),
    (one_of("state", ["failed"]), False),
    (one_of("nothing", ["failed"]), False),
    (unchanged("nothing", None), True),
    (unchanged("state", None), False),
    (unchanged("state", "running"), True),
    (unchanged("nothing", "running"), False),
]
TRUE, FALSE = equals("state", "running"), equals("state", "failed")
CONDITIONS: list[tuple[Condition, bool]] = [
    *((Condition((clause,)), holds) for clause, holds in CLAUSES),
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


@pytest.mark.parametrize(("condition", "true"), CONDITIONS)
def test_a_condition_means_the_same_here_and_in_dynamodb(
    table: Table, condition: Condition, true: bool
) -> None:
    table.put(PutItem(item=ROW, condition=Condition((unchanged("nothing", None),))))
    update = UpdateItem(pk="row", condition=condition, values={"touched": True})

    assert condition.holds(ROW) is true
    if true:
        assert table.update(update) == update.applied(ROW)
    else:
        with pytest.raises(ConditionFailed) as refused:
            table.update(update)
        assert refused.value.item == ROW
        assert table.get("row") == ROW


@pytest.mark.parametrize(("condition", "true"), CONDITIONS)
def test_of_a_row_that_is_not_there_only_absence_is_true(
    table: Table, condition: Condition, true: bool
) -> None:
    put = PutItem(item={"pk": "elsewhere"}, condition=condition)
    table.client.delete_item(TableName=table.name, Key={"pk": {"S": "elsewhere"}})

    if condition.holds({}):
        table.put(put)
    else:
        with pytest.raises(ConditionFailed) as refused:
            table.put(put)
        assert refused.value.item == {}


def test_an_update_sets_removes_and_adds_a_line_here_as_there(table: Table) -> None:
    row = ROW | {"history": [{"at": Decimal(1), "event": "accepted"}]}
    update = UpdateItem(
        pk="row",
        condition=Condition((equals("pk", "row"),)),
        values={"state": "finished", "files": [{"bytes": Decimal(7)}]},
        removed=("n", "nothing"),
        history_entry={"at": Decimal(2), "event": "finished"},
    )
    table.put(PutItem(item=row, condition=Condition((unchanged("nothing", None),))))

    assert table.update(update) == update.applied(row)
    assert "n" not in update.applied(row)
    assert [line["event"] for line in update.applied(row)["history"]] == ["accepted", "finished"]
    assert len(row["history"]) == 1
