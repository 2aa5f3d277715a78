"""The life of a task as one table. The check in Python, the DynamoDB condition and the diagram in the
README derive from it; `transition_writes` turns each row into a conditional write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagetasks.tasks.conditional_write import AttributeTest, equals, one_of
from imagetasks.tasks.failure_reasons import RECOVERABLE
from imagetasks.tasks.task import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One transition: what it does, from which states, to which state, which public history event it
    adds, and which attributes must still be as they were read: all that the caller decided from, and
    all that decides which credits are booked (`bookings.MONEY`) if the transition changes one of them.

    `deleted_at` must be unchanged for every transition. `from_recoverable` adds `failed` with a
    recoverable reason to the states it may leave.
    """

    meaning: str
    from_states: tuple[State, ...] = ()
    target: State | None = None
    event: str | None = None
    unchanged: tuple[str, ...] = ()
    from_recoverable: bool = False


TRANSITIONS: Mapping[str, Transition] = {
    "confirm_submission": Transition(
        meaning="PoYo's id is known and belongs to no other task",
        # `pending` too: a callback may show that a submit did happen which PoYo had refused.
        from_states=(State.SUBMITTING, State.PENDING, State.UNKNOWN),
        target=State.RUNNING,
        event="submitted",
        unchanged=("state", "reason", "charged_credits"),
        from_recoverable=True,
    ),
    "defer": Transition(
        meaning="PoYo provably created nothing: submit again later",
        from_states=(State.SUBMITTING,),
        target=State.PENDING,
        event="waiting",
        unchanged=("state", "attempt", "candidate_poyo_ids", "callback_at"),
    ),
    "mark_unknown": Transition(
        meaning="PoYo may have created and charged the task: never submit it again",
        # `pending` too: a callback contradicts the refusal, so the task is not submitted again.
        from_states=(State.SUBMITTING, State.PENDING),
        target=State.UNKNOWN,
        event="unclear",
        unchanged=("state", "attempt", "candidate_poyo_ids", "callback_at"),
    ),
    "retry": Transition(
        meaning="the next submit attempt begins; the only way to a second POST",
        from_states=(State.PENDING,),
        target=State.SUBMITTING,
        event="retried",
        unchanged=("attempt", "not_before", "poyo_id", "candidate_poyo_ids", "callback_at"),
    ),
    "finish": Transition(
        meaning="every image is in our bucket",
        from_states=(State.RUNNING,),
        target=State.FINISHED,
        event="finished",
        unchanged=("state", "reason", "charged_credits", "poyo_id"),
        from_recoverable=True,
    ),
    "fail": Transition(
        meaning="the task ends without an image, for a reason that may be recoverable",
        from_states=(State.SUBMITTING, State.PENDING, State.UNKNOWN, State.RUNNING),
        target=State.FAILED,
        event="failed",
        unchanged=(
            "state",
            "attempt",
            "poyo_id",
            "candidate_poyo_ids",
            "callback_at",
            "result_seen_at",
            "failure_seen_at",
            "charged_credits",
        ),
    ),
    "reschedule": Transition(
        meaning="the task is reconciled at another time",
        unchanged=(
            "state",
            "due_at",
            "poyo_id",
            "candidate_poyo_ids",
            "callback_at",
            "notification_attempts",
            "reason",
            "charged_credits",
        ),
    ),
    "reopen": Transition(
        meaning="PoYo has finished a failed task after all, and its image is still to be copied",
        target=State.RUNNING,
        event="revived",
        unchanged=("state", "poyo_id", "reason", "charged_credits"),
        from_recoverable=True,
    ),
    "settle": Transition(
        meaning="the operator says what PoYo kept for a task of which nobody else will say it",
        from_states=(State.FAILED,),
        unchanged=("state", "reason", "charged_credits"),
    ),
    "delete": Transition(
        meaning="the order and its images are removed; money and idempotency stay",
        event="deleted",
    ),
}


def leaves(transition: Transition) -> tuple[tuple[AttributeTest, ...], ...]:
    """The alternatives of which one must hold: one of the states, or a recoverable failure."""
    states = ((one_of("state", transition.from_states),),) if transition.from_states else ()
    if not transition.from_recoverable:
        return states
    return (*states, (equals("state", str(State.FAILED)), one_of("reason", RECOVERABLE)))
