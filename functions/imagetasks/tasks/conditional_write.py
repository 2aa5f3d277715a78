"""Conditional writes as plain values: evaluated here, translated for DynamoDB in aws/expressions.

The same object becomes a DynamoDB expression in production and is evaluated by `holds` in the
simulated table, so that what a simulation shows of a write is true of the write in production.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AttributeTest:
    """One attribute and what must be true of it for a write to happen."""

    attribute: str
    test: Literal["absent", "equals", "one_of", "at_most", "below"]
    value: Any = None


def absent(attribute: str) -> AttributeTest:
    """The item lacks the attribute; an item that does not exist lacks every attribute."""
    return AttributeTest(attribute, "absent")


def equals(attribute: str, value: Any) -> AttributeTest:
    """The item has the attribute with this value."""
    return AttributeTest(attribute, "equals", value)


def one_of(attribute: str, values: Collection[str]) -> AttributeTest:
    """The item has the attribute with one of these values."""
    return AttributeTest(attribute, "one_of", tuple(sorted(values)))


def at_most(attribute: str, value: Decimal | int) -> AttributeTest:
    """The item has the attribute, a number, and it is not greater than `value`."""
    return AttributeTest(attribute, "at_most", value)


def below(attribute: str, value: Decimal | int) -> AttributeTest:
    """The item has the attribute, a number, and it is less than `value`."""
    return AttributeTest(attribute, "below", value)


def unchanged(attribute: str, value: Any) -> AttributeTest:
    """The attribute is as it was read: absent if `value` is None, else equal."""
    return absent(attribute) if value is None else equals(attribute, value)


@dataclass(frozen=True, slots=True)
class Condition:
    """Every test of `all_of`, and every test of at least one group of `any_of` if there are any."""

    all_of: tuple[AttributeTest, ...] = ()
    any_of: tuple[tuple[AttributeTest, ...], ...] = ()

    def holds(self, item: Item) -> bool:
        """Whether the condition is true of `item` ({} for an item that does not exist)."""
        alternative = not self.any_of or any(_all_true(group, item) for group in self.any_of)
        return alternative and _all_true(self.all_of, item)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutItem:
    """Write the whole item if the existing one meets the condition."""

    item: Item
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateItem:
    """Set `values`, add `added` to numbers (absent ones count from 0), remove `removed` and append
    `history_entry` to the history, if the existing item meets the condition."""

    pk: str
    condition: Condition
    values: Item
    added: Mapping[str, Decimal | int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    history_entry: Item | None = None

    def applied(self, item: Item) -> dict[str, Any]:
        """The item after the update."""
        kept = {k: v for k, v in item.items() if k not in self.removed} | dict(self.values)
        kept |= {name: item.get(name, 0) + more for name, more in self.added.items()}
        if self.history_entry:
            kept["history"] = [*item["history"], dict(self.history_entry)]
        return kept


class ConditionFailed(Exception):
    """A condition did not hold. `item` is the existing item ({} if there is none), `which` the
    position of the refused write in a transaction."""

    def __init__(self, item: Item, which: int = 0) -> None:
        super().__init__()
        self.item = item
        self.which = which


def _all_true(tests: Collection[AttributeTest], item: Item) -> bool:
    return all(_is_true(test, item) for test in tests)


def _is_true(test: AttributeTest, item: Item) -> bool:
    if test.test == "absent":
        return test.attribute not in item
    if test.attribute not in item:
        return False
    if test.test == "equals":
        return bool(item[test.attribute] == test.value)
    if test.test == "at_most":
        return bool(item[test.attribute] <= test.value)
    if test.test == "below":
        return bool(item[test.attribute] < test.value)
    return item[test.attribute] in test.value
