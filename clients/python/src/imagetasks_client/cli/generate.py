"""`generate` and `edit`: order images and save them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from imagetasks_client.cli import exits
from imagetasks_client.cli.following import Followed, follow, left_s, order_all
from imagetasks_client.cli.journal import Entry, entries, write_all
from imagetasks_client.cli.output import hint, json_line, line
from imagetasks_client.cli.progress import Board
from imagetasks_client.cli.references import reference
from imagetasks_client.cli.session import Session, interrupted, session
from imagetasks_client.operations import new_key

NOT_STORED = (
    "nothing was ordered, because an order is stored before it is sent: "
    "make room, or set XDG_STATE_HOME to a folder that can be written"
)
OTHER_KEY = (
    "orders that were made with another key are not sent with this one: use that key again; "
    "`imagetasks task list` has what was accepted"
)
MODEL, EDIT_MODEL = "gpt-image-2", "gpt-image-2-edit"

Prompt = Annotated[str | None, typer.Argument(help="what to draw; - reads it from stdin")]
Prompts = Annotated[
    Path | None,
    typer.Option(
        "--prompts", help="a file with one prompt on each line, ordered together", exists=True
    ),
]
Model = Annotated[str, typer.Option(help="see `imagetasks models`")]
Size = Annotated[str | None, typer.Option(help="a ratio such as 3:2, or WIDTHxHEIGHT")]
Quality = Annotated[str | None, typer.Option(help="such as low, medium, high")]
Resolution = Annotated[str | None, typer.Option(help="such as 1K, 2K, 4K")]
Refs = Annotated[
    list[str] | None,
    typer.Option(
        "--ref", help="FILE, https:// address, or TASK_ID of an image you made; repeatable"
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="any other field of the model; VALUE may be JSON"
    ),
]
Out = Annotated[Path, typer.Option(help="folder for the images")]
MaxCredits = Annotated[float | None, typer.Option(help="refuse an order that would cost more")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="print the task ids and leave")]
Timeout = Annotated[float | None, typer.Option(help="seconds to wait; the tasks go on", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object for each task on stdout")]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="go on with orders that were interrupted; pays nothing twice"),
]


def generate(
    prompt: Prompt = None,
    prompts: Prompts = None,
    model: Model = MODEL,
    size: Size = None,
    quality: Quality = None,
    resolution: Resolution = None,
    ref: Refs = None,
    fields: Fields = None,
    out: Out = Path(),
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
    resume: Resume = False,
) -> None:
    """Order images and save them.

    imagetasks generate "A paper boat on a calm lake" --size 3:2 --out boats

    imagetasks generate --prompts prompts.txt --max-credits 5 --json

    imagetasks generate "The same boat, in snow" --model gpt-image-2-edit --ref boat.png
    """
    if [prompt is None, prompts is None, not resume].count(False) != 1:
        raise typer.BadParameter("give one of PROMPT, --prompts FILE and --resume")
    with session() as service:
        if resume:
            orders = _interrupted(service)
        else:
            texts = _prompts(prompt, prompts)
            out.mkdir(parents=True, exist_ok=True)  # before anything is paid
            given = input_of(service, size, quality, resolution, ref, fields)
            orders = [
                Entry(
                    new_key(), service.base_url, service.owner, model, {"prompt": text, **given},
                    max_credits, str(out.absolute()), account=service.account,
                )
                for text in texts
            ]  # fmt: skip
            _store(orders)
        _run(service, orders, resumed=resume, wait=not no_wait, timeout_s=timeout, as_json=as_json)


def edit(
    prompt: Prompt = None,
    ref: Refs = None,
    model: Model = EDIT_MODEL,
    size: Size = None,
    quality: Quality = None,
    resolution: Resolution = None,
    fields: Fields = None,
    out: Out = Path(),
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Change images: at least one --ref is needed.

    imagetasks edit "The same boat, in snow" --ref boat.png

    imagetasks edit "Make it bluer" --ref zmvewbppcq6k6gyfeszyubcnqv
    """
    if not ref:
        raise typer.BadParameter("name the image to change", param_hint="--ref")
    generate(
        prompt, None, model, size, quality, resolution, ref, fields, out, max_credits, no_wait,
        timeout, as_json,
    )  # fmt: skip


def _interrupted(service: Session) -> list[Entry]:
    """The orders that can be resumed: sent with another key, one would be ordered and paid once more."""
    found = list(entries(service.base_url, service.owner))
    own = [each for each in found if each.account in (None, service.account)]
    if not found:
        hint("no order was interrupted")
    elif len(own) < len(found):
        hint(OTHER_KEY)
    return own


def _store(orders: list[Entry]) -> None:
    for each in orders:
        try:
            json.dumps(each.input, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise typer.BadParameter("the order is not UTF-8 text; nothing was ordered") from error
    try:
        write_all(orders)
    except OSError:
        hint(NOT_STORED)
        raise


def _run(
    service: Session,
    orders: list[Entry],
    *,
    resumed: bool,
    wait: bool,
    timeout_s: float | None,
    as_json: bool,
) -> None:
    followed = Followed()
    until = None if timeout_s is None else time.monotonic() + timeout_s
    try:
        with Board(quiet=as_json) as board:
            order_all(service.client, orders, followed, board, sent_before=resumed, until=until)
            if wait:
                follow(service.client, followed, board, timeout_s=left_s(until), as_json=as_json)
    except KeyboardInterrupt:
        ids = followed.open_ids
        known = [f"{each} goes on" for each in ids] + ([exits.waiting_again(ids)] if ids else [])
        interrupted([*known, "save all of them later: imagetasks generate --resume"])
    for task_id in followed.open_ids:  # --no-wait
        json_line({"task_id": task_id}) if as_json else line(task_id)
    if followed.code:
        raise typer.Exit(followed.code)


def _prompts(prompt: str | None, file: Path | None) -> list[str]:
    if prompt is not None and prompt != "-":
        return [prompt]
    try:
        text = file.read_text("utf-8-sig") if file else sys.stdin.read()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file or 'stdin'} is not UTF-8 text") from error
    if file is None:
        return [text.strip()]
    texts = [each.strip() for each in text.splitlines()]
    if not any(texts):
        raise typer.BadParameter(f"{file} has no prompt", param_hint="--prompts")
    return [each for each in texts if each]


def input_of(
    service: Session,
    size: str | None,
    quality: str | None,
    resolution: str | None,
    refs: list[str] | None,
    fields: list[str] | None,
) -> dict[str, Any]:
    """An order's input but for its prompt, with the files of `refs` uploaded."""
    chosen = {"size": size, "quality": quality, "resolution": resolution}
    given = {name: value for name, value in chosen.items() if value} | _fields(fields or [])
    return given | _references(service, refs or [])


def _references(service: Session, texts: list[str]) -> dict[str, Any]:
    """`image_urls` with every file uploaded, so that the order on disk is the order that is sent."""
    found = [reference(each) for each in texts]
    urls = [service.client.upload_file(each) if isinstance(each, Path) else each for each in found]
    return {"image_urls": urls} if urls else {}


def _fields(texts: list[str]) -> dict[str, Any]:
    given = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
        given[name] = _value(value)
    return given


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
