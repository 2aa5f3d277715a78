"""The simulated table and real engines, given the same thousands of operations: they must agree."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, replace
from decimal import Decimal
from typing import Any, Protocol

import pytest

from imagetasks.aws.table import Table
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import WriteStamp
from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks import failure_reasons, transition_writes
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    ConditionFailed,
    Item,
    PutItem,
    UpdateItem,
    absent,
    equals,
    one_of,
)
from imagetasks.tasks.task import (
    StoredImage,
    Task,
    from_item,
    owner_status_key,
    poyo_pk,
    task_pk,
    to_item,
)
from imagetasks.tasks.transition_writes import TransitionWrite
from tests.simulation.table_state import InMemoryTable
from tests.support.dynamodb_engines import create_table, dynamodb_local
from tests.support.environment import aws
from tests.support.fakes import START, task

OPERATIONS = 1200
TASKS = tuple(task(f"key{n}", due_shard="0") for n in range(3))
KEYS = (*(task_pk(each.task_id) for each in TASKS), poyo_pk("A"), poyo_pk("B"), "account")
NEEDED = {each.name for each in fields(Task) if each.default is MISSING}
STATES: tuple[dict[str, Any], ...] = (
    {"state": "submitting"},
    {"state": "pending", "not_before": START},
    {"state": "unknown", "candidate_poyo_ids": ("A",)},
    {"state": "running", "poyo_id": "A"},
    {"state": "failed", "reason": "unconfirmed"},
    {"state": "failed", "reason": "timed_out", "poyo_id": "B"},
)
UNCONDITIONAL = {"get", "due", "anew", "rows", "walk", "page"}
LISTS = {"by_owner": ("owner", "p"), "by_owner_status": ("not_started#owner", "running#owner")}
IDS = ("A", "B", "C")
KEPT = StoredImage(
    key="images/x/0", content_type="image/png", bytes=9, width=3, height=4, sha256="0" * 64
)
VALUES: dict[str, tuple[Any, ...]] = {
    "state": ("submitting", "pending", "running", "failed", ""),
    "reason": ("unconfirmed", "timed_out", "rejected"),
    "attempt": (1, 2, Decimal("2.50"), -7),
    "candidate_poyo_ids": (["A"], ["A", "B"], []),
    "due_at": (START, START + 1, START + 60_000),
    "due_shard": ("0", "1"),
    "created_at": (START, START, START + 1, START + 60_000),  # several at one instant
    "owner_key": LISTS["by_owner"],
    "owner_status_key": LISTS["by_owner_status"],
    "deleted_at": (START,),
    "detail": ("", "grün", "x" * 300),
    "input": ({"prompt": "p", "nested": {"deep": [1, Decimal("1.5"), {"x": None}]}}, {}),
    "sent": (0, 5),
}


class Engine(Protocol):
    """What `Table` and its simulation have in common."""

    def get(self, pk: str) -> dict[str, Any]: ...
    def put(self, put: PutItem) -> None: ...
    def update(self, update: UpdateItem) -> dict[str, Any]: ...
    def update_blind(self, update: UpdateItem) -> None: ...
    def transact_write(self, writes: list[PutItem | UpdateItem]) -> None: ...
    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]: ...
    def query_page(
        self, index: str, value: str, *, limit: int, after: Item | None
    ) -> list[dict[str, Any]]: ...
    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]: ...


Operation = Callable[[Engine], Any]


@pytest.fixture(scope="module")
def own_engine() -> Iterator[str]:
    with dynamodb_local() as url:
        yield url


@pytest.fixture
def on_own_engine(own_engine: str) -> Table:
    return create_table(own_engine)


@pytest.fixture
def on_moto() -> Iterator[Table]:
    with aws() as cloud:
        yield Table(cloud.client("dynamodb"), cloud.table_name)


class Chance:
    """Draws operations that are about as often allowed as refused."""

    def __init__(self, seed: int, rows: InMemoryTable) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same operations every time
        self._rows = rows
        self._stamps = 0

    def operation(self) -> tuple[str, Operation]:
        """An operation and what kind it is; half of them are transitions of real tasks."""
        often = (self._transition,) * 5
        other = (self._transact, self._write, self._write, self._due, self._anew, self._anew)
        reads = (self._rows_of, self._walk, self._walk, self._page)
        missing = [each for each in TASKS if not self._rows.get(task_pk(each.task_id))]
        if missing:
            return self._create(missing[0])
        kinds = (*often, *other, *reads)
        return self._random.choice(kinds)()

    def _transition(self) -> tuple[str, Operation]:
        if self._random.random() < 0.2:
            return self._create(self._random.choice(TASKS))
        change = self._change()
        if change.name == "confirm_submission":
            poyo_id = change.update.values["poyo_id"]
            return "confirm_submission", lambda engine: engine.transact_write(
                [change.update, _owner(change, poyo_id)]
            )
        return change.name, lambda engine: engine.update(change.update)

    def _create(self, fresh: Task) -> tuple[str, Operation]:
        put = PutItem(item=to_item(fresh), condition=Condition((absent("pk"),)))
        return "T0", lambda engine: engine.put(put)

    def _anew(self) -> tuple[str, Operation]:
        """A task in some state, whatever was there."""
        stands = replace(self._random.choice(TASKS), **self._random.choice(STATES))
        put = PutItem(item=to_item(stands), condition=Condition())
        return "anew", lambda engine: engine.put(put)

    def _change(self) -> TransitionWrite:
        """A transition of a task as it stands, or as it stood at the beginning."""
        choose = self._random.choice
        now = self._known(choose(TASKS))
        self._stamps += 1
        at = WriteStamp(START + self._stamps, f"{self._stamps:024x}")
        due_at = START + self._random.randrange(100_000)
        return choose(
            (
                lambda: transition_writes.confirm_submission(
                    now, at, poyo_id=choose(IDS), due_at=due_at, source="answer"
                ),
                lambda: transition_writes.defer(
                    now, at, not_before=due_at, due_at=due_at, detail="d"
                ),
                lambda: transition_writes.mark_unknown(now, at, due_at=due_at, detail="d"),
                lambda: transition_writes.retry(now, at, due_at=due_at),
                lambda: transition_writes.finish(
                    now, at, files=[KEPT], charged_credits=Decimal("2.50")
                ),
                lambda: transition_writes.fail(
                    now, at, reason=choose(tuple(failure_reasons.REASONS)), detail="d"
                ),
                lambda: transition_writes.reschedule(
                    now, at, due_at=due_at, candidate_poyo_ids=choose((None, ["A"]))
                ),
                lambda: transition_writes.reschedule(now, at, due_at=None),
                lambda: transition_writes.reopen(now, at, due_at=due_at, copy_attempts=1),
                lambda: transition_writes.delete(now, at),
            )
        )()

    def _known(self, fresh: Task) -> Task:
        row = self._rows.get(task_pk(fresh.task_id))
        whole = set(row) >= NEEDED
        return from_item(row) if whole and self._random.random() < 0.8 else fresh

    def _transact(self) -> tuple[str, Operation]:
        first, second = self._random.sample(KEYS, 2)
        writes = [self._put_or_update(first), self._put_or_update(second)]
        return "transact", lambda engine: engine.transact_write(writes)

    def _write(self) -> tuple[str, Operation]:
        pk = self._random.choice(KEYS)
        kind = self._random.choice(("get", "put", "update", "update_blind"))
        if kind == "get":
            return kind, lambda engine: engine.get(pk)
        if kind == "put":
            put = PutItem(item=self._row(pk), condition=self._condition(pk))
            return kind, lambda engine: engine.put(put)
        update = self._update(pk)
        return kind, lambda engine: getattr(engine, kind)(update)

    def _due(self) -> tuple[str, Operation]:
        shard, now = self._random.choice(("0", "1")), START + self._random.randrange(100_000)
        return "due", lambda engine: _ordered(engine.query_due(shard, now=now, limit=100))

    def _rows_of(self) -> tuple[str, Operation]:
        pks = self._random.sample((*KEYS, "task#nobody"), self._random.randint(1, len(KEYS)))
        return "rows", lambda engine: engine.batch_get(pks)

    def _walk(self) -> tuple[str, Operation]:
        """A whole list, some at a time."""
        index = self._random.choice(tuple(LISTS))
        value, limit = self._random.choice(LISTS[index]), self._random.choice((1, 1, 2, 3, 100))
        return "walk", lambda engine: _walked(engine, index, value, limit)

    def _page(self) -> tuple[str, Operation]:
        """A page behind a place where no row is (any more)."""
        index = self._random.choice(tuple(LISTS))
        value, limit = self._random.choice(LISTS[index]), 100
        instant = self._random.choice((START - 1, START + 7, START + 90_000))
        after = {"pk": self._random.choice(KEYS), "created_at": instant}
        return "page", lambda engine: _listed(
            engine.query_page(index, value, limit=limit, after=after)
        )

    def _put_or_update(self, pk: str) -> PutItem | UpdateItem:
        if self._random.random() < 0.4:
            return PutItem(item=self._row(pk), condition=self._condition(pk))
        return self._update(pk)

    def _row(self, pk: str) -> dict[str, Any]:
        names = self._random.sample(tuple(VALUES), self._random.randrange(len(VALUES)))
        row = {name: self._value(name) for name in names}
        return {"pk": pk, "history": [{"at": START, "event": "e"}]} | row

    def _update(self, pk: str) -> UpdateItem:
        names = self._random.sample(tuple(VALUES), 4)
        added = {"sent": self._random.choice((1, -2))} if "sent" not in names else {}
        history = "history" in self._rows.get(pk)  # a line needs something to be appended to
        line = {"at": START, "event": "more"} if history else None
        return UpdateItem(
            pk=pk,
            condition=self._condition(pk),
            values={name: self._value(name) for name in names[:2]},
            added=added if self._random.random() < 0.5 else {},
            removed=tuple(names[2:]),
            history_entry=line,
        )

    def _condition(self, pk: str) -> Condition:
        """Clauses of which each is as likely true as not."""
        some = [self._clause(pk) for _ in range(self._random.randrange(3))]
        either: list[tuple[AttributeTest, ...]] = [
            (self._clause(pk),) for _ in range(self._random.randrange(3))
        ]
        if either and self._random.random() < 0.5:
            either[0] = (*either[0], self._clause(pk))
        return Condition(tuple(some), tuple(either))

    def _clause(self, pk: str) -> AttributeTest:
        row = self._rows.get(pk)
        name = self._random.choice((*VALUES, "pk"))
        kind = self._random.choice(("absent", "equals", "one_of"))
        if kind == "absent":
            return absent(name)
        true = name in row and self._random.random() < 0.7
        value = row[name] if true else self._value(name) if name in VALUES else "other"
        if kind == "equals" or not isinstance(value, str):
            return equals(name, value)
        return one_of(name, {value, "other"})

    def _value(self, name: str) -> Any:
        return self._random.choice(VALUES[name])


def _owner(change: TransitionWrite, poyo_id: str) -> PutItem:
    """The row that claims a PoYo id, as the store writes it."""
    free = Condition(any_of=((absent("pk"),), (equals("task_id", change.task_id),)))
    return PutItem(item={"pk": poyo_pk(poyo_id), "task_id": change.task_id}, condition=free)


def _ordered(entries: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    """Entries of the index; of two at one instant no engine promises which comes first."""
    instants = [each["due_at"] for each in entries]
    assert instants == sorted(instants)
    return sorted((each["due_at"], each["pk"]) for each in entries)


def _listed(keys: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    """Newest first; of two at one instant no engine promises which comes first."""
    instants = [each["created_at"] for each in keys]
    assert instants == sorted(instants, reverse=True)
    assert all(set(each) >= {"pk", "created_at"} for each in keys)
    return sorted((each["created_at"], each["pk"]) for each in keys)


def _walked(engine: Engine, index: str, value: str, limit: int) -> list[tuple[Any, str]]:
    """TaskPage after page to the end: each row once, whatever was created at the same instant."""
    keys: list[dict[str, Any]] = []
    after: Item | None = None
    while page := engine.query_page(index, value, limit=limit, after=after):
        keys += page
        after = {"pk": page[-1]["pk"], "created_at": page[-1]["created_at"]}
        assert len(page) <= limit
    assert len({each["pk"] for each in keys}) == len(keys)
    return _listed(keys)


def _outcome(operation: Operation, engine: Engine) -> tuple[str, Any]:
    """What came of it: a value, a refusal with the row in the way, or an engine that would not."""
    try:
        return "done", operation(engine)
    except ConditionFailed as refused:
        return "refused", (refused.item, refused.which)
    except DatabaseUnavailable:
        return "invalid", None


@pytest.mark.parametrize(
    ("engine", "seed"), [("on_own_engine", 1), ("on_own_engine", 2), ("on_moto", 3)]
)
def test_the_simulated_table_does_what_the_engine_does(
    request: pytest.FixtureRequest, engine: str, seed: int
) -> None:
    real, rows = request.getfixturevalue(engine), InMemoryTable()
    chance = Chance(seed, rows)
    seen: Counter[tuple[str, str]] = Counter()

    for n in range(OPERATIONS):
        kind, operation = chance.operation()
        there = _outcome(operation, real)
        env = _outcome(operation, rows)

        assert env == there, f"operation {n}: {kind}"
        seen[kind, env[0]] += 1
        if n % 100 == 0:
            assert [rows.get(pk) for pk in KEYS] == [real.get(pk) for pk in KEYS]

    kinds = {kind for kind, _ in seen}
    assert {kind for kind, outcome in seen if outcome == "done"} == kinds, seen
    assert {kind for kind, outcome in seen if outcome == "refused"} == kinds - UNCONDITIONAL, seen


@pytest.mark.parametrize("engine", ["on_own_engine", "on_moto"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_a_list_shows_each_task_once_however_many_were_created_at_one_instant(
    request: pytest.FixtureRequest, engine: str, limit: int
) -> None:
    repository = TaskRepository(request.getfixturevalue(engine))
    states = ("submitting", "running")
    made = [
        replace(task(f"key{n}", created_at=START + n // 4), state=states[n % 2], write_token=f"{n}")
        for n in range(12)
    ]
    for each in made:
        repository.create(replace(each, owner_status_key=owner_status_key(each.status, each.owner)))
    for other in (
        task("strange", owner="stranger", owner_key="stranger"),
        task("gone", owner_key=None),
    ):
        repository.create(replace(other, owner_status_key=None))

    for status in (None, "running"):
        shown, after = list[Task](), None
        while True:
            page = repository.list("owner", status=status, limit=limit, after=after)
            shown += page.tasks
            if (after := page.last) is None:
                break
        wanted = {each.task_id for each in made if status in (None, each.status)}

        assert len(shown) == len(wanted)
        assert {each.task_id for each in shown} == wanted
        instants = [each.created_at for each in shown]
        assert instants == sorted(instants, reverse=True)
