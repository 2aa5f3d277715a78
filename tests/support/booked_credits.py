"""What the items of spending must say, computed from the items of the tasks and nothing else.

It is written independently of `imagetasks.tasks.bookings`, so that a defect there is not repeated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Item = Mapping[str, Any]
BOOKED = ("spend#", "usage#", "token#")
UNRESOLVED = "/unresolved"
FAR_S = 5 * 365 * 24 * 60 * 60  # further ahead than any token's own removal
UNKNOWN = ("unconfirmed", "timed_out")
PAID = ("bad_result", "result_expired")
NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Credits:
    """What tasks reserve and were charged, and how many of them have something reserved."""

    tasks: int = 0
    estimated: Decimal = NONE
    reserved: Decimal = NONE
    charged: Decimal = NONE
    reserving: int = 0

    def __add__(self, other: Credits) -> Credits:
        return Credits(
            self.tasks + other.tasks,
            self.estimated + other.estimated,
            self.reserved + other.reserved,
            self.charged + other.charged,
            self.reserving + other.reserving,
        )


def credits_of(task: Item) -> Credits:
    """What the item of one task stands for."""
    estimated, named = task["estimated_credits"], task.get("charged_credits")
    reserved, charged = estimated, NONE
    if task["state"] == "finished":
        reserved, charged = NONE, estimated if named is None else named
    elif task["state"] == "failed" and named is not None:
        reserved, charged = NONE, named
    elif task["state"] == "failed" and task["reason"] not in UNKNOWN:
        reserved, charged = NONE, estimated if task["reason"] in PAID else NONE
    return Credits(1, estimated, reserved, charged, int(reserved > 0))


def is_unresolved(task: Item) -> bool:
    """Whether the task has ended and still reserves credits."""
    return task["state"] == "failed" and credits_of(task).reserved > 0


def spend_pks(task: Item) -> list[str]:
    """The items that a task is booked in; its item says `usage` for that of its owner, model and day."""
    day = datetime.fromtimestamp(int(task["created_at"]) / 1000, UTC).date()
    usage = f"usage#{day}#{task['model']}#{task['owner']}"
    return [usage if pk == "usage" else str(pk) for pk in task.get("spend_pks", ())]


def expected_sums(tasks: Iterable[Item]) -> dict[str, Credits]:
    """The sums of every item that the tasks are booked in, by its pk."""
    sums: dict[str, Credits] = {}
    for task in tasks:
        own = credits_of(task)
        pks = spend_pks(task)
        assert len(set(pks)) == len(pks), pks
        for pk in pks:
            sums[pk] = sums.get(pk, Credits()) + own
    return sums


def false_items(items: Mapping[str, Item]) -> list[str]:
    """What is wrong with the items of spending in a table, in words; [] if the sums of each are the sums of
    its tasks."""
    tasks = [item for pk, item in items.items() if pk.startswith("task#")]
    expected = expected_sums(tasks)
    wrong = [f"{pk} is missing" for pk in expected if pk not in items]
    for pk, item in items.items():
        if pk.startswith(BOOKED):
            wrong += _differences(pk, item, expected.get(pk, Credits()))
    listed = {str(item["pk"]) for item in items.values() if item.get("owner_key") == UNRESOLVED}
    unresolved = {f"unresolved#{task['task_id']}" for task in tasks if is_unresolved(task)}
    return wrong + [f"listed as unresolved: {each}" for each in listed ^ unresolved]


def _differences(pk: str, item: Item, expected: Credits) -> Iterable[str]:
    sums: dict[str, Any] = {
        "tasks": expected.tasks,
        "estimated": expected.estimated,
        "reserved": expected.reserved,
        "charged": expected.charged,
        "committed": expected.reserved + expected.charged,
    }
    for name, value in sums.items():
        if item.get(name, 0) != value:
            yield f"{pk} has {name} {item.get(name, 0)} instead of {value}"
    if pk.startswith("token#"):
        far = item["removed_at"] * 1000 - item["ends_at"] > FAR_S * 1000
        if far != (expected.reserving > 0):
            yield f"{pk} with {expected.reserving} reserving tasks is removed at {item['removed_at']}"
