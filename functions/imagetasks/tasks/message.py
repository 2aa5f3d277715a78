"""What is said on the queue: *look at this task*, and nothing else that would be believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMessage:
    """Look at `task_id`; `poyo_id` is a hint to be confirmed, `by` says who rang."""

    task_id: str
    source: str  # callback, sweep, retry or submit
    poyo_id: str | None = None

    @classmethod
    def from_json(cls, body: str) -> TaskMessage:
        """The ring in a message's body. Raises ValueError, KeyError or TypeError on another body."""
        said: Mapping[str, Any] = json.loads(body)
        return cls(
            task_id=str(said["task_id"]), source=str(said["source"]), poyo_id=said.get("poyo_id")
        )
