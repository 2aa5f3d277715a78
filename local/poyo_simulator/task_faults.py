"""Faults of tasks, applied when a task is accepted."""

# ruff: noqa: ARG001  # all effects in a table have the same signature

import json
import math
from collections.abc import Callable
from decimal import Decimal

from local.poyo_simulator.fault_rules import InjectedFault
from local.poyo_simulator.tasks import Task, TaskStore

MODERATED = {
    "error": {
        "code": "moderation_blocked",
        "message": "您的请求被安全系统拒绝",
        "type": "image_generation_user_error",
    }
}


def _slow_not_started(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.begins += fault.number("seconds")
    task.ends += fault.number("seconds")


def _stuck_running(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.ends += fault.number("seconds") or math.inf


def _fail_server_exception(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.fails_with = fault.text("message")


def _fail_moderation(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.fails_with = json.dumps(MODERATED, ensure_ascii=False)


def _credits_drift(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    drifted = task.credits * Decimal(str(fault.number("factor")))
    task.credits = drifted.quantize(Decimal("0.01"))


def _same_id_twice(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    if store.tasks:
        task.id = store.tasks[-1].id


def _file_new_host(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.origin = fault.text("origin") or task.origin.replace("127.0.0.1", "localhost")


def _file_relative(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.origin = ""


def _file_raw_url(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.file_query = f"?{fault.text('query')}"


def _callback_says_finished_early(task: Task, fault: InjectedFault, store: TaskStore) -> None:
    task.callback_early_s = fault.number("seconds")


TASK_FAULTS: dict[str, Callable[[Task, InjectedFault, TaskStore], None]] = {
    "slow-not-started": _slow_not_started,
    "stuck-running": _stuck_running,
    "fail-server-exception": _fail_server_exception,
    "fail-moderation": _fail_moderation,
    "credits-drift": _credits_drift,
    "same-id-twice": _same_id_twice,
    "file-new-host": _file_new_host,
    "file-relative": _file_relative,
    "file-raw-url": _file_raw_url,
    "callback-says-finished-early": _callback_says_finished_early,
}
