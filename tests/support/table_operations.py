"""Random operations on a table: reads, conditional writes, transactions and lists."""

from __future__ import annotations

import random
from dataclasses import MISSING, fields, replace
from decimal import Decimal
from typing import Any

from imagetasks.clock import WriteStamp
from imagetasks.tasks import failure_reasons, transition_writes
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    PutItem,
    UpdateItem,
    absent,
    at_most,
    below,
    equals,
    one_of,
)
from imagetasks.tasks.task import StoredImage, Task, poyo_pk, task_pk
from imagetasks.tasks.task_item import from_item, to_item
from imagetasks.tasks.transition_write import TransitionWrite
from tests.simulation.table_state import InMemoryTable
from tests.support.fakes import START, task
from tests.support.table_engine import Operation, sorted_due, sorted_list, whole_list

TASKS = tuple(task(f"key{n}", due_shard="0") for n in range(3))
KEYS = (*(task_pk(each.task_id) for each in TASKS), poyo_pk("A"), poyo_pk("B"), "account")
REQUIRED = {each.name for each in fields(Task) if each.default is MISSING}
STORED_STATES: tuple[dict[str, Any], ...] = (
    {"state": "submitting"},
    {"state": "pending", "not_before": START},
    {"state": "unknown", "candidate_poyo_ids": ("A",)},
    {"state": "running", "poyo_id": "A"},
    {"state": "failed", "reason": "unconfirmed"},
    {"state": "failed", "reason": "timed_out", "poyo_id": "B"},
)
LISTS = {"by_owner": ("owner", "p"), "by_owner_status": ("not_started#owner", "running#owner")}
IDS = ("A", "B", "C")
STORED_IMAGE = StoredImage(
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


class RandomOperations:
    """Random operations, of which about half are accepted and half refused."""

    def __init__(self, seed: int, table: InMemoryTable) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same operations every time
        self._table = table
        self._stamp_count = 0

    def operation(self) -> tuple[str, Operation]:
        """The kind of an operation and the operation; half of them are transitions of real tasks."""
        transitions = (self._transition,) * 5
        writes = (
            self._transact,
            self._write,
            self._write,
            self._due,
            self._put_task,
            self._put_task,
        )
        reads = (self._batch_get, self._whole_list, self._whole_list, self._page)
        missing = [each for each in TASKS if not self._table.get(task_pk(each.task_id))]
        if missing:
            return self._create(missing[0])
        kinds = (*transitions, *writes, *reads)
        return self._random.choice(kinds)()

    def _transition(self) -> tuple[str, Operation]:
        if self._random.random() < 0.2:
            return self._create(self._random.choice(TASKS))
        write = self._transition_write()
        if write.name == "confirm_submission":
            poyo_id = write.update.values["poyo_id"]
            return "confirm_submission", lambda engine: engine.transact_write(
                [write.update, _poyo_id_item(write, poyo_id)]
            )
        return write.name, lambda engine: engine.update(write.update)

    def _create(self, new: Task) -> tuple[str, Operation]:
        put = PutItem(item=to_item(new), condition=Condition((absent("pk"),)))
        return "create", lambda engine: engine.put(put)

    def _put_task(self) -> tuple[str, Operation]:
        """Put a task in a random state, unconditionally."""
        stored = replace(self._random.choice(TASKS), **self._random.choice(STORED_STATES))
        put = PutItem(item=to_item(stored), condition=Condition())
        return "put_task", lambda engine: engine.put(put)

    def _transition_write(self) -> TransitionWrite:
        """A transition of a task as it is now, or as it was at the beginning."""
        choose = self._random.choice
        task = self._current_or_new(choose(TASKS))
        self._stamp_count += 1
        stamp = WriteStamp(START + self._stamp_count, f"{self._stamp_count:024x}")
        due_at = START + self._random.randrange(100_000)
        return choose(
            (
                lambda: transition_writes.confirm_submission(
                    task, stamp, poyo_id=choose(IDS), due_at=due_at, source="answer"
                ),
                lambda: transition_writes.defer(
                    task, stamp, not_before=due_at, due_at=due_at, detail="d", refused=True
                ),
                lambda: transition_writes.mark_unknown(
                    task, stamp, expires_at=due_at, detail="d", poyo_id=choose((None, "A"))
                ),
                lambda: transition_writes.retry(task, stamp, due_at=due_at),
                lambda: transition_writes.finish(
                    task, stamp, files=[STORED_IMAGE], charged_credits=Decimal("2.50")
                ),
                lambda: transition_writes.fail(
                    task, stamp, reason=choose(tuple(failure_reasons.REASONS)), detail="d"
                ),
                lambda: transition_writes.reschedule(
                    task, stamp, due_at=due_at, candidate_poyo_ids=choose((None, ["A"]))
                ),
                lambda: transition_writes.reschedule(task, stamp, due_at=None),
                lambda: transition_writes.reopen(task, stamp, due_at=due_at, copy_attempts=1),
                lambda: transition_writes.delete(task, stamp),
            )
        )()

    def _current_or_new(self, new: Task) -> Task:
        item = self._table.get(task_pk(new.task_id))
        complete = set(item) >= REQUIRED
        return from_item(item) if complete and self._random.random() < 0.8 else new

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
            put = PutItem(item=self._item(pk), condition=self._condition(pk))
            return kind, lambda engine: engine.put(put)
        update = self._update(pk)
        return kind, lambda engine: getattr(engine, kind)(update)

    def _due(self) -> tuple[str, Operation]:
        shard, now = self._random.choice(("0", "1")), START + self._random.randrange(100_000)
        return "due", lambda engine: sorted_due(engine.query_due(shard, now=now, limit=100))

    def _batch_get(self) -> tuple[str, Operation]:
        pks = self._random.sample((*KEYS, "task#missing"), self._random.randint(1, len(KEYS)))
        return "batch_get", lambda engine: engine.batch_get(pks)

    def _whole_list(self) -> tuple[str, Operation]:
        """A whole list, page by page."""
        index = self._random.choice(tuple(LISTS))
        value, limit = self._random.choice(LISTS[index]), self._random.choice((1, 1, 2, 3, 100))
        return "whole_list", lambda engine: whole_list(engine, index, value, limit)

    def _page(self) -> tuple[str, Operation]:
        """A page after a position at which no item is."""
        index = self._random.choice(tuple(LISTS))
        value, limit = self._random.choice(LISTS[index]), 100
        instant = self._random.choice((START - 1, START + 7, START + 90_000))
        after = {"pk": self._random.choice(KEYS), "created_at": instant}
        return "page", lambda engine: sorted_list(
            engine.query_page(index, value, limit=limit, after=after)
        )

    def _put_or_update(self, pk: str) -> PutItem | UpdateItem:
        if self._random.random() < 0.4:
            return PutItem(item=self._item(pk), condition=self._condition(pk))
        return self._update(pk)

    def _item(self, pk: str) -> dict[str, Any]:
        names = self._random.sample(tuple(VALUES), self._random.randrange(len(VALUES)))
        item = {name: self._value(name) for name in names}
        return {"pk": pk, "history": [{"at": START, "event": "e"}]} | item

    def _update(self, pk: str) -> UpdateItem:
        names = self._random.sample(tuple(VALUES), 4)
        added = {"sent": self._random.choice((1, -2))} if "sent" not in names else {}
        history = "history" in self._table.get(pk)  # list_append needs an existing history
        entry = {"at": START, "event": "more"} if history else None
        return UpdateItem(
            pk=pk,
            condition=self._condition(pk),
            values={name: self._value(name) for name in names[:2]},
            added=added if self._random.random() < 0.5 else {},
            removed=tuple(names[2:]),
            history_entry=entry,
        )

    def _condition(self, pk: str) -> Condition:
        """A condition of tests of which each is about as likely true as false."""
        all_of = [self._test(pk) for _ in range(self._random.randrange(3))]
        any_of: list[tuple[AttributeTest, ...]] = [
            (self._test(pk),) for _ in range(self._random.randrange(3))
        ]
        if any_of and self._random.random() < 0.5:
            any_of[0] = (*any_of[0], self._test(pk))
        return Condition(tuple(all_of), tuple(any_of))

    def _test(self, pk: str) -> AttributeTest:
        item = self._table.get(pk)
        name = self._random.choice((*VALUES, "pk"))
        kind = self._random.choice(("absent", "equals", "one_of"))
        if kind == "absent":
            return absent(name)
        if self._random.random() < 0.2:
            number = self._random.choice(("attempt", "due_at", "sent"))
            return self._random.choice((at_most, below))(number, self._value(number))
        holds = name in item and self._random.random() < 0.7
        value = item[name] if holds else self._value(name) if name in VALUES else "other"
        if kind == "equals" or not isinstance(value, str):
            return equals(name, value)
        return one_of(name, {value, "other"})

    def _value(self, name: str) -> Any:
        return self._random.choice(VALUES[name])


def _poyo_id_item(write: TransitionWrite, poyo_id: str) -> PutItem:
    """The item that claims a PoYo id, as TaskRepository writes it."""
    free = Condition(any_of=((absent("pk"),), (equals("task_id", write.task_id),)))
    return PutItem(item={"pk": poyo_pk(poyo_id), "task_id": write.task_id}, condition=free)
