"""`imagetasks stack …`: the operators' commands. In a clone, `python -m cli …` is the same."""

from __future__ import annotations

import importlib

import typer

app = typer.Typer(
    name="stack",
    help="Operate a deployed stack; each command has its own --help.",
    no_args_is_help=True,
    add_completion=False,
)
# The command: the module whose `main` gets its arguments, the first of them if it is fixed, and a summary.
COMMANDS = {
    "doctor": ("doctor", (), "check every part of a deployed stack"),
    "keys": ("keys", (), "add, rotate, list and remove keys"),
    "pause": ("orders", ("pause",), "refuse new orders; accepted tasks go on"),
    "resume": ("orders", ("resume",), "accept new orders again"),
    "status": ("orders", ("status",), "say whether new orders are accepted"),
    "reconcile": ("reconcile", (), "compare charges with PoYo's balance, and decide unknown ones"),
    "redrive": ("redrive", (), "run dead letters and failed tasks again"),
    "catalog": ("catalog", (), "bring the bundled models up to date"),
    "release": ("release", (), "print the parameters of a deployment"),
}


def _add(name: str, module: str, fixed: tuple[str, ...], summary: str) -> None:
    def run(context: typer.Context) -> None:
        main = importlib.import_module(f"cli.{module}").main
        raise typer.Exit(main([*fixed, *context.args]))

    everything = {
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": list[str](),  # the module's own parser explains its options
    }
    app.command(name, help=summary, context_settings=everything, add_help_option=False)(run)


for _name, (_module, _fixed, _summary) in COMMANDS.items():
    _add(_name, _module, _fixed, _summary)
