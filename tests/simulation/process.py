"""One invocation of a function, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Killed(BaseException):
    """The process was killed: none of its remaining code runs."""


class InvariantViolated(BaseException):
    """An invariant does not hold; the message names it and what violates it."""


def require(holds: bool, invariant: str, subject: object) -> None:
    """Raises InvariantViolated unless the invariant holds of the subject."""
    if not holds:
        raise InvariantViolated(f"{invariant}: {subject}")


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a process ended: with a value, with an error, or killed (neither of the two)."""

    killed: bool = False
    value: Any = None
    error: Exception | None = None


class Process:
    """One invocation of one function: `actor` names the sandbox, `operation` what it does."""

    def __init__(self, actor: str, operation: str, deadline: int, work: Callable[[], Any]) -> None:
        self.actor = actor
        self.operation = operation
        self.deadline = deadline
        self.effects: list[str] = []
        self.failures: set[str] = set()
        self.created: set[str] = set()  # ids of the tasks whose item this process wrote first
        self.claimed: set[str] = (
            set()
        )  # ids of the tasks whose submit it began and has not sent yet
        self.notification_claims: list[tuple[str, str]] = []  # attempts claimed: task id, status
        self.notified: set[str] = set()  # ids of the tasks whose receiver accepted its notification
        self.rules: dict[str, Any] = {}  # the pause and the budgets as it read them
        self.begun_at = 0
        self.clock_skew_ms = 0
        self.token_id: str | None = None  # of the browser token that it was called with
        self.completed = False
        self.run: Any = None
        self._work = work

    def main(self, on_end: Callable[[ProcessResult], None]) -> None:
        """Run the work and report how it ended."""
        try:
            result = ProcessResult(value=self._work())
        except Killed:
            result = ProcessResult(killed=True)
        except Exception as error:  # noqa: BLE001 - the code that started the process judges it
            result = ProcessResult(error=error)
        self.completed = not result.killed
        on_end(result)


OnEnd = Callable[[Process, ProcessResult], None]
"""Called once when a process has ended."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One line of the trace: when (ms since the start), which actor, what, and with what outcome."""

    at: int
    actor: str
    what: str
    outcome: str
