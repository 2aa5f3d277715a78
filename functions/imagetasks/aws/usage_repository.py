"""Usage in DynamoDB: the items that bookings keep, listed by owner or by server key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.tasks.budgets import Spend, spend_from_item
from imagetasks.tasks.usage import UsageKey, day_start, sees_every_owner, usage_key, usage_list

if TYPE_CHECKING:
    from imagetasks.aws.table import Table
    from imagetasks.tasks.caller import Caller


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What the tasks of one day, model and owner have reserved and were charged."""

    key: UsageKey
    spend: Spend


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Rows, newest day first, and the key behind which there may be more (None: there are no more)."""

    rows: tuple[UsageRow, ...]
    last: UsageKey | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UsageRepository:
    """Every method raises DatabaseUnavailable when DynamoDB does not answer."""

    table: Table

    def list(
        self, caller: Caller, *, first: str, last: str, limit: int, after: UsageKey | None
    ) -> UsagePage:
        """Up to `limit` rows of the days `first` to `last` that follow `after`, which is on one of these
        days: of the caller's owner, or of all owners of a server key that acts for none of them.

        The index selects the items, which say what they count now.
        """
        if sees_every_owner(caller):
            index, name = "by_owner_status", caller.key
        else:
            index, name = "by_owner", caller.owner
        keys = self.table.query_page(
            index,
            usage_list(name),
            limit=limit,
            after={"pk": after.pk, "created_at": after.created_at} if after else None,
            created_between=(day_start(first), day_start(last)),
        )
        items = self.table.batch_get([key["pk"] for key in keys]) if keys else {}
        rows = [UsageRow(usage_key(pk), spend_from_item(item)) for pk, item in items.items()]
        rows.sort(key=lambda row: (-row.key.created_at, row.key.owner, row.key.model))
        return UsagePage(tuple(rows), usage_key(keys[-1]["pk"]) if len(keys) == limit else None)
