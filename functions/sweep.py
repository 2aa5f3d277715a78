"""The schedule: every minute, enqueue a task message for each task that is due."""

from __future__ import annotations

from typing import Any

from imagetasks import telemetry
from imagetasks.aws.client import shared_client
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import system_clock
from imagetasks.limits import Limits
from imagetasks.workflows.sweep import sweep

SHUTDOWN_MARGIN_S = 15  # for a claim and its message, or for a query of the index

repository = TaskRepository(Table.from_env())
queue = TaskQueue.from_env(shared_client("sqs"))
clock = system_clock(Limits.from_env())


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """EventBridge Scheduler, every minute; returns how many tasks were enqueued."""
    result = sweep(
        repository=repository,
        queue=queue,
        clock=clock,
        time_left_s=lambda: context.get_remaining_time_in_millis() / 1000 - SHUTDOWN_MARGIN_S,
    )
    telemetry.info("sweep_completed", enqueued=result.enqueued, max_lag_ms=result.max_lag_ms)
    telemetry.record_sweep_lag(result.max_lag_ms)
    return {"enqueued": result.enqueued, "max_lag_ms": result.max_lag_ms}
