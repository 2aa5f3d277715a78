"""Budgets, what was spent of them, and whether orders are paused: items of the same table."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks.tasks.budgets import Budget, Limit, Spend, spend_from_item
from imagetasks.tasks.conditional_write import (
    Condition,
    ConditionFailed,
    Item,
    PutItem,
    UpdateItem,
    absent,
    below,
    equals,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from imagetasks.aws.table import Table

SETTINGS_PK = "settings"
REMOVED = {"removed": True}  # an item that says that there is no budget: nothing deletes items


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the table says of new orders: whether they are paused, and the budgets by scope."""

    paused: bool
    budgets: Mapping[str, Budget]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Whether the operator paused new orders, since when (milliseconds; None: never paused), and why."""

    paused: bool
    since: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BudgetRepository:
    """Every method raises DatabaseUnavailable when DynamoDB does not answer."""

    table: Table

    def rules(self, scopes: Collection[str]) -> Rules:
        """The rules as of now, read at once."""
        return rules_from_items(self.table.batch_get(rule_pks(scopes)), scopes)

    def spends(self, limits: Iterable[Limit]) -> Mapping[str, Spend]:
        """What was spent in the period of each limit, by the limit's `pk`."""
        pks = [limit.pk for limit in limits]
        items = self.table.batch_get(pks) if pks else {}
        return {pk: spend_from_item(items.get(pk, {})) for pk in pks}

    def put(self, budget: Budget) -> None:
        """Set the budget of its scope."""
        item = {
            "max_credits": budget.max_credits,
            "duration": budget.duration,
            "soft_credits": budget.soft_credits,
            "started_at": budget.started_at,
        }
        kept = {name: value for name, value in item.items() if value is not None}
        self._put(_budget_pk(budget.scope), kept)

    def remove(self, scope: str) -> None:
        """Remove the budget of a scope, if there is one. What was spent stays recorded."""
        pk = _budget_pk(scope)
        exists = Condition((equals("pk", pk),))
        with contextlib.suppress(ConditionFailed):
            self.table.put(PutItem(item={"pk": pk, **REMOVED}, condition=exists))

    def pause(self, *, paused: bool, now: int, reason: str = "") -> None:
        """Refuse or accept new orders from now on."""
        self._put(SETTINGS_PK, {"paused": paused, "paused_at": now, "paused_reason": reason})

    def pause_state(self) -> Pause:
        """What `pause` wrote last, read at once."""
        return _pause(self.table.get(SETTINGS_PK))

    def note_soft_limit(self, limit: Limit, soft_credits: Decimal) -> bool:
        """Record that the spending of a period has passed its soft limit; whether that is news: it is
        again if the limit has been raised."""
        lower = below("soft_limit", soft_credits)
        condition = Condition(any_of=((absent("soft_limit"),), (lower,)))
        values = {"soft_limit": soft_credits}
        try:
            self.table.update(UpdateItem(pk=limit.pk, condition=condition, values=values))
        except ConditionFailed:
            return False
        return True

    def _put(self, pk: str, values: Mapping[str, Any]) -> None:
        self.table.put(PutItem(item={"pk": pk, **values}, condition=Condition()))


def rule_pks(scopes: Iterable[str]) -> list[str]:
    """The keys of all items with rules of an order that counts in `scopes`."""
    return [SETTINGS_PK, *map(_budget_pk, scopes)]


def rules_from_items(items: Mapping[str, Item], scopes: Iterable[str]) -> Rules:
    """The rules in those of `items` that exist, by `pk`."""
    found = {scope: items.get(_budget_pk(scope), REMOVED) for scope in scopes}
    return Rules(
        paused=_pause(items.get(SETTINGS_PK, {})).paused,
        budgets={
            scope: _from_item(scope, item) for scope, item in found.items() if "removed" not in item
        },
    )


def _budget_pk(scope: str) -> str:
    return f"budget#{scope}"


def _pause(item: Mapping[str, Any]) -> Pause:
    since = item.get("paused_at")
    return Pause(
        paused=bool(item.get("paused")),
        since=None if since is None else int(since),
        reason=item.get("paused_reason", ""),
    )


def _from_item(scope: str, item: Mapping[str, Any]) -> Budget:
    return Budget(
        scope=scope,
        max_credits=item["max_credits"],
        duration=item.get("duration"),
        soft_credits=item.get("soft_credits"),
        started_at=int(item.get("started_at", 0)),
    )
