"""The schedule: ring for every task that is due."""

from __future__ import annotations

from typing import Any

from imagetasks import telemetry
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import system_clock
from imagetasks.limits import Limits
from imagetasks.workflows.sweep import sweep

STOP_BEFORE_S = 10

repository = TaskRepository(Table.from_env())
queue = TaskQueue.from_env()
clock = system_clock(Limits.from_env())


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """EventBridge Scheduler, every minute; says how many bells were rung."""
    swept = sweep(
        repository=repository,
        queue=queue,
        clock=clock,
        time_left_s=lambda: context.get_remaining_time_in_millis() / 1000 - STOP_BEFORE_S,
    )
    telemetry.info("sweep_completed", enqueued=swept.enqueued, max_lag_ms=swept.max_lag_ms)
    telemetry.record_sweep_lag(swept.max_lag_ms)
    return {"enqueued": swept.enqueued, "max_lag_ms": swept.max_lag_ms}
