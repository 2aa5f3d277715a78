"""What may be said aloud: constant messages and listed facts. No prompt, key, URL or payload, ever."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

if TYPE_CHECKING:
    from imagetasks.tasks.task import Task

NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "imagetasks")  # the stack's name
SERVICE = "imagetasks"
OURS = Path(__file__).parent.parent  # the functions' own code, doors included

log = Logger(service=SERVICE)

Fact = str | int | float | None


def bind_task(task_id: str) -> None:
    """From here on every line names this task."""
    log.append_keys(task_id=task_id)


def bind_request(event: Mapping[str, Any]) -> None:
    """From here on every line names the request as the access log does, and as the gateway's header
    `apigw-requestid` tells its caller."""
    context = event.get("requestContext")
    log.append_keys(request_id=context.get("requestId") if isinstance(context, dict) else None)


def log_transition(transition: str, won: bool, task: Task) -> None:
    """One line a transition: what was tried, whether it won, and how the task stands now.

    Every task that ended is counted: `Finished`, or `FailedUnconfirmed` and so on by reason.
    """
    log.info(
        "transition",
        extra={
            "task_id": task.task_id,
            "transition": transition,
            "won": won,
            "state": task.state,
            "reason": task.reason,
            "attempt": task.attempt,
            "poyo_id": task.poyo_id,
            "age_ms": task.updated_at - task.created_at,
            "image_bytes": sum(kept.bytes for kept in task.files) or None,
        },
    )
    if won and transition in ("finish", "fail"):
        count_metric(f"failed_{task.reason}" if transition == "fail" else "finished")


def count_metric(name: str) -> None:
    """One more of `name`, a metric called like it in CamelCase."""
    put_metric(name, 1, MetricUnit.Count)


def put_metric(name: str, value: float, unit: MetricUnit) -> None:
    """How much of something there is right now, as a metric of this stack."""
    metric = "".join(word.capitalize() for word in name.split("_"))
    with single_metric(name=metric, unit=unit, value=value, namespace=NAMESPACE) as single:
        single.add_dimension(name="service", value=SERVICE)


FILE_KEPT_S = 24 * 60 * 60  # PoYo keeps a file at least this long


def record_sweep_lag(age_ms: int) -> None:
    """How late the sweep was for the task that waited longest."""
    put_metric("sweep_lag", age_ms / 1000, MetricUnit.Seconds)


def record_uncopied(age_ms: int) -> None:
    """How long a file that is not copied yet is still to be had; the alarm looks at the least."""
    put_metric("uncopied_image_time_left", max(0, FILE_KEPT_S - age_ms / 1000), MetricUnit.Seconds)


def info(message: str, **facts: Fact) -> None:
    """Something an operator may want to know later."""
    log.info(message, extra=facts)


def warning(message: str, **facts: Fact) -> None:
    """Something that heals itself, and should not happen often."""
    log.warning(message, extra=facts)


def alarm(message: str, **facts: Fact) -> None:
    """Something only an operator can mend: logged with its place in our code, counted for an alarm."""
    log.error(message, extra={"where": _where(), **facts})
    count_metric(message)


def _where() -> str | None:
    """Our own lines that the error now being handled came through; what it says may be a secret."""
    error = sys.exception()
    if error is None:
        return None
    steps = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    ours = [f"{Path(file).name}:{line}" for file, line in steps if Path(file).is_relative_to(OURS)]
    return " ".join(ours)
