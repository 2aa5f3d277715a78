"""Exit codes, after PoYo's own program, and the sentences of errors."""

from __future__ import annotations

from imagetasks_client.errors import (
    ApiError,
    ClientTimeoutError,
    ImageTasksError,
    TaskFailedError,
    ValidationError,
)
from imagetasks_client.task import Task

OK = 0
ERROR = 1
USAGE = 2
AUTH = 3
CREDITS = 4
FAILED = 5
TIMEOUT = 6
RATE_LIMITED = 7
INTERRUPTED = 130
KEPT = "orders without an answer are kept: `imagetasks generate --resume` sends them again and pays once"
BY_STATUS = {400: USAGE, 401: AUTH, 402: CREDITS, 403: AUTH, 429: RATE_LIMITED}


def code_of(error: Exception) -> int:
    """The exit code of an error."""
    match error:
        case TaskFailedError():
            return FAILED
        case ClientTimeoutError():
            return TIMEOUT
        case ApiError(code="rejected" | "moderated"):
            return FAILED
        case ValidationError() | ValueError():
            return USAGE
        case ApiError(status=status):
            return BY_STATUS.get(status, ERROR)
        case _:
            return ERROR


def sentence(error: Exception) -> str:
    """What happened, what it cost, and what to do next."""
    match error:
        case ValidationError():
            fields = [f"  {field}: {detail}" for field, detail in error.field_errors.items()]
            return "\n".join(["the request is not valid; nothing was ordered", *fields])
        case TaskFailedError(task=task):
            return f"{error}; {_cost(task)}"
        case ClientTimeoutError(task_id=None, idempotency_key=None):
            return "the time is over; what has not ended yet goes on"
        case ClientTimeoutError(task_id=None):
            return "the time is over without an answer"
        case ApiError(code="budget_exhausted"):
            again = f"; it is reset at {error.resets_at}" if error.resets_at else ""
            return f"the budget has {error.left} credits left, too few for this order{again}"
        case ApiError(status=401):
            return f"{error}\nrun `imagetasks auth login`, or set IMAGETASKS_KEY"
        case ApiError(retry="never"):
            return str(error)
        case ImageTasksError() if error.task_id:
            return f"{error}\n{waiting_again([error.task_id])}"
        case _:
            return str(error)


def _cost(task: Task) -> str:
    charged = task.error.charged if task.error else None
    if charged is None:
        return "whether PoYo charged it is not known yet"
    again = "; the same order may succeed" if task.error and task.error.retry == "new_key" else ""
    return ("it was charged" if charged else "it was not charged") + again


def is_final(error: Exception, *, sent_before: bool) -> bool:
    """Whether an order that ended so has no image under its key, so that it is not kept for `--resume`.
    An order that was `sent_before` may have been accepted then, whatever a wrong key is answered now."""
    if not isinstance(error, ApiError):
        return False
    if sent_before:
        return not error.precedes_key
    return error.charged is False


def waiting_again(task_ids: list[str]) -> str:
    """How to go on waiting."""
    return f"wait for it: imagetasks task wait {' '.join(task_ids)}"
