"""The schedule: ring for every task that is due."""

from __future__ import annotations

from typing import Any

from imagetasks import telemetry
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import Doorbell
from imagetasks.aws.task_repository import Store
from imagetasks.clock import production
from imagetasks.limits import Limits
from imagetasks.workflows.sweep import sweep

STOP_BEFORE_S = 10

store = Store(Table.from_env())
doorbell = Doorbell.from_env()
pace = production(Limits.from_env())


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """EventBridge Scheduler, every minute; says how many bells were rung."""
    swept = sweep(
        store=store,
        doorbell=doorbell,
        pace=pace,
        time_left_s=lambda: context.get_remaining_time_in_millis() / 1000 - STOP_BEFORE_S,
    )
    telemetry.note("swept", rung=swept.rung, oldest_ms=swept.oldest_ms)
    telemetry.overdue(swept.oldest_ms)
    return {"rung": swept.rung, "oldest_ms": swept.oldest_ms}
