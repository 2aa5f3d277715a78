"""What can be wrong with a task from its birth on."""

# ruff: noqa: ARG001  # the effects of one table are all called alike

import json
import math
from collections.abc import Callable
from decimal import Decimal

from local.poyo_simulator.fault_rules import Use
from local.poyo_simulator.tasks import Book, Task

MODERATED = {
    "error": {
        "code": "moderation_blocked",
        "message": "您的请求被安全系统拒绝",
        "type": "image_generation_user_error",
    }
}


def _slow_not_started(task: Task, use: Use, book: Book) -> None:
    task.begins += use.number("seconds")
    task.ends += use.number("seconds")


def _stuck_running(task: Task, use: Use, book: Book) -> None:
    task.ends += use.number("seconds") or math.inf


def _fail_server_exception(task: Task, use: Use, book: Book) -> None:
    task.fails_with = use.text("message")


def _fail_moderation(task: Task, use: Use, book: Book) -> None:
    task.fails_with = json.dumps(MODERATED, ensure_ascii=False)


def _credits_drift(task: Task, use: Use, book: Book) -> None:
    drifted = task.credits * Decimal(str(use.number("factor")))
    task.credits = drifted.quantize(Decimal("0.01"))


def _same_id_twice(task: Task, use: Use, book: Book) -> None:
    if book.tasks:
        task.id = book.tasks[-1].id


def _file_new_host(task: Task, use: Use, book: Book) -> None:
    task.origin = use.text("origin") or task.origin.replace("127.0.0.1", "localhost")


def _callback_says_finished_early(task: Task, use: Use, book: Book) -> None:
    task.rings_early_s = use.number("seconds")


TASK_FAULTS: dict[str, Callable[[Task, Use, Book], None]] = {
    "slow-not-started": _slow_not_started,
    "stuck-running": _stuck_running,
    "fail-server-exception": _fail_server_exception,
    "fail-moderation": _fail_moderation,
    "credits-drift": _credits_drift,
    "same-id-twice": _same_id_twice,
    "file-new-host": _file_new_host,
    "callback-says-finished-early": _callback_says_finished_early,
}
