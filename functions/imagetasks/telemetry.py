"""Logging and metrics. Messages are constants and fields an allow-list: never prompts, keys, URLs
or payloads."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "imagetasks")  # the stack's name
SERVICE = "imagetasks"
OWN_CODE = Path(__file__).parent.parent  # the functions' code, handlers included
FILE_LIFETIME_S = 24 * 60 * 60  # PoYo keeps a file at least this long

log = Logger(service=SERVICE, location=None)  # of the caller, which is always this module

Value = str | int | float | bool | None


def bind_task(task_id: str) -> None:
    """Add the task's id to every following log line."""
    log.append_keys(task_id=task_id)


def bind_request(event: Mapping[str, Any]) -> None:
    """Add API Gateway's request id to every following log line: the access log and the response
    header `apigw-requestid` have the same."""
    context = event.get("requestContext")
    log.append_keys(request_id=context.get("requestId") if isinstance(context, dict) else None)


def info(message: str, **fields: Value) -> None:
    """Log a normal event."""
    log.info(message, extra=fields)


def warning(message: str, **fields: Value) -> None:
    """Log an event that recovers by itself and should be rare."""
    log.warning(message, extra=fields)


def alarm(message: str, **fields: Value) -> None:
    """Log an event that only an operator can resolve, with its place in our code, and count it in
    the metric that raises the alarm."""
    log.error(message, extra={"where": _where(), **fields})
    count_metric(message)


def described(error: Exception) -> dict[str, Value]:
    """The fields of an error: its type, and the code that another service gave. Its text may contain a
    secret."""
    return {"error": type(error).__name__, "code": getattr(error, "code", None)}


def count_metric(name: str) -> None:
    """Add 1 to the metric `name`, written in CamelCase."""
    put_metric(name, 1, MetricUnit.Count)


def put_metric(name: str, value: float, unit: MetricUnit) -> None:
    """Record `value` in the metric `name`, written in CamelCase, in the stack's namespace."""
    metric = "".join(word.capitalize() for word in name.split("_"))
    with single_metric(name=metric, unit=unit, value=value, namespace=NAMESPACE) as single:
        single.add_dimension(name="service", value=SERVICE)


def record_sweep_lag(lag_ms: int) -> None:
    """Record how late the sweep was for the task that had been due longest."""
    put_metric("sweep_lag", lag_ms / 1000, MetricUnit.Seconds)


def record_uncopied(age_ms: int) -> None:
    """Record how long PoYo still keeps a file that is not copied yet; the alarm reads the minimum."""
    left_s = max(0, FILE_LIFETIME_S - age_ms / 1000)
    put_metric("uncopied_image_time_left", left_s, MetricUnit.Seconds)


def _where() -> str | None:
    """File names and lines of our code in the traceback of the error being handled. The error's text
    is left out because it may contain a secret."""
    error = sys.exception()
    if error is None:
        return None
    frames = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [f"{Path(f).name}:{n}" for f, n in frames if Path(f).is_relative_to(OWN_CODE)]
    return " ".join(own)
