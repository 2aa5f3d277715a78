"""Puts, rotates and lists the keys of a deployed stack. Keys are never arguments, never logged.

PoYo's key:     python -m cli.keys poyo                 (asks for it, or reads a pipe)
callers' keys:  python -m cli.keys server add website   (prints the new key once)
                python -m cli.keys server list | remove website
callback keys:  python -m cli.keys callback add         then, ten minutes later,
                python -m cli.keys callback use k2      and, three days later,
                python -m cli.keys callback remove k1
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import secrets
import sys
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.stack import Stack, Wrong, asking

Values = dict[str, Any]
RESERVED = frozenset({"current", "poyo_webhook_key"})


def set_poyo(values: Values, key: str) -> Values:
    """The secret with PoYo's key in it. Raises Wrong when it does not look like one."""
    key = key.strip().strip("\"'").strip()
    if not key.isascii() or not key.isprintable() or len(key) < 8 or " " in key:
        raise Wrong("that does not look like a PoYo key: it is one word that begins with sk-")
    return values | {"poyo_api_key": key}


def add_server(values: Values, name: str, key: str) -> Values:
    """The secret with the hash of `key` under `name`. Raises Wrong when the name is taken."""
    names = dict(values.get("server_keys", {}))
    if name in names:
        raise Wrong(f"there is a key named {name} already: remove it first, or choose another name")
    return values | {"server_keys": names | {name: hashlib.sha256(key.encode()).hexdigest()}}


def remove_server(values: Values, name: str) -> Values:
    """The secret without the key named `name`, whose tasks stay."""
    names = dict(values.get("server_keys", {}))
    if name not in names:
        raise Wrong(f"there is no key named {name}, only: {', '.join(sorted(names)) or 'none'}")
    del names[name]
    return values | {"server_keys": names}


def add_callback(values: Values, key: str) -> tuple[Values, str]:
    """The secret with one more key that opens the door, and its id; no URL is made with it yet."""
    numbers = [int(kid[1:]) for kid in _kids(values) if kid[1:].isdecimal()]
    kid = f"k{max(numbers, default=0) + 1}"
    return values | {kid: key}, kid


def use_callback(values: Values, kid: str) -> Values:
    """The secret that new callback URLs are made with `kid`; the old ones go on opening."""
    if kid not in _kids(values):
        raise Wrong(f"there is no callback key {kid}, only: {', '.join(_kids(values))}")
    return values | {"current": kid}


def remove_callback(values: Values, kid: str) -> Values:
    """The secret without `kid`: callbacks of tasks submitted with it find a closed door."""
    if kid not in _kids(values):
        raise Wrong(f"there is no callback key {kid}, only: {', '.join(_kids(values))}")
    if values.get("current") == kid:
        raise Wrong(f"{kid} is in use: add another and use that first")
    return {name: value for name, value in values.items() if name != kid}


def _kids(values: Values) -> list[str]:
    return sorted(set(values) - RESERVED)


def _asked(prompt: str) -> str:
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()


def _parser() -> argparse.ArgumentParser:
    parser = asking("keys", __doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("poyo", help="put PoYo's API key")
    server = kinds.add_parser("server", help="keys that callers hold").add_subparsers(
        dest="verb", required=True
    )
    server.add_parser("list")
    for verb in ("add", "remove"):
        server.add_parser(verb).add_argument("name")
    callback = kinds.add_parser("callback", help="keys of the callback URLs").add_subparsers(
        dest="verb", required=True
    )
    callback.add_parser("list")
    callback.add_parser("add")
    for verb in ("use", "remove"):
        callback.add_parser(verb).add_argument("name")
    return parser


def _server(stack: Stack, asked: argparse.Namespace) -> str:
    values = stack.secret("ApiSecretArn")
    if asked.verb == "list":
        return "\n".join(sorted(values.get("server_keys", {}))) or "no server keys yet"
    if asked.verb == "remove":
        stack.put_secret("ApiSecretArn", remove_server(values, asked.name))
        return f"{asked.name} stops working within five minutes"
    key = f"it_{secrets.token_urlsafe(32)}"
    stack.put_secret("ApiSecretArn", add_server(values, asked.name, key))
    return f"{key}\nThis is the key of {asked.name}. It is not kept anywhere and not shown again."


def _callback(stack: Stack, asked: argparse.Namespace) -> str:
    values = stack.secret("CallbackSecretArn")
    if asked.verb == "list":
        current = values.get("current")
        return "\n".join(f"{kid}{' (in use)' if kid == current else ''}" for kid in _kids(values))
    if asked.verb == "add":
        values, kid = add_callback(values, secrets.token_urlsafe(36))
        stack.put_secret("CallbackSecretArn", values)
        return (
            f"{kid} opens the door within five minutes; then: python -m cli.keys callback use {kid}"
        )
    change = use_callback if asked.verb == "use" else remove_callback
    stack.put_secret("CallbackSecretArn", change(values, asked.name))
    return f"{asked.verb} {asked.name}: done, known everywhere within five minutes"


def _carried_out(asked: argparse.Namespace) -> str:
    stack = Stack(asked.stack, asked.region)
    if asked.kind == "server":
        return _server(stack, asked)
    if asked.kind == "callback":
        return _callback(stack, asked)
    values = set_poyo(stack.secret("ApiSecretArn"), _asked("PoYo API key (not shown): "))
    stack.put_secret("ApiSecretArn", values)
    return "PoYo's key is in place"


def main() -> int:
    """Carry out one command; 0 when done, 1 with the reason when not."""
    asked = _parser().parse_args()
    try:
        print(_carried_out(asked))
    except (Wrong, KeyError, ClientError, BotoCoreError) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
