"""`auth login|status|logout`: the address and key that later commands use."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import Annotated

import typer

from imagetasks_client.cli import settings
from imagetasks_client.cli.output import hint, line
from imagetasks_client.cli.session import patience, reported, session
from imagetasks_client.client import Client
from imagetasks_client.connection import SETTINGS

app = typer.Typer(
    help="Store, check and forget the service's address and key.", no_args_is_help=True
)


@app.command()
def login(
    url: Annotated[str | None, typer.Option(help="address of the service")] = None,
    owner: Annotated[str | None, typer.Option(help="the user that a server key acts for")] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="read the key from stdin")
    ] = False,
) -> None:
    """Store the address of a service and a key, after trying them.

    imagetasks auth login --url https://images.example --token-stdin < key.txt
    """
    address = (
        url
        or os.environ.get(SETTINGS["base_url"])
        or typer.prompt("Address of the service", err=True)
    )
    key = sys.stdin.read() if token_stdin else typer.prompt("Key", hide_input=True, err=True)
    with reported():
        with Client(address, key.strip(), owner, patience=patience()) as client:
            list(islice(client.tasks(), 1))
        path = settings.store(settings.Settings(address.rstrip("/"), key.strip(), owner))
    hint(f"{address} accepts the key; both are stored in {path}")


@app.command()
def status() -> None:
    """Say which service and key are used, where they come from, and whether the service accepts them."""
    with session() as service:
        found = settings.in_effect()
        for name, variable in SETTINGS.items():
            value = getattr(found, name)
            source = variable if os.environ.get(variable) else str(settings.config_path())
            shown = _masked(value) if name == "key" else value
            if value:
                line(f"{name}: {shown} ({source})")
        list(islice(service.client.tasks(), 1))
    hint("the service accepts the key")


@app.command()
def logout() -> None:
    """Forget the stored address and key."""
    with reported():
        settings.config_path().unlink(missing_ok=True)
    hint("forgotten")
    if any(os.environ.get(variable) for variable in SETTINGS.values()):
        hint(
            "the environment still has "
            + ", ".join(v for v in SETTINGS.values() if os.environ.get(v))
        )


def _masked(key: str) -> str:
    return f"{key[:6]}…" if len(key) > 12 else "…"
