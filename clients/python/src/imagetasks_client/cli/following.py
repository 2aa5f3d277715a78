"""Orders from the command line: on disk before they are sent, followed together, saved when they are finished."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from imagetasks_client.cli import exits
from imagetasks_client.cli.journal import Entry
from imagetasks_client.cli.output import file_name, hint, json_line, line, saved_task
from imagetasks_client.cli.progress import Board, usual_seconds
from imagetasks_client.cli.terminal_image import show
from imagetasks_client.client import Client
from imagetasks_client.errors import ImageTasksError, TaskFailedError
from imagetasks_client.task import Task

AT_ONCE = 8  # orders that are sent at the same time
COMPARED_TASKS = 50  # earlier tasks whose durations are compared


@dataclass(slots=True)
class Followed:
    """Tasks to wait for: by id, with the folder for their images and the order in the journal, if it is one."""

    folders: dict[str, Path] = field(default_factory=dict)
    orders: dict[str, Entry] = field(default_factory=dict)
    code: int = exits.OK

    def failed(self, error: Exception) -> None:
        """Say what is wrong with one of them. The first error decides the exit code."""
        hint(exits.sentence(error))
        self.code = self.code or exits.code_of(error)

    @property
    def open_ids(self) -> list[str]:
        """The tasks that have not ended, as far as is known."""
        return list(self.folders)


def order_all(
    client: Client,
    orders: Sequence[Entry],
    followed: Followed,
    board: Board,
    *,
    sent_before: bool,
    until: float | None,
) -> None:
    """Send the orders, which are in the journal, each under its key, until an instant of the monotonic
    clock. One that was refused leaves the journal; one whose answer is unknown stays in it."""
    kept = False
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        all_sent = [(each, pool.submit(_order, client, each, until)) for each in orders]
        earlier: list[Task] | None = None
        for order, sent in all_sent:
            try:
                task = sent.result()
            except (ImageTasksError, ValueError) as error:
                followed.failed(error)
                if exits.is_final(error, sent_before=sent_before):
                    order.remove()
                else:
                    kept = True
                continue
            followed.orders[task.task_id] = order
            with contextlib.suppress(
                OSError
            ):  # without its id `--resume` finds the task by the key
                followed.orders[task.task_id] = order.accepted(task.task_id)
            followed.folders[task.task_id] = Path(order.out)
            earlier = _earlier(client) if earlier is None else earlier
            board.add(task, usual_seconds(task, earlier))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if kept:
        hint(exits.KEPT)


def follow(
    client: Client, followed: Followed, board: Board, *, timeout_s: float | None, as_json: bool
) -> None:
    """Wait for all of them with one connection; save and print each when it ends."""
    try:
        for task in client.watch(followed.open_ids, timeout_s):
            board.update(task)
            if task.ended:
                _end(client, task, followed, as_json=as_json)
    except ImageTasksError as error:
        hint(f"{exits.sentence(error)}\n{exits.waiting_again(followed.open_ids)}")
        followed.code = followed.code or exits.code_of(error)
        return
    except OSError:  # stdout is closed, or full
        if followed.open_ids:
            hint(f"not all is written\n{exits.waiting_again(followed.open_ids)}")
        raise
    for task_id in followed.open_ids:
        followed.failed(ImageTasksError(f"{task_id}: no such task"))


def _end(client: Client, task: Task, followed: Followed, *, as_json: bool) -> None:
    folder = followed.folders.pop(task.task_id)
    order = followed.orders.pop(task.task_id, None)
    try:
        paths = client.save(task, folder, file_name(task))
    except (
        ImageTasksError,
        OSError,
    ) as error:  # the journal keeps the order: it can be saved again
        followed.failed(error)
        elsewhere = " --out DIR" if isinstance(error, OSError) else ""
        hint(exits.waiting_again([task.task_id]) + elsewhere)
        return
    if order:
        order.remove()
    if task.status == "failed":
        followed.failed(TaskFailedError(task))
    if as_json:
        json_line(saved_task(task, paths))
    for path in () if as_json else paths:
        line(str(_from_here(path)))
        show(path)


def _from_here(path: Path) -> Path:
    """The path from the folder that the program runs in, if it is below that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def left_s(until: float | None) -> float | None:
    """The seconds until an instant of the monotonic clock; None for never."""
    return None if until is None else max(0.0, until - time.monotonic())


def _order(client: Client, order: Entry, until: float | None) -> Task:
    handle = client.submit(
        order.model,
        order.input,
        idempotency_key=order.key,
        client_timeout_s=left_s(until),
        max_credits=order.max_credits,
    )
    return handle.accepted or handle.status()


def _earlier(client: Client) -> list[Task]:
    """Recent finished tasks, for the usual duration; none if they cannot be read."""
    try:
        recent: Iterable[Task] = islice(client.tasks("finished"), COMPARED_TASKS)
        return list(recent)
    except ImageTasksError:
        return []
