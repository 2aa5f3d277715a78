"""A task's position in its owner's list."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListPosition:
    """The creation time (milliseconds) and id of a task in a list that is ordered by both."""

    created_at: int
    task_id: str
