"""Conditional writes as plain values: checked here, rendered for DynamoDB by the table.

The very same object becomes a DynamoDB expression in production and is evaluated by `holds` in a
simulated table, so that what is proved of the one is true of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AttributeTest:
    """One named attribute and what must be true of it before a write may happen."""

    attribute: str
    test: Literal["absent", "equals", "one_of"]
    value: Any = None


def absent(attribute: str) -> AttributeTest:
    """The row has no such attribute; a row that does not exist has none."""
    return AttributeTest(attribute, "absent")


def equals(attribute: str, value: Any) -> AttributeTest:
    """The attribute is there and is `value`."""
    return AttributeTest(attribute, "equals", value)


def one_of(attribute: str, values: Collection[str]) -> AttributeTest:
    """The attribute is there and is one of `values`."""
    return AttributeTest(attribute, "one_of", tuple(sorted(values)))


def unchanged(attribute: str, value: Any) -> AttributeTest:
    """The attribute is as it was read: absent when it was None, else the same."""
    return absent(attribute) if value is None else equals(attribute, value)


@dataclass(frozen=True, slots=True)
class Condition:
    """All of `clauses`, and all of at least one of `either` where there are any."""

    clauses: tuple[AttributeTest, ...] = ()
    either: tuple[tuple[AttributeTest, ...], ...] = ()

    def holds(self, item: Item) -> bool:
        """Whether it is true of `item` ({} for a item that does not exist)."""
        some = not self.either or any(_all(each, item) for each in self.either)
        return some and _all(self.clauses, item)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutItem:
    """Write the whole item if the one that stands there allows it."""

    item: Item
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateItem:
    """Set `values`, add to the numbers of `added` (absent ones count from 0), remove `removed`,
    append `line` to the history, if the item allows it."""

    pk: str
    condition: Condition
    values: Item
    added: Mapping[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    history_entry: Item | None = None

    def applied(self, item: Item) -> dict[str, Any]:
        """The item as it is afterwards."""
        kept = {k: v for k, v in item.items() if k not in self.removed} | dict(self.values)
        kept |= {name: item.get(name, 0) + more for name, more in self.added.items()}
        if self.history_entry:
            kept["history"] = [*item["history"], dict(self.history_entry)]
        return kept


class ConditionFailed(Exception):
    """A condition did not hold: the item that stands ({} for none), and which write of several."""

    def __init__(self, item: Item, which: int = 0) -> None:
        super().__init__()
        self.item = item
        self.which = which


def _all(clauses: Collection[AttributeTest], row: Item) -> bool:
    return all(_true(clause, row) for clause in clauses)


def _true(clause: AttributeTest, row: Item) -> bool:
    if clause.test == "absent":
        return clause.attribute not in row
    if clause.attribute not in row:
        return False
    if clause.test == "equals":
        return bool(row[clause.attribute] == clause.value)
    return row[clause.attribute] in clause.value
