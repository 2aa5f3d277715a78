"""Adds, rotates and lists the keys of a deployed stack. Keys are never arguments and never logged.

PoYo's key:     imagetasks stack keys poyo                 (prompts for it, or reads stdin)
callers' keys:  imagetasks stack keys server add website   (prints the new key once)
                imagetasks stack keys server rotate website   (prints a second key; both work), then,
                imagetasks stack keys server retire website   once the caller uses it (removes the older)
                imagetasks stack keys server list | remove website
notifications:  imagetasks stack keys webhook add website  (prints the signing secret once)
                imagetasks stack keys webhook list | remove website
callback keys:  imagetasks stack keys callback add         then, fifteen minutes later,
                imagetasks stack keys callback use k2      and, five days later,
                imagetasks stack keys callback remove k1
browser tokens: imagetasks stack keys token add            then, fifteen minutes later,
                imagetasks stack keys token use k2         and, two hours later,
                imagetasks stack keys token remove k1
"""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from cli import secret_changes as change
from cli.redrive import close_circuit_breaker
from cli.stack import Stack, argument_parser, command_line, run_command

# Kinds of keys that sign and are rotated with an overlap: the output with their secret, a summary.
SIGNING = {
    "callback": ("CallbackSecretArn", "keys of the callback URLs"),
    "token": ("TokenSecretArn", "keys of the browser tokens"),
}


def _read_key(prompt: str) -> str:
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()


def _add_actions(kinds: Any, kind: str, summary: str, *with_name: str) -> Any:
    """Adds `list` and the actions that take a name."""
    actions = kinds.add_parser(kind, help=summary).add_subparsers(dest="action", required=True)
    actions.add_parser("list")
    for action in with_name:
        actions.add_parser(action).add_argument("name")
    return actions


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser("keys", __doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("poyo", help="store PoYo's API key")
    _add_actions(kinds, "server", "API keys of callers", "add", "rotate", "retire", "remove")
    _add_actions(kinds, "webhook", "secrets that sign notifications to callers", "add", "remove")
    for kind, (_, summary) in SIGNING.items():
        _add_actions(kinds, kind, summary, "use", "remove").add_parser("add")
    return parser


def _server(stack: Stack, options: argparse.Namespace) -> str:
    name = getattr(options, "name", "")
    if options.action == "list":
        values = stack.secret("ApiSecretArn")
        counts = {
            each: len(change.key_hashes(values, each))
            for each in change.entries(values, "server_keys")
        }
        lines = [f"{each} (two keys)" if counts[each] > 1 else each for each in sorted(counts)]
        return "\n".join(lines) or "no server keys yet"
    if options.action in ("remove", "retire"):
        update = change.remove_server if options.action == "remove" else change.retire_server
        stack.change_secret("ApiSecretArn", lambda values: update(values, name))
        removed = name if options.action == "remove" else f"the older key of {name}"
        return f"{removed} stops working within 30 seconds"
    key = change.new_server_key()
    put = change.add_server if options.action == "add" else change.rotate_server
    stack.change_secret("ApiSecretArn", lambda values: put(values, name, key))
    return f"{key}\nThis is the key of {name}. Only its hash is stored, so it is not shown again."


def _webhook(stack: Stack, options: argparse.Namespace) -> str:
    if options.action == "list":
        values = stack.secret("ApiSecretArn")
        signed = sorted(change.entries(values, "notification_signing_keys"))
        return "\n".join(signed) or "no notifications are signed"
    if options.action == "remove":
        stack.change_secret(
            "ApiSecretArn", lambda values: change.remove_webhook(values, options.name)
        )
        return f"within 30 seconds notifications to {options.name} are no longer signed"
    key = f"whsec_{secrets.token_urlsafe(32)}"
    stack.change_secret(
        "ApiSecretArn", lambda values: change.add_webhook(values, options.name, key)
    )
    return (
        f"{key}\nWithin 30 seconds this signs the notifications to {options.name}."
        " It is not shown again."
    )


def _signing(stack: Stack, options: argparse.Namespace) -> str:
    output, _ = SIGNING[options.kind]
    if options.action == "list":
        values = stack.secret(output)
        current = values.get("current")
        return "\n".join(
            f"{kid}{' (in use)' if kid == current else ''}" for kid in change.kids(values)
        )
    if options.action == "add":
        key = secrets.token_urlsafe(36)
        values = stack.change_secret(output, lambda values: change.add_signing(values, key))
        kid = change.newest_kid(values)
        command = f"{command_line('keys', stack.name)} {options.kind} use {kid}"
        return f"{kid} is accepted everywhere within fifteen minutes; then run: {command}"
    update = change.use_signing if options.action == "use" else change.remove_signing
    stack.change_secret(output, lambda values: update(values, options.name))
    return f"{options.action} {options.name}: done, in effect everywhere within 30 seconds"


def _run(options: argparse.Namespace) -> str:
    stack = Stack(options.stack, options.region)
    kinds = {"server": _server, "webhook": _webhook, **dict.fromkeys(SIGNING, _signing)}
    if options.kind in kinds:
        return kinds[options.kind](stack, options)
    key = _read_key("PoYo API key (not shown): ")
    stack.change_secret("ApiSecretArn", lambda values: change.set_poyo(values, key))
    close_circuit_breaker(stack)
    return "PoYo's key is stored"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 on success, 1 with the reason on stderr, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: _run(options), "`list` says what is stored")
