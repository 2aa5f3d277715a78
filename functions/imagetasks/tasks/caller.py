"""Who calls the API: a server key, or a browser token that one of them issued."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

TOKEN_PK = "token#"  # noqa: S105  # nosec B105  # a prefix of keys
OWNER_SEPARATOR = "/"  # between a server key's name and the user it acts for
TOKEN_ID = re.compile(r"[0-9a-f]{32}")
KEPT_S = 8 * 24 * 60 * 60  # after its end: a late charge is written within a week
SCOPES = ("tasks:write", "tasks:read", "uploads:write", "quotes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A browser token as its item says; instants are milliseconds since 1970. `key` is the name of the server
    key that issued it, and `key_id` tells that one from other keys of the name. `models` and `origin`
    restrict it if they are set; `tasks` and `committed` are what it has ordered and spent so far."""

    token_id: str
    key: str
    key_id: str
    owner: str
    scopes: tuple[str, ...]
    max_credits: Decimal
    ends_at: int
    max_tasks: int | None = None
    models: tuple[str, ...] | None = None
    origin: str | None = None
    revoked_at: int | None = None
    tasks: int = 0
    reserved: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        """Credits that it may still spend."""
        return max(Decimal(0), self.max_credits - self.reserved - self.charged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`key` is the server key's name, `owner` the owner whose tasks it may see: the key itself, or one
    of its users. `token`: the browser token that was sent instead of the key."""

    key: str
    owner: str
    token: Token | None = None


def token_pk(token_id: str) -> str:
    """Partition key of a token's item."""
    return f"{TOKEN_PK}{token_id}"


def token_to_item(token: Token) -> dict[str, Any]:
    """The item of a token that has ordered nothing yet. DynamoDB removes it eight days after its end."""
    optional = {
        "max_tasks": token.max_tasks,
        "models": None if token.models is None else list(token.models),
        "origin": token.origin,
    }
    return {
        "pk": token_pk(token.token_id),
        "key": token.key,
        "key_id": token.key_id,
        "owner": token.owner,
        "scopes": list(token.scopes),
        "max_credits": token.max_credits,
        "ends_at": token.ends_at,
        "removed_at": token.ends_at // 1000 + KEPT_S,
        **dict.fromkeys(("tasks", "estimated", "reserved", "charged", "committed"), 0),
        **{name: value for name, value in optional.items() if value is not None},
    }


def token_from_item(item: Mapping[str, Any]) -> Token:
    """The token of an item; attributes that a newer version wrote are ignored."""
    return Token(
        token_id=str(item["pk"]).removeprefix(TOKEN_PK),
        key=item["key"],
        key_id=item["key_id"],
        owner=item["owner"],
        scopes=tuple(item["scopes"]),
        max_credits=item["max_credits"],
        ends_at=int(item["ends_at"]),
        max_tasks=int(item["max_tasks"]) if "max_tasks" in item else None,
        models=tuple(item["models"]) if "models" in item else None,
        origin=item.get("origin"),
        revoked_at=int(item["revoked_at"]) if "revoked_at" in item else None,
        tasks=int(item.get("tasks", 0)),
        reserved=item.get("reserved", Decimal(0)),
        charged=item.get("charged", Decimal(0)),
    )
