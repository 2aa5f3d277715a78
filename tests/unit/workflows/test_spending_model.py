"""Random budgets, orders, ends and days, compared with a model of the documentation that shares no code
with the product: every order is accepted exactly if there is room, and every period is charged what its
orders cost."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import pytest

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.errors import BudgetExhausted
from imagetasks.poyo.rate_limit import Slot
from imagetasks.tasks import transition_writes
from imagetasks.tasks.caller import Caller
from imagetasks.workflows.budget_settings import BudgetSettings
from imagetasks.workflows.order import new_task
from imagetasks.workflows.spending import Spending, SpendingDefaults
from tests.simulation.table_state import InMemoryTable
from tests.support.environment import order
from tests.support.fakes import ManualClock, make_clock

HOUR, DAY = 3_600_000, 86_400_000
LENGTHS = {"1h": HOUR, "5h": 5 * HOUR, "24h": DAY, "1d": DAY, "2d": 2 * DAY}
OWNERS = ("shop", "shop/ann", "shop/bob")
SCOPES = ("stack", "key:shop", *(f"owner:{each}" for each in OWNERS))
AMOUNTS = tuple(map(Decimal, ("0.01", "0.3333", "1.5", "2.37", "5", "12")))
LIMITS = tuple(map(Decimal, ("0", "2.37", "3.5", "10", "20.25")))

Period = tuple[str | None, int, str]  # duration, beginning, scope


@dataclass
class Model:
    """What the documentation says of budgets: `budgets` are limit, duration and first beginning by scope,
    `taken` the credits of each period, `orders` the periods and the estimate of each order whose cost is
    open."""

    stack_daily: Decimal | None
    owner_daily: Decimal | None
    budgets: dict[str, tuple[Decimal, str | None, int]] = field(default_factory=dict)
    taken: dict[Period, Decimal] = field(default_factory=dict)
    orders: dict[str, tuple[list[Period], Decimal]] = field(default_factory=dict)

    def set(self, scope: str, limit: Decimal, duration: str | None, now: int) -> None:
        _, before, began = self.budgets.get(scope, (None, "", 0))
        if before != duration or scope not in self.budgets:
            unit = HOUR if duration and duration.endswith("h") else DAY
            began = now - now % unit
        self.budgets[scope] = (limit, duration, began)

    def limits(self, owner: str, now: int) -> dict[Period, Decimal]:
        """The limits that an order of `owner` counts in."""
        today, found = now - now % DAY, list[tuple[Period, Decimal]]()
        if self.stack_daily is not None:
            found.append((("1d", today, "stack"), self.stack_daily))
        if self.owner_daily is not None and f"owner:{owner}" not in self.budgets:
            found.append((("1d", today, f"owner:{owner}"), self.owner_daily))
        for scope in ("stack", "key:shop", f"owner:{owner}"):
            if scope in self.budgets:
                limit, duration, began = self.budgets[scope]
                while duration and began + LENGTHS[duration] <= now:
                    began += LENGTHS[duration]
                found.append(((duration, began if duration else 0, scope), limit))
        return {
            period: min(each for other, each in found if other == period) for period, _ in found
        }

    def left(self, limits: dict[Period, Decimal]) -> list[Decimal]:
        return [limit - self.taken.get(period, Decimal(0)) for period, limit in limits.items()]

    def change(self, periods: list[Period], credits_: Decimal) -> None:
        for period in periods:
            self.taken[period] = self.taken.get(period, Decimal(0)) + credits_


@dataclass(frozen=True)
class End:
    """A transition, and what PoYo kept for its task by then (None: the estimate); `known` if that is
    decided with it."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    charged: Decimal | None = None
    known: bool = True


def failed(reason: str, **further: Any) -> Mapping[str, Any]:
    return {"reason": reason, "detail": "", **further}


ENDS = (
    End("finish", {"files": (), "charged_credits": Decimal("2.5")}, Decimal("2.5")),
    End("finish", {"files": (), "charged_credits": Decimal("0.0001")}, Decimal("0.0001")),
    End("fail", failed("upstream"), Decimal(0)),
    End("fail", failed("moderated", charged_credits=Decimal("0.11")), Decimal("0.11")),
    End("fail", failed("bad_result")),
    End("fail", failed("timed_out"), known=False),
    End("delete", known=False),
)
SETTLED = End("settle", {"charged_credits": Decimal("1.5")}, Decimal("1.5"))


