"""The credits of a task, and the items that they are booked in.

What a task reserves and what it was charged follows from the task alone. So the sums of a spend item are
the sums of its tasks, as long as each transition changes both in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from imagetasks.tasks.budgets import DAY, Limit, period_start
from imagetasks.tasks.caller import OWNER_SEPARATOR, TOKEN_PK
from imagetasks.tasks.conditional_write import Condition, UpdateItem
from imagetasks.tasks.failure_reasons import charged_credits, was_charged
from imagetasks.tasks.task import State, Task
from imagetasks.tasks.usage import usage_list, usage_pk

# The attributes that `booking` reads and that change.
MONEY = ("state", "reason", "charged_credits")
UNRESOLVED_KEY = "/unresolved"  # in the index by_owner: no owner's name begins with a slash
KEPT_S = 10 * 366 * 24 * 60 * 60  # DynamoDB's TTL leaves a token's item alone for so long
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Booking:
    """Credits that a task has reserved and that it was charged."""

    reserved: Decimal = NOTHING
    charged: Decimal = NOTHING

    @property
    def committed(self) -> Decimal:
        """Credits that are taken: reserved or charged."""
        return self.reserved + self.charged


def booking(task: Task) -> Booking:
    """The estimate is reserved until it is known what PoYo kept. Then that is charged: the credits that
    PoYo named, else nothing for a failure that PoYo does not charge, else the estimate."""
    if task.state == State.FINISHED:
        charged = task.charged_credits
        return Booking(charged=task.estimated_credits if charged is None else charged)
    if task.state != State.FAILED or was_charged(task) is None:
        return Booking(reserved=task.estimated_credits)
    named = charged_credits(task)
    return Booking(charged=task.estimated_credits if named is None else named)


def difference(before: Task, after: Task) -> Booking:
    """What is added to the bookings of a task, or taken from them, when `before` becomes `after`."""
    old, new = booking(before), booking(after)
    return Booking(reserved=new.reserved - old.reserved, charged=new.charged - old.charged)


def unexpected_charge(before: Task, after: Task) -> Decimal | None:
    """The credits that PoYo charged other than estimated, if that is not known of `before` yet; else
    None. A failure without a charge is none, nor is less than an estimate that is a bound."""
    charge = _differing_charge(after)
    return None if charge == _differing_charge(before) else charge


def is_unresolved(task: Task) -> bool:
    """Whether the task has ended and nobody knows what PoYo kept for it."""
    return task.is_final and booking(task).reserved > 0


def reservation(task: Task, limits: Sequence[Limit]) -> tuple[UpdateItem, ...]:
    """The writes that reserve the credits of a new task: in the order of `limits`, each under its
    limit's condition, then in the usage of its owner."""
    estimated = task.estimated_credits
    sums = dict.fromkeys(("estimated", "reserved", "committed"), estimated)
    added: Mapping[str, Decimal | int] = {"tasks": 1, **sums}
    limited = (
        _spend(each.pk, added, opened=bool(estimated), condition=each.condition(estimated))
        for each in limits
    )
    usage = UpdateItem(
        pk=usage_pk(task), condition=Condition(), values=_usage_position(task), added=added
    )
    return (*limited, usage)


def _usage_position(task: Task) -> Mapping[str, Any]:
    """The attributes that list the usage item by owner and by server key, newest day first."""
    key = task.owner.partition(OWNER_SEPARATOR)[0]
    return {
        "owner_key": usage_list(task.owner),
        "owner_status_key": usage_list(key),
        "created_at": period_start(DAY, task.created_at),
    }


def changes(before: Task, after: Task) -> tuple[UpdateItem, ...]:
    """The writes that keep the items of a task's credits true when `before` becomes `after`."""
    more, marks = difference(before, after), _marks(before, after)
    if more == Booking():
        return marks
    sums = {"reserved": more.reserved, "charged": more.charged, "committed": more.committed}
    added = {name: value for name, value in sums.items() if value}
    opened = bool(booking(after).reserved) - bool(booking(before).reserved)
    return (*(_spend(pk, added, opened=opened) for pk in before.spend_pks), *marks)


def _differing_charge(task: Task) -> Decimal | None:
    named = task.charged_credits
    uncharged = task.state == State.FAILED and not named
    if named is None or uncharged or named == task.estimated_credits:
        return None
    within = not task.credits_exact and named < task.estimated_credits
    return None if within else named


def _spend(
    pk: str,
    added: Mapping[str, Decimal | int],
    *,
    opened: int,
    condition: Condition = Condition(),  # noqa: B008  # a frozen value
) -> UpdateItem:
    """Add to the sums of a spend item. DynamoDB removes a token's item only when none of its tasks has
    reserved credits: each such task puts that off."""
    if opened and pk.startswith(TOKEN_PK):
        added = {**added, "removed_at": opened * KEPT_S}
    return UpdateItem(pk=pk, condition=condition, values={}, added=added)


def _marks(before: Task, after: Task) -> tuple[UpdateItem, ...]:
    """List a task that ended without a known charge for the operator, or remove it from that list."""
    if is_unresolved(before) == is_unresolved(after):
        return ()
    pk, listed = f"unresolved#{after.task_id}", is_unresolved(after)
    position = {"owner_key": UNRESOLVED_KEY, "created_at": after.created_at}
    return (
        UpdateItem(
            pk=pk,
            condition=Condition(),
            values=position if listed else {},
            removed=() if listed else tuple(position),
        ),
    )
