"""`task get|wait|list|delete`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from imagetasks_client.cli import exits
from imagetasks_client.cli.following import Followed, follow
from imagetasks_client.cli.generate import AsJson, Out, Timeout
from imagetasks_client.cli.journal import entries
from imagetasks_client.cli.output import credits_text, hint, json_line, line, printable
from imagetasks_client.cli.progress import Board
from imagetasks_client.cli.session import interrupted, session
from imagetasks_client.task import Task

app = typer.Typer(help="Read, await, list and delete tasks.", no_args_is_help=True)
TaskIds = Annotated[list[str], typer.Argument(metavar="TASK_ID...", show_default=False)]


@app.command()
def get(task_id: str, as_json: AsJson = False) -> None:
    """Show a task as it is now."""
    with session() as service:
        task = service.client.get_handle(task_id).status()
    json_line(task.raw) if as_json else line(_details(task))


@app.command()
def wait(
    task_ids: TaskIds, out: Out = Path(), timeout: Timeout = None, as_json: AsJson = False
) -> None:
    """Wait for tasks and save their images.

    imagetasks task wait zmvewbppcq6k6gyfeszyubcnqv --out boats
    """
    with session() as service:
        orders = {each.task_id: each for each in entries(service.base_url, service.owner)}
        known = {each: order for each in task_ids if (order := orders.get(each))}
        followed = Followed(dict.fromkeys(task_ids, out), known)
        try:
            with Board(quiet=as_json) as board:
                follow(service.client, followed, board, timeout_s=timeout, as_json=as_json)
        except KeyboardInterrupt:
            interrupted([exits.waiting_again(followed.open_ids)])
    if followed.code:
        raise typer.Exit(followed.code)


@app.command("list")
def list_tasks(
    status: Annotated[
        str | None, typer.Option(help="not_started, running, finished, failed")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many")] = 20,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first.

    imagetasks task list --status failed --limit 5
    """
    with session() as service:
        for task in islice(service.client.tasks(status), limit):
            json_line(task.raw) if as_json else line(_row(task))


@app.command()
def delete(
    task_ids: TaskIds, yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False
) -> None:
    """Delete tasks and their images for good; what was charged stays charged."""
    if not yes:
        typer.confirm(
            f"Delete {len(task_ids)} task(s) and their images for good?", abort=True, err=True
        )
    with session() as service:
        for task_id in task_ids:
            service.client.delete(task_id)
            hint(f"{task_id} deleted")


def _row(task: Task) -> str:
    prompt = printable(str(task.input.get("prompt", "")))
    return f"{task.task_id}  {task.status:<11}  {task.created_at:%Y-%m-%d %H:%M}  {prompt[:60]}"


def _details(task: Task) -> str:
    charged = task.credits.charged
    cost = (
        f"charged {credits_text(charged, task.usd.charged or charged * 0)}"
        if charged is not None
        else f"estimated {credits_text(task.credits.estimated, task.usd.estimated)}"
    )
    lines = [_row(task), f"{task.model}, {cost}"]
    lines += [task.error.message] if task.error else []
    return "\n".join([*lines, *task.warnings, *(each.file_url for each in task.files)])
