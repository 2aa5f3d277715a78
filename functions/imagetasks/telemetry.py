"""What may be said aloud: constant messages and listed facts. No prompt, key, URL or payload, ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from imagetasks.task import Task

log = Logger(service="imagetasks")

Fact = str | int | float | None


def about(task_id: str) -> None:
    """From here on every line names this task."""
    log.append_keys(task_id=task_id)


def moved(transition: str, won: bool, task: Task) -> None:
    """One line a transition: what was tried, whether it won, and how the task stands now."""
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


def note(message: str, **facts: Fact) -> None:
    """Something an operator may want to know later."""
    log.info(message, extra=facts)


def warn(message: str, **facts: Fact) -> None:
    """Something that heals itself, and should not happen often."""
    log.warning(message, extra=facts)


def page(message: str, **facts: Fact) -> None:
    """Something only an operator can mend: an alarm listens to these lines."""
    log.error(message, extra=facts)
