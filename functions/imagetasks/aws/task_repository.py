"""Tasks in DynamoDB. Each method that writes makes one conditional write that decides; none reads
before it writes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetasks.errors import PoyoIdConflict, TaskNotFound
from imagetasks.tasks.conditional_write import (
    Condition,
    ConditionFailed,
    PutItem,
    UpdateItem,
    absent,
    equals,
)
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import Task, owner_status_key, poyo_pk, task_pk
from imagetasks.tasks.task_item import from_item, to_item

if TYPE_CHECKING:
    from imagetasks.aws.table import Table
    from imagetasks.tasks.budgets import Limit
    from imagetasks.tasks.transition_write import TransitionWrite

SEVERAL = "several"  # no task id: these have 26 characters


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Whether our write was applied, and the task as it is now in either case."""

    applied: bool
    task: Task


@dataclass(frozen=True, slots=True)
class DueTask:
    """An entry of the due index: a task with its `due_at` and `due_since` (milliseconds) as read."""

    task_id: str
    due_at: int
    due_since: int


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks, and the position behind which there may be more (None: there are no more)."""

    tasks: tuple[Task, ...]
    last: ListPosition | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TaskRepository:
    """Every method raises DatabaseUnavailable when DynamoDB does not answer."""

    table: Table

    def create(self, task: Task, limits: Sequence[Limit] = ()) -> WriteResult:
        """Write a task that does not exist yet and reserve its credits, both or neither; if it exists,
        return the existing one. Raises BudgetExhausted or TokenRevoked for the first of `limits` that
        has no room."""
        # The sweep creates none: without these its cold start is a twentieth shorter.
        from imagetasks.tasks.bookings import reservation  # noqa: PLC0415
        from imagetasks.tasks.budgets import refusal  # noqa: PLC0415

        put = PutItem(item=to_item(task), condition=Condition((absent("pk"),)))
        try:
            self.table.transact_write([put, *reservation(task, limits)])
        except ConditionFailed as failed:
            if failed.which:
                raise refusal(limits[failed.which - 1], failed.item, task) from failed
            return _write_result(failed.item, task.write_token)
        return WriteResult(True, task)

    def get(self, task_id: str) -> Task:
        """The task as of now. Raises TaskNotFound."""
        item = self.table.get(task_pk(task_id))
        if not item:
            raise TaskNotFound(task_id)
        return from_item(item)

    def get_several(self, task_ids: Collection[str]) -> Mapping[str, Task]:
        """Up to 100 tasks as of now by id, without those that do not exist."""
        items = self.table.batch_get([task_pk(each) for each in task_ids]) if task_ids else {}
        return {_task_id(pk): from_item(item) for pk, item in items.items()}

    def list(
        self, owner: str, *, status: str | None, limit: int, after: ListPosition | None
    ) -> TaskPage:
        """Up to `limit` tasks of `owner`, newest first, that follow `after`.

        The index selects them and their items say how they are now. With `status`, a page may be shorter
        than `limit`: tasks that have not started share a list with those that run.
        """
        index = "by_owner_status" if status else "by_owner"
        value = owner_status_key(status, owner) if status else owner
        start = {"pk": task_pk(after.task_id), "created_at": after.created_at} if after else None
        keys = self.table.query_page(index, value, limit=limit, after=start)
        items = self.table.batch_get([key["pk"] for key in keys]) if keys else {}
        tasks = [from_item(items[key["pk"]]) for key in keys if key["pk"] in items]
        full = len(keys) == limit
        last = ListPosition(int(keys[-1]["created_at"]), _task_id(keys[-1]["pk"])) if full else None
        shown = [each for each in tasks if each.deleted_at is None]
        return TaskPage(tuple(each for each in shown if status in (None, each.status)), last)

    def apply(self, write: TransitionWrite) -> WriteResult:
        """Make one transition, with its bookings if it changes the task's credits, or return the task
        that a concurrent write left. Raises TaskNotFound."""
        try:
            if not write.bookings:
                return WriteResult(True, from_item(self.table.update(write.update)))
            self.table.transact_write([write.update, *write.bookings])
        except ConditionFailed as failed:
            if not failed.item:
                raise TaskNotFound(write.task_id) from failed
            return _write_result(failed.item, write.write_token)
        return WriteResult(True, self.get(write.task_id))

    def name_poyo_id(self, poyo_id: str, task_id: str, *, now: int) -> int:
        """Record that a callback named `poyo_id` for this task; returns when that was recorded first,
        0 if PoYo's answer has named it: a submit that crashed while it confirmed the id.

        Raises PoyoIdConflict if it is another task's, or was named for another one as well: then it is
        confirmed for none of them, and only PoYo's answer to a submit decides.
        """
        pk, unowned = poyo_pk(poyo_id), absent("task_id")
        unnamed = Condition((unowned, absent("named_by")))
        named = {"named_by": task_id, "named_at": now}
        try:
            self.table.update(UpdateItem(pk=pk, condition=unnamed, values=named))
        except ConditionFailed as failed:
            item = failed.item
            if item.get("task_id", item.get("named_by")) == task_id:
                return int(item.get("named_at", 0))
            with contextlib.suppress(ConditionFailed):
                several = Condition((unowned,))
                self.table.update(
                    UpdateItem(pk=pk, condition=several, values={"named_by": SEVERAL})
                )
            raise PoyoIdConflict(poyo_id) from failed
        return now

    def confirm_submission(
        self, write: TransitionWrite, poyo_id: str, *, named: bool = False
    ) -> WriteResult:
        """Write that `poyo_id`, which PoYo's answer to the submit named, is the task's, then make the
        transition. After a crash between the two both are repeated: the first is true whatever becomes
        of the second, because PoYo gave the id to this task.

        If only a callback `named` it, it must be named for no other task, and both or neither are
        written: a callback that lied must not leave the id taken. Raises PoyoIdConflict if it is
        another task's, TaskNotFound.
        """
        if named:
            return self._confirm_named(write, poyo_id)
        free = Condition(any_of=((absent("task_id"),), (equals("task_id", write.task_id),)))
        try:
            self.table.put(_poyo_id_owner(poyo_id, write.task_id, free))
        except ConditionFailed as failed:
            raise PoyoIdConflict(poyo_id) from failed
        return self.apply(write)

    def _confirm_named(self, write: TransitionWrite, poyo_id: str) -> WriteResult:
        named = (absent("task_id"), equals("named_by", write.task_id))
        free = Condition(any_of=(named, (equals("task_id", write.task_id),)))
        owner = _poyo_id_owner(poyo_id, write.task_id, free)
        try:
            self.table.transact_write([write.update, owner, *write.bookings])
        except ConditionFailed as failed:
            if failed.which == 1:
                raise PoyoIdConflict(poyo_id) from failed
            if not failed.item:
                raise TaskNotFound(write.task_id) from failed
            return _write_result(failed.item, write.write_token)
        return WriteResult(True, self.get(write.task_id))

    def find_due(self, shard: str, *, now: int, limit: int) -> Sequence[DueTask]:
        """Up to `limit` tasks of `shard` that are due at `now`, longest overdue first."""
        keys = self.table.query_due(shard, now=now, limit=limit)
        return [
            DueTask(_task_id(key["pk"]), int(key["due_at"]), int(key["due_since"])) for key in keys
        ]

    def claim(self, due: DueTask, *, until: int) -> bool:
        """Move `due_at` to `until` unless a concurrent write moved it; whether we moved it."""
        condition = Condition((equals("due_at", due.due_at),))
        values = {"due_at": until}
        try:
            self.table.update_blind(
                UpdateItem(pk=task_pk(due.task_id), condition=condition, values=values)
            )
        except ConditionFailed:
            return False
        return True


def _poyo_id_owner(poyo_id: str, task_id: str, condition: Condition) -> PutItem:
    return PutItem(item={"pk": poyo_pk(poyo_id), "task_id": task_id}, condition=condition)


def _task_id(pk: str) -> str:
    return pk.removeprefix("task#")


def _write_result(item: Mapping[str, Any], write_token: str) -> WriteResult:
    """The condition failed: a concurrent write won, unless the item carries our write token, in which
    case our own write succeeded and its response was lost."""
    return WriteResult(item.get("write_token") == write_token, from_item(item))
