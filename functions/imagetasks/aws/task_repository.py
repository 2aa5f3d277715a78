"""Tasks in the table: each method is one write that decides, never a read before a write."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks.api.pagination import Place
from imagetasks.errors import PoyoIdTaken, StoreUnavailable, TaskNotFound
from imagetasks.poyo.rate_limit import QUOTA_KEY, Quota
from imagetasks.tasks.conditional_write import (
    Condition,
    Put,
    Refused,
    Update,
    absent,
    equals,
    unchanged,
)
from imagetasks.tasks.task import Task, from_row, listed_as, poyo_key, row_key, to_row
from imagetasks.tasks.transitions import Change

if TYPE_CHECKING:
    from imagetasks.aws.table import Table

QUOTA_TRIES = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether our write won, and the task as it stands now in either case."""

    won: bool
    task: Task


@dataclass(frozen=True, slots=True)
class Due:
    """An entry of the to-do list: the task and the instant (ms) it was due at when it was read."""

    task_id: str
    due_at: int


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, and the place behind which there may be more (None: there are none)."""

    tasks: tuple[Task, ...]
    last: Place | None


@dataclass(frozen=True, slots=True)
class Store:
    """Every method raises StoreUnavailable when the table cannot be used."""

    table: Table

    def create(self, task: Task) -> Outcome:
        """T0: write a task that is not there yet; the earlier one comes back when it is."""
        try:
            self.table.put(Put(row=to_row(task), condition=Condition((absent("pk"),))))
        except Refused as refused:
            return _lost(refused.row, task.stamp)
        return Outcome(True, task)

    def read(self, task_id: str) -> Task:
        """The task as of now. Raises TaskNotFound."""
        row = self.table.get(row_key(task_id))
        if not row:
            raise TaskNotFound(task_id)
        return from_row(row)

    def page(self, owner: str, *, status: str | None, limit: int, after: Place | None) -> Page:
        """Up to `limit` tasks of `owner`, newest first, that come after `after`.

        The index says which, the rows say how they stand now: with `status`, one that has just
        changed it may still be among them.
        """
        index, value = ("listed_status", listed_as(status, owner)) if status else ("listed", owner)
        start = {"pk": row_key(after.task_id), "created_at": after.created_at} if after else None
        keys = self.table.page(index, value, limit=limit, after=start)
        rows = self.table.rows([key["pk"] for key in keys]) if keys else {}
        found = [from_row(rows[key["pk"]]) for key in keys if key["pk"] in rows]
        full = len(keys) == limit
        last = Place(int(keys[-1]["created_at"]), _task_id(keys[-1]["pk"])) if full else None
        return Page(tuple(task for task in found if task.deleted_at is None), last)

    def apply(self, change: Change) -> Outcome:
        """Make one transition, or learn who was faster. Raises TaskNotFound."""
        try:
            return Outcome(True, from_row(self.table.update(change.update)))
        except Refused as refused:
            if not refused.row:
                raise TaskNotFound(change.task_id) from refused
            return _lost(refused.row, change.stamp)

    def bind(self, change: Change, poyo_id: str) -> Outcome:
        """T1: make the transition and claim `poyo_id` for its task, both or neither.

        Raises PoyoIdTaken when another task owns the id, TaskNotFound.
        """
        free = Condition(either=((absent("pk"),), (equals("task_id", change.task_id),)))
        owner = Put(row={"pk": poyo_key(poyo_id), "task_id": change.task_id}, condition=free)
        try:
            self.table.transact([change.update, owner])
        except Refused as refused:
            if refused.which == 1:
                raise PoyoIdTaken(poyo_id) from refused
            if not refused.row:
                raise TaskNotFound(change.task_id) from refused
            return _lost(refused.row, change.stamp)
        return Outcome(True, self.read(change.task_id))

    def due(self, shard: str, *, now: int, limit: int) -> list[Due]:
        """Up to `limit` tasks of `shard` whose look is due at `now`, the longest overdue first."""
        rows = self.table.due(shard, now=now, limit=limit)
        return [Due(_task_id(row["pk"]), int(row["due_at"])) for row in rows]

    def claim(self, due: Due, *, until: int) -> bool:
        """T7 as the sweep does it: move the look to `until` unless somebody else moved it."""
        same = Condition((equals("due_at", due.due_at),))
        try:
            self.table.touch(
                Update(pk=row_key(due.task_id), condition=same, values={"due_at": until})
            )
        except Refused:
            return False
        return True

    def count_submit(self, window: int) -> Quota:
        """Count one submit in `window`, or in the later one that the row has already come to."""
        for _ in range(QUOTA_TRIES):
            same = Condition((equals("window", window),))
            try:
                row = self.table.update(
                    Update(pk=QUOTA_KEY, condition=same, values={}, added={"sent": 1})
                )
                return Quota(window=window, sent=int(row["sent"]), trouble=int(row["trouble"]))
            except Refused as refused:
                window = max(window, int(refused.row.get("window", window)))
                self._turn(refused.row, window)
        raise StoreUnavailable("the window turned too often")

    def trouble(self, *, over: bool) -> None:
        """PoYo failed a submit, or took one: the breaker counts those that failed in a row."""
        values, added = ({"trouble": 0}, {}) if over else ({}, {"trouble": 1})
        known = Condition((equals("pk", QUOTA_KEY),))
        with contextlib.suppress(Refused):  # nothing was ever counted, so there is no row
            self.table.update(Update(pk=QUOTA_KEY, condition=known, values=values, added=added))

    def _turn(self, row: Mapping[str, Any], window: int) -> None:
        """Begin `window` unless somebody else just did."""
        if row.get("window") == window:
            return
        fresh = {"pk": QUOTA_KEY, "window": window, "sent": 0, "trouble": row.get("trouble", 0)}
        then = unchanged("window", row.get("window"))
        with contextlib.suppress(Refused):
            self.table.put(Put(row=fresh, condition=Condition((then,))))


def _task_id(pk: str) -> str:
    return pk.removeprefix("task#")


def _lost(row: Mapping[str, Any], stamp: str) -> Outcome:
    """Somebody was faster, unless the row has our stamp: then it was us, and the answer got lost."""
    return Outcome(row.get("stamp") == stamp, from_row(row))
