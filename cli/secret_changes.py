"""Changes to the three secrets of a stack. Pure functions: a secret's values in, the new values out."""

from __future__ import annotations

import hashlib
import re
import secrets

from cli.stack import CommandError, Values

RESERVED = frozenset({"current", "poyo_callback_signing_key"})
SERVER_KEY_PREFIX = "it_sk_"
# The owner of a task is NAME or NAME/USER, so a "/" in a name would collide with a user of another name.
NAME = re.compile(r"[a-z0-9-]{1,40}")


def set_poyo(values: Values, key: str) -> Values:
    """The secret with PoYo's key. Raises CommandError if `key` does not look like one."""
    key = key.strip().strip("\"'").strip()
    if not key.isascii() or not key.isprintable() or len(key) < 8 or " " in key:
        raise CommandError(
            "that does not look like a PoYo key: it is one word that begins with sk-"
        )
    return values | {"poyo_api_key": key}


def new_server_key() -> str:
    """A new key of 256 random bits. Secret scanners find a leaked one by its prefix."""
    return f"{SERVER_KEY_PREFIX}{secrets.token_urlsafe(32)}"


def add_server(values: Values, name: str, key: str) -> Values:
    """The secret with the hash of `key` under `name`. Raises CommandError if `name` is invalid or taken."""
    if not NAME.fullmatch(name):
        raise CommandError("a name has 1 to 40 characters, each of them a-z, 0-9 or -")
    if name in entries(values, "server_keys"):
        raise CommandError(f"a key named {name} already exists: rotate it, or choose another name")
    return _with(values, "server_keys", name, _hash(key))


def rotate_server(values: Values, name: str, key: str) -> Values:
    """The secret with `key` as a second key of `name`. The existing key continues to work.

    Raises CommandError if `name` is unknown or has two keys already.
    """
    hashes = key_hashes(values, name)
    if len(hashes) > 1:
        raise CommandError(f"{name} has two keys already: retire the older one first")
    return _with(values, "server_keys", name, [*hashes, _hash(key)])


def retire_server(values: Values, name: str) -> Values:
    """The secret with only the newest key of `name`. Raises CommandError if there is no second key."""
    hashes = key_hashes(values, name)
    if len(hashes) < 2:
        raise CommandError(f"{name} has only one key: rotate it first, or remove it")
    return _with(values, "server_keys", name, hashes[-1])


def remove_server(values: Values, name: str) -> Values:
    """The secret without the keys of `name`; the caller's tasks are kept.

    Raises CommandError if `name` is unknown.
    """
    key_hashes(values, name)
    return _without(values, "server_keys", name)


def add_webhook(values: Values, name: str, key: str) -> Values:
    """The secret with the key that signs the notifications to the caller `name`.

    Raises CommandError if the caller is unknown or already has a signing key.
    """
    key_hashes(values, name)
    if name in entries(values, "notification_signing_keys"):
        raise CommandError(f"notifications to {name} are signed already: remove that key first")
    return _with(values, "notification_signing_keys", name, key)


def remove_webhook(values: Values, name: str) -> Values:
    """The secret without the signing key of `name`. Raises CommandError if there is none."""
    known = entries(values, "notification_signing_keys")
    if name not in known:
        raise CommandError(f"notifications to {name} are not signed, only those to: {_join(known)}")
    return _without(values, "notification_signing_keys", name)


def add_signing(values: Values, key: str) -> Values:
    """The secret with one more signing key, whose id is `newest_kid` then.

    What it signed is accepted; nothing new is signed with it until `use`.
    """
    return values | {f"k{_highest_number(values) + 1}": key}


def newest_kid(values: Values) -> str:
    """The id of the signing key that was added last."""
    return f"k{_highest_number(values)}"


def use_signing(values: Values, kid: str) -> Values:
    """The secret with `kid` as the key that signs. What other keys signed remains valid.

    Raises CommandError if `kid` is unknown.
    """
    _require_kid(values, kid)
    return values | {"current": kid}


def remove_signing(values: Values, kid: str) -> Values:
    """The secret without `kid`. What it signed is rejected from then on.

    Raises CommandError if `kid` is unknown or in use.
    """
    _require_kid(values, kid)
    if values.get("current") == kid:
        raise CommandError(f"{kid} is in use: add another and use that first")
    return {name: value for name, value in values.items() if name != kid}


def entries(values: Values, kind: str) -> Values:
    """The named keys of one kind: `server_keys` or `notification_signing_keys`. Raises CommandError if a
    secret that was edited by hand has something else there."""
    found = values.get(kind, {})
    if not isinstance(found, dict):
        raise CommandError(
            f"{kind} in the secret is no JSON object: restore its version AWSPREVIOUS"
        )
    return dict(found)


def key_hashes(values: Values, name: str) -> list[str]:
    """Every hash under `name`, the newest last. Raises CommandError if there is none."""
    known = entries(values, "server_keys")
    if name not in known:
        raise CommandError(f"there is no key named {name}, only: {_join(known)}")
    stored = known[name]
    return list(stored) if isinstance(stored, list) else [stored]


def kids(values: Values) -> list[str]:
    """The ids of the signing keys, sorted."""
    return sorted(set(values) - RESERVED)


def _highest_number(values: Values) -> int:
    numbers = (int(kid[1:]) for kid in kids(values) if kid[1:].isdecimal())
    return max(numbers, default=0)


def _with(values: Values, kind: str, name: str, value: object) -> Values:
    return values | {kind: entries(values, kind) | {name: value}}


def _without(values: Values, kind: str, name: str) -> Values:
    return values | {kind: {k: v for k, v in entries(values, kind).items() if k != name}}


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _join(names: Values) -> str:
    return ", ".join(sorted(names)) or "none"


def _require_kid(values: Values, kid: str) -> None:
    if kid not in kids(values):
        raise CommandError(f"there is no key {kid}, only: {', '.join(kids(values))}")
