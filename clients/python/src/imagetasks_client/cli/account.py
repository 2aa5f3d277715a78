"""`quote`, `usage`, `models` and `token create`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.table import Table

from imagetasks_client.cli import exits
from imagetasks_client.cli.generate import (
    MODEL,
    AsJson,
    Fields,
    Model,
    Quality,
    Refs,
    Resolution,
    Size,
    input_of,
)
from imagetasks_client.cli.output import credits_text, hint, json_line, line, tables
from imagetasks_client.cli.session import session

COLUMNS = ("day", "owner", "model", "tasks", "estimated", "reserved", "charged")
tokens = typer.Typer(help="Browser tokens for pages; needs a server key.", no_args_is_help=True)


def quote(
    prompt: str,
    model: Model = MODEL,
    size: Size = None,
    quality: Quality = None,
    resolution: Resolution = None,
    ref: Refs = None,
    fields: Fields = None,
    as_json: AsJson = False,
) -> None:
    """Say what an order would cost; nothing is ordered.

    imagetasks quote "A paper boat" --size 16:9 --resolution 4K --quality high
    """
    with session() as service:
        given = input_of(service, size, quality, resolution, ref, fields)
        found = service.client.quote(model, {"prompt": prompt, **given})
    if as_json:
        json_line(found.raw)
    else:
        most = "" if found.exact else "at most "
        time = f", about {found.typical_seconds:.0f} s" if found.typical_seconds else ""
        line(f"{most}{credits_text(found.credits, found.usd)}{time}")
    for warning in found.warnings:
        hint(warning)
    if not found.allowed:
        hint("this order would be refused now: the budget has no room for it, or orders are paused")
        raise typer.Exit(exits.CREDITS)


def usage(
    since: Annotated[str | None, typer.Option("--from", help="first day, YYYY-MM-DD")] = None,
    until: Annotated[str | None, typer.Option("--to", help="last day, YYYY-MM-DD")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was spent by day, owner and model; the last seven days by default.

    imagetasks usage --from 2026-11-01 --to 2026-11-30
    """
    with session() as service:
        rows = list(service.client.usage_rows(since, until))
    if as_json:
        for row in rows:
            json_line(row)
        return
    table = Table(*COLUMNS, box=None)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in COLUMNS))
    tables.print(table)


def models(as_json: AsJson = False) -> None:
    """List the models that the service offers, with their fields."""
    with session() as service:
        found = service.client.models()
    for each in found:
        fields = ", ".join(each["input_schema"]["properties"])
        json_line(each) if as_json else line(f"{each['model_id']:<28} {fields}")


@tokens.command()
def create(
    owner: Annotated[str, typer.Option(help="the user that the token is for")],
    max_credits: Annotated[float, typer.Option(help="what its orders may cost together")],
    ttl: Annotated[int, typer.Option(help="its life in seconds", min=60, max=3600)] = 900,
    origin: Annotated[str | None, typer.Option(help="the pages that may use it")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="a model it may order; repeatable")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Issue a browser token and print it.

    imagetasks token create --owner user-7 --max-credits 50 --ttl 3600
    """
    fields: dict[str, Any] = {"ttl_s": ttl, "origin": origin, "models": model}
    with session() as service:
        given = {name: value for name, value in fields.items() if value}
        made = service.client.create_token(owner, max_credits, **given)
    json_line(made) if as_json else line(made["token"])
    hint(f"valid until {made['expires_at']}, for {owner}, up to {max_credits:g} credits")


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else str(value)
