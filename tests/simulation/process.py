"""A run of a function, and the ways it can end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Killed(BaseException):
    """The process is gone; nothing of it happens any more."""


class Broken(BaseException):
    """A promise does not hold: the message says which, and of what."""


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: with a value, with an error, or killed (neither)."""

    killed: bool = False
    value: Any = None
    error: Exception | None = None


class Process:
    """One run of one function: `actor` says whose, `verb` what it does."""

    def __init__(self, actor: str, verb: str, deadline: int, work: Callable[[], Any]) -> None:
        self.actor = actor
        self.verb = verb
        self.deadline = deadline
        self.effects: list[str] = []
        self.failures: set[str] = set()
        self.created: set[str] = set()  # tasks whose row it wrote
        self.claims: list[tuple[str, str]] = []  # tries at callers it won: task and status
        self.told: set[str] = set()  # tasks whose caller took what it posted
        self.survived = False
        self.run: Any = None
        self._work = work

    def main(self, ended: Callable[[End], None]) -> None:
        """Work to the end, whatever end it is."""
        try:
            end = End(value=self._work())
        except Killed:
            end = End(killed=True)
        except Exception as error:  # noqa: BLE001 - whoever started it judges
            end = End(error=error)
        self.survived = not end.killed
        ended(end)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story: when (ms since its beginning), who, what, and how it went."""

    at: int
    actor: str
    what: str
    outcome: str
