"""Why tasks fail: what callers read, whether PoYo charged, and whether the task may still finish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from imagetasks.tasks.task import State, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReason:
    """One reason: the states it may follow, and what it means for the caller.

    A reason with which PoYo may have charged or worked is recoverable: its later word counts.
    """

    from_states: tuple[State, ...]
    message: str
    retryable: bool  # may the same order succeed under a new key?
    charged: bool | None = False  # did PoYo keep credits for it? None: unknown
    recoverable: bool = False  # may the task still become finished?


REASONS: Mapping[str, FailureReason] = {
    "rejected": FailureReason(
        from_states=(State.SUBMITTING,),
        message="PoYo does not accept this order.",
        retryable=False,
    ),
    "moderated": FailureReason(
        from_states=(State.SUBMITTING, State.RUNNING),
        message="The prompt or an image was refused by the content policy.",
        retryable=False,
        recoverable=True,
    ),
    "insufficient_credits": FailureReason(
        from_states=(State.SUBMITTING,),
        message="The account at PoYo has no credits left.",
        retryable=True,
    ),
    "unavailable": FailureReason(
        from_states=(State.SUBMITTING, State.PENDING),
        message="PoYo could not take the order. Nothing was charged.",
        retryable=True,
    ),
    "unconfirmed": FailureReason(
        from_states=(State.UNKNOWN,),
        message="PoYo's answer was lost and no sign of the task has come since.",
        retryable=True,
        charged=None,
        recoverable=True,
    ),
    "timed_out": FailureReason(
        from_states=(State.RUNNING,),
        message="PoYo did not finish the task within a day.",
        retryable=True,
        charged=None,
        recoverable=True,
    ),
    "upstream": FailureReason(
        from_states=(State.RUNNING,),
        message="PoYo could not make the image.",
        retryable=True,
        recoverable=True,
    ),
    "bad_result": FailureReason(
        from_states=(State.RUNNING,),
        message="PoYo finished the task, but what it delivered is not an image.",
        retryable=True,
        charged=True,
        recoverable=True,
    ),
    "result_expired": FailureReason(
        from_states=(State.RUNNING,),
        message="PoYo finished the task, but its file was gone before it could be copied.",
        retryable=True,
        charged=True,
        recoverable=True,  # paid: keep a file that comes back or whose host is allowed later
    ),
}
UNKNOWN_CHARGE = tuple(name for name, reason in REASONS.items() if reason.charged is None)
RECOVERABLE = tuple(sorted(name for name, reason in REASONS.items() if reason.recoverable))


def charged_credits(task: Task) -> Decimal | None:
    """Credits that PoYo kept for the task: 0 for a failure that PoYo does not charge, None while they are
    unknown."""
    reason = REASONS.get(task.reason or "") if task.state == State.FAILED else None
    if task.charged_credits is None and reason and reason.charged is False:
        return Decimal(0)
    return task.charged_credits


def was_charged(task: Task) -> bool | None:
    """Whether PoYo kept credits for a failed task: by the amount that it named, else by the reason; None
    if it is unknown."""
    if task.charged_credits is not None:
        return task.charged_credits > 0
    reason = REASONS.get(task.reason or "")
    return reason.charged if reason else None


def is_recoverable(task: Task) -> bool:
    """Whether the task failed for a reason that PoYo may still disprove."""
    return task.state == State.FAILED and task.reason in RECOVERABLE
