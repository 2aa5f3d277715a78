"""Terminal output: one line per step with its duration, and the reason if it failed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOG_LINES_SHOWN = 15


class StepFailed(Exception):
    """A step failed, so the start is aborted; the message states the reason and the next action."""


def say(text: str) -> None:
    """Print one line and flush it, also into a pipe."""
    print(text, flush=True)


@contextmanager
def step(title: str, say: Callable[[str], None] = say) -> Iterator[Callable[[str], None]]:
    """Print `title` and the seconds that the block took, or that it failed; re-raises the error.

    Yields a function that adds a remark to the line.
    """
    began = time.monotonic()
    remarks: list[str] = []
    try:
        yield remarks.append
    except BaseException:
        say(f"  {title:<52} failed after {time.monotonic() - began:.1f} s")
        raise
    remark = f"  ({', '.join(remarks)})" if remarks else ""
    say(f"  {title:<52} {time.monotonic() - began:5.1f} s{remark}")


def failed(reason: str, log: Path) -> StepFailed:
    """Return the error for a failed program: the reason, the last lines of its log, and its path."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    shown = "\n".join(f"    {line}" for line in lines[-LOG_LINES_SHOWN:])
    return StepFailed(f"{reason}\n{shown}\n  complete log: {log}")
