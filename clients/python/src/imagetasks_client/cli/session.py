"""What every command shares: the client of the settings in effect, and how its errors end the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from imagetasks_client.bearer import account_of
from imagetasks_client.cli import exits, settings
from imagetasks_client.cli.output import hint
from imagetasks_client.client import Client
from imagetasks_client.errors import ImageTasksError
from imagetasks_client.exchange import Patience


@dataclass(frozen=True, slots=True)
class Session:
    """A client, and whose service it is: `account` is that of the key."""

    client: Client
    base_url: str
    owner: str | None
    account: str


@contextmanager
def session() -> Iterator[Session]:
    """The client for one command. Ends the program with the code and sentence of an error."""
    with reported():
        found = settings.in_effect()
        if not found.base_url or not found.key:
            hint(
                "no service yet: run `imagetasks auth login`, or set IMAGETASKS_URL and IMAGETASKS_KEY"
            )
            raise typer.Exit(exits.AUTH)
        with Client(found.base_url, found.key, found.owner, patience=patience()) as client:
            yield Session(client, found.base_url.rstrip("/"), found.owner, account_of(found.key))


def patience() -> Patience:
    """Repeat requests as every client does, and say so: each reason once, not to leave a silent terminal."""
    told = set[str]()

    def tell(error: ImageTasksError, _wait_s: float) -> None:
        if str(error) not in told:
            told.add(str(error))
            hint(f"{error}; trying again")

    return Patience(on_repeat=tell)


@contextmanager
def reported() -> Iterator[None]:
    """Errors as a sentence on stderr and an exit code."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of stdout has what it wanted
    except (ImageTasksError, ValueError, OSError, settings.SettingsInvalid) as error:
        hint(exits.sentence(error))
        raise typer.Exit(exits.code_of(error)) from error


def interrupted(hints: list[str]) -> None:
    """End after Ctrl-C, at once, also while requests are on their way: what was ordered goes on."""
    for each in hints:
        hint(each)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exits.INTERRUPTED)
