"""The metrics of credits: what orders reserve, what PoYo charges, and what is released again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from imagetasks import telemetry

if TYPE_CHECKING:
    from decimal import Decimal

    from imagetasks.aws.task_repository import WriteResult
    from imagetasks.tasks.bookings import Booking
    from imagetasks.tasks.transition_write import TransitionWrite


def record_booked(booked: Booking) -> None:
    """Count a change of a task's credits. What is still reserved is at any time the sum of CreditsReserved
    less those of CreditsCharged and CreditsReleased; a charge that is taken back is negative."""
    if booked.committed > 0:
        telemetry.put_metric("credits_reserved", float(booked.committed), MetricUnit.Count)
    if booked.charged:
        telemetry.put_metric("credits_charged", float(booked.charged), MetricUnit.Count)
    if booked.committed < 0:
        telemetry.put_metric("credits_released", -float(booked.committed), MetricUnit.Count)


def record_transition(write: TransitionWrite, result: WriteResult) -> None:
    """Count what an applied transition has changed of its task's credits, and raise the alarm of a charge
    that differs from the estimate: once for each task and amount."""
    if not result.applied:
        return
    record_booked(write.booked)
    charged, estimated = write.unexpected_charge, result.task.estimated_credits
    if charged is not None:
        telemetry.alarm(
            "charge_differs",
            task_id=result.task.task_id,
            charged=float(charged),
            estimated=float(estimated),
        )
        telemetry.put_metric("charge_difference", float(abs(charged - estimated)), MetricUnit.Count)


def record_stack_left(left: Decimal) -> None:
    """Record the credits that the stack's ceiling leaves for the day after an order that is accepted."""
    telemetry.put_metric("stack_credits_left", float(left), MetricUnit.Count)
