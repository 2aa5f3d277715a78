"""What the person at the terminal sees: one line a step, its seconds, and why it failed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOG_LINES_SHOWN = 15


class StepFailed(Exception):
    """A step that ends the start; its text says what to do about it."""


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


@contextmanager
def step(title: str, say: Callable[[str], None] = say) -> Iterator[Callable[[str], None]]:
    """Say `title` and the seconds the block took, or that it failed; the error goes on.

    Gives a function that adds a remark to the line.
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
    """The error for a program that went wrong: the reason, its log's last lines, and the log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    shown = "\n".join(f"    {line}" for line in lines[-LOG_LINES_SHOWN:])
    return StepFailed(f"{reason}\n{shown}\n  the whole log: {log}")
