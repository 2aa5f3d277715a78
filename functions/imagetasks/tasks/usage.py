"""Usage: the credits of an owner's tasks of one model that were ordered on one day in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetasks.tasks.caller import Caller
    from imagetasks.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """What an item of usage counts: `day` is YYYY-MM-DD."""

    day: str
    model: str
    owner: str

    @property
    def pk(self) -> str:
        """Partition key of the item."""
        return f"usage#{self.day}#{self.model}#{self.owner}"

    @property
    def created_at(self) -> int:
        """When the day began, by which the item is listed."""
        return day_start(self.day)


def usage_key(pk: str) -> UsageKey:
    """The key of an item. Neither a model nor an owner contains a `#`."""
    _, day, model, owner = pk.split("#")
    return UsageKey(day=day, model=model, owner=owner)


def usage_pk(task: Task) -> str:
    """The item that counts the owner's tasks of this model on the day of the order."""
    return UsageKey(day=day_of(task.created_at), model=task.model, owner=task.owner).pk


def sees_every_owner(caller: Caller) -> bool:
    """Whether the caller may see the usage of all owners of its key: a server key that acts for none of
    its users. A browser token never does."""
    return caller.token is None and caller.owner == caller.key


def usage_list(name: str) -> str:
    """Partition of the usage of an owner or of a server key. No owner's name begins with a slash."""
    return f"/usage/{name}"


def day_of(instant: int) -> str:
    """The day in UTC of an instant in milliseconds, as YYYY-MM-DD."""
    return datetime.fromtimestamp(instant / 1000, UTC).date().isoformat()


def day_start(day: str) -> int:
    """When a day began in UTC, in milliseconds. Raises ValueError if there is no such day."""
    return int(datetime.fromisoformat(f"{day}T00:00:00Z").timestamp()) * 1000
