"""The chain of PoYo's balances that `cli.reconcile` has read, and what explains their differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cli.charges import Usage, key_of
from imagetasks.aws.table import Table
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.usage import day_of

LIST = "/reconcile"  # in the index by_owner: no owner's name begins with a slash
DAY_MS = 24 * 60 * 60 * 1000
WINDOW_DAYS = 40  # a later charge of an older task counts in no comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """PoYo's balance at an instant (milliseconds), and what the tasks of `keys` that were ordered from
    `first_day` on had reserved and were charged then. `unexplained` adds up over the chain."""

    at: int
    balance: Decimal
    first_day: str
    keys: tuple[str, ...]
    reserved: Decimal
    charged: Decimal
    unexplained: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two snapshots: the credits by which the balance `fell`, those that were `charged` between them, and
    by how many more are `reserved` than before: PoYo takes credits when it accepts a task."""

    before: Snapshot
    fell: Decimal
    charged: Decimal
    reserved: Decimal

    @property
    def unexplained(self) -> Decimal:
        """Credits that left the account without a task of ours; below zero: that came, or did not leave."""
        return self.fell - self.charged - self.reserved


def window_start(now: int) -> str:
    """The first day whose usage a snapshot adds up."""
    return day_of(now - WINDOW_DAYS * DAY_MS)


def compare(before: Snapshot, usage: Usage, *, balance: Decimal) -> Comparison:
    """What happened since `before`: `usage` has the rows from its first day until now. A key that is new
    counts from the day of `before` on."""
    since = day_of(before.at)

    def counts(owner: str, day: str) -> bool:
        return day >= (before.first_day if key_of(owner) in before.keys else since)

    now = usage.where(lambda row: counts(row.key.owner, row.key.day)).total()
    return Comparison(
        before=before,
        fell=before.balance - balance,
        charged=now.charged - before.charged,
        reserved=now.reserved - before.reserved,
    )


def take(
    usage: Usage, keys: tuple[str, ...], *, now: int, balance: Decimal, compared: Comparison | None
) -> Snapshot:
    """The snapshot of this instant."""
    first_day = window_start(now)
    total = usage.where(lambda row: row.key.day >= first_day).total()
    earlier = compared.before.unexplained + compared.unexplained if compared else Decimal(0)
    return Snapshot(
        at=now,
        balance=balance,
        first_day=first_day,
        keys=keys,
        reserved=total.reserved,
        charged=total.charged,
        unexplained=earlier,
    )


def store(table: Table, snapshot: Snapshot) -> None:
    """Append the snapshot to the chain. Raises DatabaseUnavailable."""
    item: dict[str, Any] = {
        "pk": f"reconcile#{snapshot.at}",
        "owner_key": LIST,
        "created_at": snapshot.at,
        "balance": snapshot.balance,
        "first_day": snapshot.first_day,
        "server_keys": list(snapshot.keys),
        "reserved": snapshot.reserved,
        "charged": snapshot.charged,
        "unexplained": snapshot.unexplained,
    }
    table.put(PutItem(item=item, condition=Condition((absent("pk"),))))


def latest(table: Table) -> Snapshot | None:
    """The last snapshot of the chain, None if there is none. Raises DatabaseUnavailable."""
    for key in table.query_page("by_owner", LIST, limit=1, after=None):
        return _from_item(table.get(key["pk"]))
    return None


def _from_item(item: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        at=int(item["created_at"]),
        balance=item["balance"],
        first_day=item["first_day"],
        keys=tuple(item["server_keys"]),
        reserved=item["reserved"],
        charged=item["charged"],
        unexplained=item["unexplained"],
    )
