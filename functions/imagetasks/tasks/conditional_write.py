"""Conditional writes as plain values: checked here, rendered for DynamoDB by the table.

The very same object becomes a DynamoDB expression in production and is evaluated by `holds` in a
simulated table, so that what is proved of the one is true of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clause:
    """One named attribute and what must be true of it before a write may happen."""

    attribute: str
    test: Literal["absent", "equals", "one_of"]
    value: Any = None


def absent(attribute: str) -> Clause:
    """The row has no such attribute; a row that does not exist has none."""
    return Clause(attribute, "absent")


def equals(attribute: str, value: Any) -> Clause:
    """The attribute is there and is `value`."""
    return Clause(attribute, "equals", value)


def one_of(attribute: str, values: Collection[str]) -> Clause:
    """The attribute is there and is one of `values`."""
    return Clause(attribute, "one_of", tuple(sorted(values)))


def unchanged(attribute: str, value: Any) -> Clause:
    """The attribute is as it was read: absent when it was None, else the same."""
    return absent(attribute) if value is None else equals(attribute, value)


@dataclass(frozen=True, slots=True)
class Condition:
    """All of `clauses`, and all of at least one of `either` where there are any."""

    clauses: tuple[Clause, ...] = ()
    either: tuple[tuple[Clause, ...], ...] = ()

    def holds(self, row: Row) -> bool:
        """Whether it is true of `row` ({} for a row that does not exist)."""
        some = not self.either or any(_all(each, row) for each in self.either)
        return some and _all(self.clauses, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Write the whole row if the one that stands there allows it."""

    row: Row
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Set `values`, add to the numbers of `added` (absent ones count from 0), remove `removed`,
    append `line` to the history, if the row allows it."""

    pk: str
    condition: Condition
    values: Row
    added: Mapping[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    line: Row | None = None

    def applied(self, row: Row) -> dict[str, Any]:
        """The row as it is afterwards."""
        kept = {k: v for k, v in row.items() if k not in self.removed} | dict(self.values)
        kept |= {name: row.get(name, 0) + more for name, more in self.added.items()}
        if self.line:
            kept["history"] = [*row["history"], dict(self.line)]
        return kept


class Refused(Exception):
    """A condition did not hold: the row that stands ({} for none), and which write of several."""

    def __init__(self, row: Row, which: int = 0) -> None:
        super().__init__()
        self.row = row
        self.which = which


def _all(clauses: Collection[Clause], row: Row) -> bool:
    return all(_true(clause, row) for clause in clauses)


def _true(clause: Clause, row: Row) -> bool:
    if clause.test == "absent":
        return clause.attribute not in row
    if clause.attribute not in row:
        return False
    if clause.test == "equals":
        return bool(row[clause.attribute] == clause.value)
    return row[clause.attribute] in clause.value
