"""Why tasks fail: what the user is told, and whether late truth may still win."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagetasks.tasks.task import State, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReason:
    """Why a task failed: what the user is told, and whether late truth may still win."""

    sources: tuple[State, ...]
    message: str
    retryable: bool  # may the same order, under a new key, succeed?
    charged: bool | None = False  # did PoYo keep credits for it? None: nobody knows
    soft: bool = False


REASONS: Mapping[str, FailureReason] = {
    "rejected": FailureReason(
        sources=(State.SUBMITTING,),
        message="PoYo does not accept this order.",
        retryable=False,
    ),
    "moderated": FailureReason(
        sources=(State.SUBMITTING, State.RUNNING),
        message="The prompt or an image was refused by the content policy.",
        retryable=False,
    ),
    "insufficient_credits": FailureReason(
        sources=(State.SUBMITTING,),
        message="The account at PoYo has no credits left.",
        retryable=True,
    ),
    "unavailable": FailureReason(
        sources=(State.SUBMITTING, State.PENDING),
        message="PoYo could not take the order. Nothing was charged.",
        retryable=True,
    ),
    "unconfirmed": FailureReason(
        sources=(State.UNKNOWN,),
        message="PoYo's answer was lost and no sign of the task has come since.",
        retryable=True,
        charged=None,
        soft=True,
    ),
    "timed_out": FailureReason(
        sources=(State.RUNNING,),
        message="PoYo did not finish the task within a day.",
        retryable=True,
        charged=None,
        soft=True,
    ),
    "upstream": FailureReason(
        sources=(State.RUNNING,),
        message="PoYo could not make the image. Failed tasks are not charged.",
        retryable=True,
    ),
    "bad_result": FailureReason(
        sources=(State.RUNNING,),
        message="PoYo finished the task, but what it delivered is not an image.",
        retryable=True,
        charged=True,
    ),
    "result_expired": FailureReason(
        sources=(State.RUNNING,),
        message="PoYo finished the task, but its file was gone before it could be copied.",
        retryable=True,
        charged=True,
        soft=True,  # paid for: a file that comes back, or a host that is allowed later, is kept
    ),
}
RECOVERABLE = tuple(sorted(name for name, reason in REASONS.items() if reason.soft))


def is_recoverable(task: Task) -> bool:
    """Whether the task failed in a way that late truth may still mend."""
    return task.state == State.FAILED and task.reason in RECOVERABLE
