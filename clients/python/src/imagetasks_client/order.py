"""An order, and how its task is followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from imagetasks_client.effects import Effect
from imagetasks_client.task import Task


@dataclass(frozen=True, slots=True)
class Order:
    """What POST /v1/tasks and POST /v1/quotes take. A Path in `input` stands for a file to upload."""

    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str] | None = None
    max_credits: float | Decimal | None = None
    callback_url: str | None = None

    def body(self, uploaded: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON body, with `uploaded` as its input; what is None is left out."""
        fields = {
            "model": self.model,
            "input": uploaded,
            "metadata": self.metadata,
            "max_credits": None if self.max_credits is None else float(self.max_credits),
            "callback_url": self.callback_url,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Waiting:
    """How to follow a task. `until` is an instant of the patience's clock, None for no end; `changed`
    makes the effect of each new state."""

    until: float | None
    long_poll: bool
    changed: Callable[[Task], Effect]
