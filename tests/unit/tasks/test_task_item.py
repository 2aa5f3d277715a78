"""A task's input as DynamoDB stores it: with decimals there, and with JSON's numbers here."""

from __future__ import annotations

from decimal import Decimal

from imagetasks.tasks.task_item import from_item, to_item
from tests.support.fakes import task

IMAGE_INPUT = {
    "prompt": "1",
    "n": 3,
    "strength": 0.25,
    "size": {"width": 64},
    "faces": [{"x": 1.5}],
}


def test_numbers_in_an_input_are_stored_as_decimals_and_read_as_they_were() -> None:
    item = to_item(task(input=IMAGE_INPUT, defaults={"guidance": 2.5, "seed": 7}))
    stored = item | {
        "input": item["input"] | {"n": Decimal(3)},
        "estimated_credits": Decimal("1.50"),
    }

    assert item["input"]["strength"] == Decimal("0.25")
    assert item["input"]["faces"] == [{"x": Decimal("1.5")}]
    read = from_item(stored)
    assert read.input == IMAGE_INPUT
    assert isinstance(read.input["n"], int)
    assert read.defaults == {"guidance": 2.5, "seed": 7}
    assert read.effective_input == IMAGE_INPUT | {"guidance": 2.5, "seed": 7}


def test_attributes_with_their_default_are_not_stored_and_read_as_it() -> None:
    written = task()
    optional = {"defaults", "address_pointers", "credits_exact", "billed_resolution", "spend_pks"}

    item = to_item(written)

    assert not optional & item.keys()
    assert from_item(item) == written
