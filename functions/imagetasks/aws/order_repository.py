"""What the table says of a new order, read with one request before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.aws.budget_repository import Rules, rule_pks, rules_from_items
from imagetasks.aws.submit_account import ACCOUNT_PK, Account
from imagetasks.aws.submit_account import from_item as account_from_item
from imagetasks.tasks.task import Task, task_pk
from imagetasks.tasks.task_item import from_item

if TYPE_CHECKING:
    from collections.abc import Collection

    from imagetasks.aws.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBasis:
    """The task that the order's key already stands for (None: the key is free), the rules of new orders,
    and what the account has submitted. All of it may be outdated by the time it is used: the writes that
    depend on it say so in their conditions."""

    earlier: Task | None
    rules: Rules
    account: Account


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OrderRepository:
    """Raises DatabaseUnavailable when DynamoDB does not answer."""

    table: Table

    def read(self, task_id: str | None, scopes: Collection[str]) -> OrderBasis:
        """What an order in `scopes` depends on, as of now; without a key it has no `task_id` yet."""
        task_pks = [] if task_id is None else [task_pk(task_id)]
        items = self.table.batch_get([*task_pks, *rule_pks(scopes), ACCOUNT_PK])
        found = [items[pk] for pk in task_pks if pk in items]
        return OrderBasis(
            earlier=from_item(found[0]) if found else None,
            rules=rules_from_items(items, scopes),
            account=account_from_item(items.get(ACCOUNT_PK, {})),
        )
