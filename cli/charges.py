"""What a stack's tasks have reserved and were charged: usage, read for its server keys and added up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from imagetasks.aws.usage_repository import UsageRepository, UsageRow
from imagetasks.tasks.budgets import Spend
from imagetasks.tasks.caller import OWNER_SEPARATOR, Caller

PAGE_SIZE = 100  # as many items as DynamoDB reads at once
PROGRESS_EVERY = 1000

Group = Callable[[UsageRow], str]
GROUPS: Mapping[str, Group] = {
    "key": lambda row: key_of(row.key.owner),
    "owner": lambda row: row.key.owner,
    "model": lambda row: row.key.model,
}


def key_of(owner: str) -> str:
    """The name of the server key that an owner belongs to."""
    return owner.partition(OWNER_SEPARATOR)[0]


@dataclass(frozen=True, slots=True)
class Usage:
    """Rows of usage, which can be narrowed and added up."""

    rows: tuple[UsageRow, ...] = field(default=())

    def where(self, holds: Callable[[UsageRow], bool]) -> Usage:
        """The rows for which `holds`."""
        return Usage(tuple(row for row in self.rows if holds(row)))

    def between(self, first: str, last: str) -> Usage:
        """The rows of these days (YYYY-MM-DD, both included)."""
        return self.where(lambda row: first <= row.key.day <= last)

    def total(self) -> Spend:
        """The sum of all rows."""
        return _sum(row.spend for row in self.rows)

    def by(self, group: Group) -> Mapping[str, Spend]:
        """The sum of each group, the dearest first."""
        found: dict[str, list[Spend]] = {}
        for row in self.rows:
            found.setdefault(group(row), []).append(row.spend)
        sums = {name: _sum(spends) for name, spends in found.items()}
        return dict(sorted(sums.items(), key=lambda each: (-each[1].committed, each[0])))


def read_usage(repository: UsageRepository, keys: Iterable[str], *, first: str, last: str) -> Usage:
    """The usage of these server keys on the days `first` to `last`, with progress on stderr."""
    rows: list[UsageRow] = []
    for key in keys:
        for row in _of_key(repository, key, first, last):
            rows.append(row)
            if len(rows) % PROGRESS_EVERY == 0:
                print(f"{len(rows)} items of usage read", file=sys.stderr, flush=True)
    return Usage(tuple(rows))


def _of_key(repository: UsageRepository, key: str, first: str, last: str) -> Iterator[UsageRow]:
    caller, after = Caller(key=key, owner=key), None
    while True:
        page = repository.list(caller, first=first, last=last, limit=PAGE_SIZE, after=after)
        yield from page.rows
        after = page.last
        if after is None:
            return


def _sum(spends: Iterable[Spend]) -> Spend:
    given = list(spends)
    zero = Spend()
    return Spend(
        tasks=sum(each.tasks for each in given),
        estimated=sum((each.estimated for each in given), zero.estimated),
        reserved=sum((each.reserved for each in given), zero.reserved),
        charged=sum((each.charged for each in given), zero.charged),
    )
