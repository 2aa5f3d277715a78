"""Puts, rotates and lists the keys of a deployed stack. Keys are never arguments, never logged.

PoYo's key:     python -m cli.keys poyo                 (asks for it, or reads a pipe)
callers' keys:  python -m cli.keys server add website   (prints the new key once)
                python -m cli.keys server rotate website   (prints a second one, both work), then,
                python -m cli.keys server retire website   once the caller has moved: the newest stays
                python -m cli.keys server list | remove website
their webhooks: python -m cli.keys webhook add website  (prints once what its callbacks are signed with)
                python -m cli.keys webhook list | remove website
callback keys:  python -m cli.keys callback add         then, ten minutes later,
                python -m cli.keys callback use k2      and, three days later,
                python -m cli.keys callback remove k1
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import re
import secrets
import sys
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.stack import Stack, Wrong, asking

Values = dict[str, Any]
RESERVED = frozenset({"current", "poyo_callback_signing_key"})
# A task's owner is this name, or this name, "/" and a user: a "/" in it would be somebody's user.
NAME = re.compile(r"[a-z0-9-]{1,40}")


def set_poyo(values: Values, key: str) -> Values:
    """The secret with PoYo's key in it. Raises Wrong when it does not look like one."""
    key = key.strip().strip("\"'").strip()
    if not key.isascii() or not key.isprintable() or len(key) < 8 or " " in key:
        raise Wrong("that does not look like a PoYo key: it is one word that begins with sk-")
    return values | {"poyo_api_key": key}


def add_server(values: Values, name: str, key: str) -> Values:
    """The secret with the hash of `key` under `name`. Raises Wrong when the name is taken or none."""
    if not NAME.fullmatch(name):
        raise Wrong("a name has 1 to 40 characters, each of them a-z, 0-9 or -")
    if name in _named(values, "server_keys"):
        raise Wrong(f"there is a key named {name} already: rotate it, or choose another name")
    return _with(values, "server_keys", name, _hash(key))


def rotate_server(values: Values, name: str, key: str) -> Values:
    """The secret with `key` under `name` as well: the key that is there goes on working."""
    hashes = _hashes(values, name)
    if len(hashes) > 1:
        raise Wrong(f"{name} has two keys already: retire the older one first")
    return _with(values, "server_keys", name, [*hashes, _hash(key)])


def retire_server(values: Values, name: str) -> Values:
    """The secret with only the newest key under `name`."""
    hashes = _hashes(values, name)
    if len(hashes) < 2:
        raise Wrong(f"{name} has only one key: rotate it first, or remove it")
    return _with(values, "server_keys", name, hashes[-1])


def remove_server(values: Values, name: str) -> Values:
    """The secret without the keys named `name`, whose tasks stay."""
    _hashes(values, name)
    return _without(values, "server_keys", name)


def add_webhook(values: Values, name: str, key: str) -> Values:
    """The secret that signs what the caller `name` is called back with. Raises Wrong."""
    _hashes(values, name)
    if name in _named(values, "notification_signing_keys"):
        raise Wrong(f"callbacks to {name} are signed already: remove that key first")
    return _with(values, "notification_signing_keys", name, key)


def remove_webhook(values: Values, name: str) -> Values:
    """The secret that signs nothing for `name` any more."""
    known = _named(values, "notification_signing_keys")
    if name not in known:
        raise Wrong(f"callbacks to {name} are not signed, only those to: {_list(known)}")
    return _without(values, "notification_signing_keys", name)


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


def _named(values: Values, kind: str) -> Values:
    return dict(values.get(kind, {}))


def _with(values: Values, kind: str, name: str, kept: object) -> Values:
    return values | {kind: _named(values, kind) | {name: kept}}


def _without(values: Values, kind: str, name: str) -> Values:
    return values | {kind: {k: v for k, v in _named(values, kind).items() if k != name}}


def _hashes(values: Values, name: str) -> list[str]:
    """Every hash under `name`, the newest last. Raises Wrong when there is none."""
    known = _named(values, "server_keys")
    if name not in known:
        raise Wrong(f"there is no key named {name}, only: {_list(known)}")
    kept = known[name]
    return list(kept) if isinstance(kept, list) else [kept]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _list(names: Values) -> str:
    return ", ".join(sorted(names)) or "none"


def _kids(values: Values) -> list[str]:
    return sorted(set(values) - RESERVED)


def _asked(prompt: str) -> str:
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()


def _verbs(kinds: Any, kind: str, told: str, *named: str) -> Any:
    """`list`, and the verbs that want a name."""
    verbs = kinds.add_parser(kind, help=told).add_subparsers(dest="verb", required=True)
    verbs.add_parser("list")
    for verb in named:
        verbs.add_parser(verb).add_argument("name")
    return verbs


def _parser() -> argparse.ArgumentParser:
    parser = asking("keys", __doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("poyo", help="put PoYo's API key")
    _verbs(kinds, "server", "keys that callers hold", "add", "rotate", "retire", "remove")
    _verbs(kinds, "webhook", "what callers' own callbacks are signed with", "add", "remove")
    callback = _verbs(kinds, "callback", "keys of the callback URLs", "use", "remove")
    callback.add_parser("add")
    return parser


def _server(stack: Stack, asked: argparse.Namespace) -> str:
    values = stack.secret("ApiSecretArn")
    if asked.verb == "list":
        keys = {name: len(_hashes(values, name)) for name in _named(values, "server_keys")}
        lines = [f"{name} (two keys)" if keys[name] > 1 else name for name in sorted(keys)]
        return "\n".join(lines) or "no server keys yet"
    if asked.verb in ("remove", "retire"):
        change = remove_server if asked.verb == "remove" else retire_server
        stack.put_secret("ApiSecretArn", change(values, asked.name))
        gone = asked.name if asked.verb == "remove" else f"the older key of {asked.name}"
        return f"{gone} stops working within five minutes"
    key = f"it_{secrets.token_urlsafe(32)}"
    put = add_server if asked.verb == "add" else rotate_server
    stack.put_secret("ApiSecretArn", put(values, asked.name, key))
    return f"{key}\nThis is the key of {asked.name}. It is not kept anywhere and not shown again."


def _webhook(stack: Stack, asked: argparse.Namespace) -> str:
    values = stack.secret("ApiSecretArn")
    if asked.verb == "list":
        return (
            "\n".join(sorted(_named(values, "notification_signing_keys")))
            or "no callbacks are signed"
        )
    if asked.verb == "remove":
        stack.put_secret("ApiSecretArn", remove_webhook(values, asked.name))
        return f"callbacks to {asked.name} are no longer signed within five minutes"
    key = f"whsec_{secrets.token_urlsafe(32)}"
    stack.put_secret("ApiSecretArn", add_webhook(values, asked.name, key))
    return f"{key}\nThis signs the callbacks to {asked.name} within five minutes. It is not shown again."


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
    kinds = {"server": _server, "webhook": _webhook, "callback": _callback}
    if asked.kind in kinds:
        return kinds[asked.kind](stack, asked)
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
