"""Random transitions of several tasks, many from what was read long ago: the items of spending agree always."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import WriteStamp
from imagetasks.errors import BudgetExhausted, PoyoIdConflict, TokenRevoked
from imagetasks.tasks import transition_writes
from imagetasks.tasks.budgets import Limit
from imagetasks.tasks.caller import SCOPES, Token, token_to_item
from imagetasks.tasks.conditional_write import Condition, PutItem
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import Task, TaskFacts, task_pk
from imagetasks.tasks.transition_write import TransitionWrite
from imagetasks.tasks.transitions import TRANSITIONS
from imagetasks.tasks.usage import usage_pk
from tests.simulation.table_state import InMemoryTable, as_stored
from tests.support.booked_credits import false_items
from tests.support.environment import new_environment
from tests.support.fakes import START, task
from tests.support.transition_cases import STORED_IMAGE, WRITES

STEPS = 400
AMOUNTS = (None, Decimal(0), Decimal("0.01"), Decimal("2.37"))
LIMITS = (
    Limit(scope="stack", pk="spend#1d#0#stack", max_credits=Decimal("12.9")),
    Limit(scope="key", pk="spend#ever#0#key:owner", max_credits=Decimal(40)),
    Limit(scope="token", pk="token#t", max_credits=Decimal(11), max_tasks=4),
)
TOKEN = Token(
    token_id="t",
    key="owner",
    key_id="i",
    owner="owner",
    scopes=SCOPES,
    max_credits=Decimal(11),
    ends_at=START,
)


class Life:
    """Tasks of one table, and every version of them that somebody has read."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311  # repeatable, not secret
        self.memory = InMemoryTable()
        self.memory.items["token#t"] = as_stored(token_to_item(TOKEN))
        self.repository = TaskRepository(self.memory)  # type: ignore[arg-type]
        self.read: list[Task] = []
        self.applied: Counter[str] = Counter()
        self.stamps = 0

    def stamp(self) -> WriteStamp:
        self.stamps += 1
        return WriteStamp(START + self.stamps, f"{self.stamps:024x}")

    def create(self) -> None:
        """Order with some limits: a new key, or one that was used before."""
        limits = tuple(each for each in LIMITS if self.rng.random() < 0.7)
        made = task(
            f"key-{self.rng.randrange(12)}",
            estimated_credits=self.rng.choice((Decimal(2), Decimal("2.37"), Decimal("0.55"))),
            write_token=self.stamp().write_token,
        )
        pks = (*(each.pk for each in limits), usage_pk(made))
        made = replace(made, spend_pks=pks)
        try:
            result = self.repository.create(made, limits)
        except (BudgetExhausted, TokenRevoked):
            self.applied["refused"] += 1
            return
        self.applied["submit"] += result.applied
        self.read.append(result.task)

    def transition(self) -> None:
        """Make any transition of any version of a task that was ever read."""
        before = self.rng.choice(self.read[-30:])
        write = self.write(before)
        if write.name == "confirm_submission":
            poyo_id = str(write.update.values["poyo_id"])
            try:
                result = self.repository.confirm_submission(write, poyo_id)
            except PoyoIdConflict:
                return
        else:
            result = self.repository.apply(write)
        self.applied[write.name] += result.applied
        self.read.append(result.task)
        if result.applied and write.bookings:
            now = self.memory.get(task_pk(write.task_id))
            assert not write.update.condition.holds(now), f"{write.name} could be booked twice"

    def write(self, before: Task) -> TransitionWrite:
        """A random transition, with and without an amount that PoYo named."""
        rng, stamp = self.rng, self.stamp()
        amount = rng.choice(AMOUNTS)
        named: TaskFacts = {} if amount is None else {"charged_credits": amount}
        makes: list[Callable[[], TransitionWrite]] = [
            lambda: transition_writes.finish(
                before, stamp, files=[STORED_IMAGE], charged_credits=amount or Decimal(2)
            ),
            lambda: transition_writes.fail(
                before,
                stamp,
                reason=rng.choice(tuple(REASONS)),
                detail="",
                charged_credits=amount,
            ),
            lambda: transition_writes.settle(before, stamp, charged_credits=amount or Decimal(0)),
            lambda: transition_writes.reschedule(before, stamp, due_at=None, **named),
            lambda: transition_writes.reopen(before, stamp, due_at=START, **named),
            lambda: transition_writes.confirm_submission(
                before, stamp, poyo_id=before.task_id[:8], due_at=START, source="answer"
            ),
        ]
        others = ("defer", "mark_unknown", "retry", "delete")
        makes += [lambda name=each: WRITES[name][0](before, stamp) for each in others]  # type: ignore[misc]
        return rng.choice(makes)()


@pytest.mark.parametrize("seed", range(40))
def test_sums_of_items_are_the_sums_of_their_tasks_after_every_write(seed: int) -> None:
    life = Life(seed)

    for _ in range(STEPS):
        if not life.read or life.rng.random() < 0.1:
            life.create()
        else:
            life.transition()
        assert false_items(life.memory.items) == []
        for limit in LIMITS[:2]:
            item = life.memory.get(limit.pk)
            accepted = item.get("committed", 0)
            assert accepted <= limit.max_credits or item["charged"] > 0

    token = life.memory.get("token#t")
    assert token["tasks"] <= 4


def test_random_lives_make_every_transition() -> None:
    applied: Counter[str] = Counter()
    for seed in range(40):
        life = Life(seed)
        for _ in range(STEPS):
            if not life.read or life.rng.random() < 0.1:
                life.create()
            else:
                life.transition()
        applied += life.applied

    assert set(applied) >= {*TRANSITIONS, "submit", "refused"}


def test_sums_agree_in_the_emulated_dynamodb_too() -> None:
    with new_environment() as env:
        life = Life(7)
        life.repository = env.repository
        env.table.put(PutItem(item=token_to_item(TOKEN), condition=Condition()))
        life.memory.get = env.table.get  # type: ignore[method-assign]
        for _ in range(80):
            if not life.read or life.rng.random() < 0.1:
                life.create()
            else:
                life.transition()
        pks = [each["pk"]["S"] for each in env.cloud.items()]
        assert false_items({pk: env.table.get(pk) for pk in pks}) == []
