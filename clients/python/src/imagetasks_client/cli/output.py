"""What a command writes: results to stdout, progress and hints to stderr."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from imagetasks_client.task import Task

NAME_CHARS = 40
hints = Console(stderr=True, highlight=False)
tables = Console(highlight=False)


def line(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def json_line(value: Any) -> None:
    """A JSON value on a line of its own."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # not UTF-8, or the name of a folder that is no text
        text = json.dumps(value, default=_plain)
    line(text)


def hint(text: str) -> None:
    """A line for the person at the terminal."""
    hints.print(escape(text), soft_wrap=True)


def credits_text(amount: Decimal, usd: Decimal) -> str:
    """Such as `2.16 credits ($0.0108)`."""
    return f"{amount.normalize():f} credits (${usd.normalize():f})"


def saved_task(task: Task, paths: list[Path]) -> dict[str, Any]:
    """The task as JSON, with the paths of its images."""
    return {**task.raw, "paths": [str(path) for path in paths]}


def file_name(task: Task) -> str:
    """A name for a task's images: the beginning of its prompt, and of its id, which makes it unique."""
    plain = unicodedata.normalize("NFKD", str(task.input.get("prompt", ""))).lower()
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    words = re.sub(r"[\W_]+", "-", letters).strip("-")
    short = words if len(words) <= NAME_CHARS else words[:NAME_CHARS].rsplit("-", 1)[0]
    return f"{short}-{task.task_id[:8]}".lstrip("-")


def printable(text: str) -> str:
    """The text on one line, without control characters that would drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
