"""The task message on an SQS queue: it names a task to reconcile, or whose caller is notified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_BATCH = 10  # messages that SQS takes with one request


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMessage:
    """Reconcile `task_id`. `poyo_id` is a candidate that PoYo must confirm; `source` is the sender:
    callback, sweep, retry, submit, delete, notify or operator. A message with `due_since` is about
    the task as it was scheduled then: it is stale once a transition has scheduled the task anew."""

    task_id: str
    source: str
    poyo_id: str | None = None
    due_since: int | None = None

    @classmethod
    def from_json(cls, body: str) -> TaskMessage:
        """The message of an SQS body. Raises ValueError, KeyError or TypeError for another body."""
        values: Mapping[str, Any] = json.loads(body)
        return cls(
            task_id=str(values["task_id"]),
            source=str(values["source"]),
            poyo_id=values.get("poyo_id"),
            due_since=values.get("due_since"),
        )
