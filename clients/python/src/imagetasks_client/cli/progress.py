"""One live line for each task on a terminal; a line for each change elsewhere."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from imagetasks_client.cli.output import hint, hints, printable
from imagetasks_client.task import Task

LABEL_CHARS = 32
WORDS = {"not_started": "waiting", "running": "drawing", "finished": "finished", "failed": "failed"}
COMPARED = ("quality", "resolution")


class Board:
    """The progress of several tasks on stderr; nothing if `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = hints.is_terminal and not quiet
        self._rows: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[usual]}"),
            console=hints,
            disable=not self._live,
        )

    def add(self, task: Task, usual_s: float | None) -> None:
        """Show a new task; `usual_s` is how long such a task usually takes."""
        prompt = label(task)
        if self._live:
            usual = f"of ~{usual_s:.0f} s" if usual_s else ""
            row = self._progress.add_task(escape(prompt), total=None, state="waiting", usual=usual)
            self._rows[task.task_id] = row
        elif not self._quiet:
            usual = f" (usually {usual_s:.0f} s)" if usual_s else ""
            hint(f"{task.task_id} ordered: {prompt}{usual}")

    def update(self, task: Task) -> None:
        """Show its state. The bar moves when PoYo has said a percentage, not before."""
        word = WORDS.get(task.status, task.status)
        percent = f" {task.progress:.0f} %" if task.progress and not task.ended else ""
        row = self._rows.get(task.task_id)
        if row is not None:
            known = task.progress is not None and not (task.ended and task.status == "failed")
            self._progress.update(
                row,
                total=100 if known or task.ended else None,
                completed=task.progress or 0,
                state=word + percent,
            )
            if task.ended:
                self._progress.stop_task(row)
        elif not self._quiet and self._said.get(task.task_id) != word:
            self._said[task.task_id] = word
            hint(f"{task.task_id} {word}{percent}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def label(task: Task) -> str:
    """The beginning of the prompt."""
    prompt = printable(str(task.input.get("prompt", ""))) or task.task_id
    return prompt if len(prompt) <= LABEL_CHARS else f"{prompt[: LABEL_CHARS - 1]}…"


def usual_seconds(task: Task, earlier: Iterable[Task]) -> float | None:
    """The median of earlier finished tasks of the same model, quality and resolution, in seconds; what the
    service calls typical if there is none."""
    durations = [
        (each.finished_at - each.created_at).total_seconds()
        for each in earlier
        if each.finished_at and each.status == "finished" and _alike(each, task)
    ]
    return statistics.median(durations) if durations else task.typical_seconds


def _alike(one: Task, other: Task) -> bool:
    same = all(one.input.get(name) == other.input.get(name) for name in COMPARED)
    return same and one.model == other.model
