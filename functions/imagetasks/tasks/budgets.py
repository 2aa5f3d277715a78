"""Budgets: how many credits a scope may spend in a period, and what is left of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from imagetasks.errors import BudgetExhausted, ImageTasksError, TokenRevoked
from imagetasks.tasks.caller import Caller, token_pk
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    absent,
    at_most,
    equals,
)
from imagetasks.tasks.task import Task

DURATION = re.compile(r"([1-9][0-9]{0,3})([hd])")
UNIT_MS = {"h": 60 * 60 * 1000, "d": 24 * 60 * 60 * 1000}
MAX_DURATION_MS = 366 * UNIT_MS["d"]
DAY = "1d"
# Scopes, and what those of a key or an owner begin with.
STACK, KEY, OWNER = "stack", "key:", "owner:"
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`max_credits` for `scope` in each period of `duration` (None: once for ever), counted from
    `started_at`; beyond `soft_credits` the operator gets an alarm. Instants are milliseconds."""

    scope: str
    max_credits: Decimal
    duration: str | None = DAY
    soft_credits: Decimal | None = None
    started_at: int = 0

    def limit(self, now: int) -> Limit:
        """What the budget allows in the period of `now`."""
        start, resets_at = 0, None
        if self.duration is not None:
            length = duration_ms(self.duration)
            start = self.started_at + (now - self.started_at) // length * length
            resets_at = start + length
        return Limit(
            scope=self.scope,
            pk=f"spend#{self.duration or 'ever'}#{start}#{self.scope}",
            max_credits=self.max_credits,
            resets_at=resets_at,
            soft_credits=self.soft_credits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What one item's tasks have reserved and were charged, in credits, and the soft limit whose alarm was
    raised (None: none was)."""

    tasks: int = 0
    estimated: Decimal = NOTHING
    reserved: Decimal = NOTHING
    charged: Decimal = NOTHING
    soft_limit: Decimal | None = None

    @property
    def committed(self) -> Decimal:
        """Credits that are taken: reserved or charged."""
        return self.reserved + self.charged

    def passes_first(self, soft_credits: Decimal) -> bool:
        """Whether the sums have reached a soft limit whose alarm, or that of a higher one, was not raised."""
        news = self.soft_limit is None or self.soft_limit < soft_credits
        return news and self.committed >= soft_credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget in its current period: the sums of the item `pk` count against it. A browser token's own
    limit may also bound its `max_tasks` and ends with the token."""

    scope: str
    pk: str
    max_credits: Decimal
    resets_at: int | None = None
    soft_credits: Decimal | None = None
    max_tasks: int | None = None

    def left(self, spend: Spend) -> Decimal:
        """Credits that may still be reserved: none after `max_tasks` orders."""
        if not self._allows_one_more(spend):
            return NOTHING
        return max(NOTHING, self.max_credits - spend.committed)

    def allows(self, spend: Spend, credits_: Decimal) -> bool:
        """Whether one more task may reserve `credits_`."""
        return self._allows_one_more(spend) and spend.committed + credits_ <= self.max_credits

    def _allows_one_more(self, spend: Spend) -> bool:
        """Whether the number of tasks allows one more."""
        return self.max_tasks is None or spend.tasks < self.max_tasks

    def wait_s(self, credits_: Decimal, now: int) -> float | None:
        """Seconds from `now` until an order of `credits_` that has no room may have it, None if the limit
        never resets or is lower than the order."""
        if self.resets_at is None or credits_ > self.max_credits:
            return None
        return (self.resets_at - now) / 1000

    @property
    def is_token(self) -> bool:
        """Whether it is a browser token's: its item exists, and may be revoked."""
        return self.scope == "token"

    def condition(self, credits_: Decimal) -> Condition:
        """The condition under which the item may reserve `credits_`: DynamoDB decides, so that of
        concurrent orders no more are accepted than there is room for."""
        room = at_most("committed", self.max_credits - credits_)
        if self.is_token:
            tests: tuple[AttributeTest, ...] = (equals("pk", self.pk), absent("revoked_at"), room)
            if self.max_tasks is not None:
                tests = (*tests, at_most("tasks", self.max_tasks - 1))
            return Condition(tests)
        if credits_ > self.max_credits:  # not even in a period without any task
            return Condition((room,))
        return Condition(any_of=((absent("committed"),), (room,)))


def duration_ms(duration: str) -> int:
    """The length of a period such as `1h` or `30d`. Raises ValueError for anything else, and for more
    than a year."""
    found = DURATION.fullmatch(duration)
    length = int(found[1]) * UNIT_MS[found[2]] if found else 0
    if not 0 < length <= MAX_DURATION_MS:
        raise ValueError(duration)
    return length


def period_start(duration: str, now: int) -> int:
    """When the first period of a budget that is set now begins: at the start of this hour, or of this
    day in UTC."""
    unit = UNIT_MS[duration[-1]]
    return now // unit * unit


def scopes(caller: Caller) -> Mapping[str, str]:
    """The scopes that an order of the caller counts in, by what callers name them."""
    return {"stack": STACK, "key": f"{KEY}{caller.key}", "owner": f"{OWNER}{caller.owner}"}


def tightest(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """One limit for each item, because a transaction can write an item once: the lowest, with the lowest
    soft limit of all."""
    found: dict[str, Limit] = {}
    for limit in limits:
        others = [found[limit.pk]] if limit.pk in found else []
        lowest = min([*others, limit], key=lambda each: each.max_credits)
        soft = [each.soft_credits for each in [*others, limit] if each.soft_credits is not None]
        found[limit.pk] = replace(lowest, soft_credits=min(soft, default=None))
    return tuple(found.values())


def token_limit(caller: Caller) -> tuple[Limit, ...]:
    """The limit of the caller's browser token, if it has one."""
    token = caller.token
    if token is None:
        return ()
    return (
        Limit(
            scope="token",
            pk=token_pk(token.token_id),
            max_credits=token.max_credits,
            max_tasks=token.max_tasks,
        ),
    )


def refusal(limit: Limit, item: Mapping[str, Any], task: Task) -> ImageTasksError:
    """Why the new task has no room under `limit`, whose item is `item`."""
    if limit.is_token and ("revoked_at" in item or not item):
        return TokenRevoked("revoked")
    return BudgetExhausted(
        limit.scope,
        limit.left(spend_from_item(item)),
        limit.resets_at,
        wait_s=limit.wait_s(task.estimated_credits, task.created_at),
    )


def spend_from_item(item: Mapping[str, Any]) -> Spend:
    """The sums of an item; {} has none."""
    return Spend(
        tasks=int(item.get("tasks", 0)),
        estimated=item.get("estimated", NOTHING),
        reserved=item.get("reserved", NOTHING),
        charged=item.get("charged", NOTHING),
        soft_limit=item.get("soft_limit"),
    )