class Run:
    """The product and the model, side by side."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311  # repeatable, not secret
        daily = self.rng.choice((None, Decimal("9.5"))), self.rng.choice((None, Decimal(6)))
        self.table, self.time = InMemoryTable(), ManualClock()
        self.clock = make_clock(self.time)
        self.model = Model(*daily)
        self.repository = TaskRepository(cast(Any, self.table))
        self.spending = Spending(
            repository=BudgetRepository(cast(Any, self.table)),
            defaults=SpendingDefaults(stack_daily=daily[0], owner_daily=daily[1]),
            clock=self.clock,
        )
        self.settings = BudgetSettings(self.spending)
        self.accepted = self.refused = 0

    def set_budget(self) -> None:
        scope, limit = self.rng.choice(SCOPES), self.rng.choice(LIMITS)
        duration = self.rng.choice((None, *LENGTHS))
        self.settings.set(scope, max_credits=limit, duration=duration, soft_credits=None)
        self.model.set(scope, limit, duration, self.time.now)

    def remove_budget(self) -> None:
        scope = self.rng.choice(SCOPES)
        self.settings.remove(scope)
        self.model.budgets.pop(scope, None)

    def pass_time(self) -> None:
        self.time.forward(self.rng.choice((1, 600, 3600, 5 * 3600, 86_400)))

    def place(self) -> None:
        owner, credits_ = self.rng.choice(OWNERS), self.rng.choice(AMOUNTS)
        limits = self.model.limits(owner, self.time.now)
        has_room = all(each >= credits_ for each in self.model.left(limits))
        caller = Caller(key="shop", owner=owner)
        headroom = self.spending.standing(caller).headroom(credits_)
        assert headroom is None or headroom.allowed == has_room
        if not has_room:
            with pytest.raises(BudgetExhausted) as refused:
                self.spending.admit(caller, credits_)
            lefts = [max(Decimal(0), each) for each in self.model.left(limits)]
            assert refused.value.left in lefts
            self.refused += 1
            return
        reserved = self.spending.admit(caller, credits_)
        made = order(f"{self.accepted}", owner=owner, estimated_credits=credits_)
        due_at = self.time.now
        task = new_task(made, Slot(number=None), reserved, due_at=due_at, clock=self.clock)
        self.repository.create(task, reserved)
        self._apply("confirm_submission", task.task_id, poyo_id=f"P{self.accepted}")
        self.model.change([*limits], credits_)
        self.model.orders[task.task_id] = ([*limits], credits_)
        self.accepted += 1

    def end(self) -> None:
        if not self.model.orders:
            return
        task_id = self.rng.choice([*self.model.orders])
        periods, credits_ = self.model.orders[task_id]
        unresolved = self.repository.get(task_id).state == "failed"
        end = SETTLED if unresolved else self.rng.choice(ENDS)
        self._apply(end.name, task_id, **end.arguments)
        if end.charged is not None:
            self.model.change(periods, end.charged - credits_)
        if end.known:
            del self.model.orders[task_id]

    def _apply(self, name: str, task_id: str, **arguments: Any) -> None:
        make: Callable[..., Any] = getattr(transition_writes, name)
        task = self.repository.get(task_id)
        if name == "confirm_submission":
            arguments |= {"due_at": None, "source": "answer"}
        if name != "delete" or task.deleted_at is None:
            assert self.repository.apply(make(task, self.clock.stamp(), **arguments)).applied

    def check(self) -> None:
        taken = {
            f"spend#{duration or 'ever'}#{began}#{scope}": credits_
            for (duration, began, scope), credits_ in self.model.taken.items()
        }
        items = {pk: each for pk, each in self.table.items.items() if pk.startswith("spend#")}
        assert {pk: each["committed"] for pk, each in items.items()} == taken


@pytest.mark.parametrize("seed", range(20))
def test_orders_are_accepted_and_charged_as_the_documentation_says(seed: int) -> None:
    run = Run(seed)
    steps = (run.place,) * 8 + (run.end,) * 4 + (run.pass_time, run.set_budget, run.remove_budget)

    for _ in range(150):
        run.rng.choice(steps)()
        run.check()

    assert run.accepted > 5
    assert run.refused > 5
