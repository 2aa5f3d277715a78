"""The program `imagetasks`: its commands, and the operators' ones if they are installed."""

from __future__ import annotations

import importlib
import io
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]

from imagetasks_client.cli import account, auth, generate, tasks
from imagetasks_client.cli.output import hint, line

SHELLS = ("bash", "zsh", "fish", "pwsh")
app = typer.Typer(
    name="imagetasks",
    help="Order images from an imagetasks service, wait for them, save them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(generate.generate)
app.command()(generate.edit)
app.add_typer(tasks.app, name="task")
app.command()(account.quote)
app.command()(account.usage)
app.command()(account.models)
app.add_typer(account.tokens, name="token")
app.add_typer(auth.app, name="auth")


@app.command()
def completion(
    shell: Annotated[str, typer.Argument(help=", ".join(SHELLS))],
) -> None:
    """Print the completion script of a shell: source <(imagetasks completion bash)."""
    if shell not in SHELLS:
        raise typer.BadParameter(f"must be one of {', '.join(SHELLS)}", param_hint="SHELL")
    named = {"prog_name": "imagetasks", "complete_var": "_IMAGETASKS_COMPLETE", "shell": shell}
    line(get_completion_script(**named))


@app.callback(invoke_without_command=True)
def options(
    show_version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    """Options of the program itself."""
    if show_version:
        line(version("imagetasks-client"))
        raise typer.Exit


def add_operators_commands(app: typer.Typer) -> None:
    """`stack …`, if the repository's commands can be imported, as after installing it beside this package."""
    try:
        commands = importlib.import_module("cli.commands")
    except ModuleNotFoundError:
        anything = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command("stack", context_settings=anything)(_stack_is_missing)
    else:
        app.add_typer(commands.app, name="stack")


def _stack_is_missing() -> None:
    """Operate a deployed stack: doctor, keys, redrive, reconcile, release, … (not installed)."""
    hint(
        "the operators' commands are not installed; from a clone of the repository:\n"
        "  uv tool install './clients/python[cli]' --with-editable ."
    )
    raise typer.Exit(2)


def _prepare_output() -> None:
    """What stdout cannot take, because it is closed or knows no such letter, must not end a command that has
    ordered."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the program runs
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    """Run the command line."""
    add_operators_commands(app)
    _prepare_output()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
