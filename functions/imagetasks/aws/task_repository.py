"""Tasks in the table: each method is one write that decides, never a read before a write."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks.api.pagination import ListPosition
from imagetasks.errors import DatabaseUnavailable, PoyoIdConflict, TaskNotFound
from imagetasks.poyo.rate_limit import WINDOW_PK, SubmitWindow
from imagetasks.tasks.conditional_write import (
    Condition,
    ConditionFailed,
    PutItem,
    UpdateItem,
    absent,
    equals,
    unchanged,
)
from imagetasks.tasks.task import Task, from_item, owner_status_key, poyo_pk, task_pk, to_item
from imagetasks.tasks.transitions import TransitionWrite

if TYPE_CHECKING:
    from imagetasks.aws.table import Table

WINDOW_TRIES = 4


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Whether our write won, and the task as it stands now in either case."""

    applied: bool
    task: Task


@dataclass(frozen=True, slots=True)
class DueTask:
    """An entry of the to-do list: the task and the instant (ms) it was due at when it was read."""

    task_id: str
    due_at: int


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, and the place behind which there may be more (None: there are none)."""

    tasks: tuple[Task, ...]
    last: ListPosition | None


@dataclass(frozen=True, slots=True)
class TaskRepository:
    """Every method raises StoreUnavailable when the table cannot be used."""

    table: Table

    def create(self, task: Task) -> WriteResult:
        """T0: write a task that is not there yet; the earlier one comes back when it is."""
        try:
            self.table.put(PutItem(item=to_item(task), condition=Condition((absent("pk"),))))
        except ConditionFailed as refused:
            return _write_result(refused.item, task.write_token)
        return WriteResult(True, task)

    def get(self, task_id: str) -> Task:
        """The task as of now. Raises TaskNotFound."""
        row = self.table.get(task_pk(task_id))
        if not row:
            raise TaskNotFound(task_id)
        return from_item(row)

    def list(
        self, owner: str, *, status: str | None, limit: int, after: ListPosition | None
    ) -> Page:
        """Up to `limit` tasks of `owner`, newest first, that come after `after`.

        The index says which, the rows say how they stand now: with `status`, one that has just
        changed it may still be among them.
        """
        index, value = (
            ("by_owner_status", owner_status_key(status, owner)) if status else ("by_owner", owner)
        )
        start = {"pk": task_pk(after.task_id), "created_at": after.created_at} if after else None
        keys = self.table.query_page(index, value, limit=limit, after=start)
        rows = self.table.batch_get([key["pk"] for key in keys]) if keys else {}
        found = [from_item(rows[key["pk"]]) for key in keys if key["pk"] in rows]
        full = len(keys) == limit
        last = ListPosition(int(keys[-1]["created_at"]), _task_id(keys[-1]["pk"])) if full else None
        return Page(tuple(task for task in found if task.deleted_at is None), last)

    def apply(self, change: TransitionWrite) -> WriteResult:
        """Make one transition, or learn who was faster. Raises TaskNotFound."""
        try:
            return WriteResult(True, from_item(self.table.update(change.update)))
        except ConditionFailed as refused:
            if not refused.item:
                raise TaskNotFound(change.task_id) from refused
            return _write_result(refused.item, change.write_token)

    def confirm_submission(self, change: TransitionWrite, poyo_id: str) -> WriteResult:
        """T1: make the transition and claim `poyo_id` for its task, both or neither.

        Raises PoyoIdConflict when another task owns the id, TaskNotFound.
        """
        free = Condition(either=((absent("pk"),), (equals("task_id", change.task_id),)))
        owner = PutItem(item={"pk": poyo_pk(poyo_id), "task_id": change.task_id}, condition=free)
        try:
            self.table.transact_write([change.update, owner])
        except ConditionFailed as refused:
            if refused.which == 1:
                raise PoyoIdConflict(poyo_id) from refused
            if not refused.item:
                raise TaskNotFound(change.task_id) from refused
            return _write_result(refused.item, change.write_token)
        return WriteResult(True, self.get(change.task_id))

    def find_due(self, shard: str, *, now: int, limit: int) -> Sequence[DueTask]:
        """Up to `limit` tasks of `shard` whose look is due at `now`, the longest overdue first."""
        rows = self.table.query_due(shard, now=now, limit=limit)
        return [DueTask(_task_id(row["pk"]), int(row["due_at"])) for row in rows]

    def claim(self, due: DueTask, *, until: int) -> bool:
        """T7 as the sweep does it: move the look to `until` unless somebody else moved it."""
        same = Condition((equals("due_at", due.due_at),))
        try:
            self.table.update_blind(
                UpdateItem(pk=task_pk(due.task_id), condition=same, values={"due_at": until})
            )
        except ConditionFailed:
            return False
        return True

    def count_submit(self, window: int) -> SubmitWindow:
        """Count one submit in `window`, or in the later one that the row has already come to."""
        for _ in range(WINDOW_TRIES):
            same = Condition((equals("window", window),))
            try:
                row = self.table.update(
                    UpdateItem(pk=WINDOW_PK, condition=same, values={}, added={"sent": 1})
                )
                return SubmitWindow(
                    window=window, sent=int(row["sent"]), trouble=int(row["trouble"])
                )
            except ConditionFailed as refused:
                window = max(window, int(refused.item.get("window", window)))
                self._start_window(refused.item, window)
        raise DatabaseUnavailable("the window turned too often")

    def record_submit_outcome(self, *, over: bool) -> None:
        """PoYo failed a submit, or took one: the breaker counts those that failed in a row."""
        values, added = ({"trouble": 0}, {}) if over else ({}, {"trouble": 1})
        known = Condition((equals("pk", WINDOW_PK),))
        with contextlib.suppress(ConditionFailed):  # nothing was ever counted, so there is no row
            self.table.update(UpdateItem(pk=WINDOW_PK, condition=known, values=values, added=added))

    def _start_window(self, row: Mapping[str, Any], window: int) -> None:
        """Begin `window` unless somebody else just did."""
        if row.get("window") == window:
            return
        fresh = {"pk": WINDOW_PK, "window": window, "sent": 0, "trouble": row.get("trouble", 0)}
        then = unchanged("window", row.get("window"))
        with contextlib.suppress(ConditionFailed):
            self.table.put(PutItem(item=fresh, condition=Condition((then,))))


def _task_id(pk: str) -> str:
    return pk.removeprefix("task#")


def _write_result(row: Mapping[str, Any], stamp: str) -> WriteResult:
    """Somebody was faster, unless the row has our stamp: then it was us, and the answer got lost."""
    return WriteResult(row.get("write_token") == stamp, from_item(row))
