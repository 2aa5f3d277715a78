"""Bodies of the responses of `/v1/tokens`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

from imagetasks.api.schemas import json_number, rfc3339
from imagetasks.json_schema import Count, Instant, JsonSchema, Number
from imagetasks.tasks.caller import OWNER_SEPARATOR, SCOPES, TOKEN_ID, Token

TokenId = Annotated[str, JsonSchema(pattern=f"^{TOKEN_ID.pattern}$")]
ScopeName = Annotated[str, JsonSchema(enum=list(SCOPES))]


class CreatedTokenBody(TypedDict):
    """A new token. `token` is shown here only: give it to the page of `owner`."""

    token: str
    token_id: TokenId
    owner: str
    scopes: Sequence[ScopeName]
    max_credits: Number
    expires_at: Instant


class TokenBody(TypedDict):
    """A token as it is now, in credits: `spent` were charged, `reserved` belong to orders whose charge
    is not known yet, `left` may still be ordered. `max_tasks`, `models` and `origin` are null if they do
    not restrict it."""

    token_id: TokenId
    owner: str
    scopes: Sequence[ScopeName]
    expires_at: Instant
    revoked: bool
    max_credits: Number
    spent: Number
    reserved: Number
    left: Number
    tasks: Count
    max_tasks: Count | None
    models: Sequence[str] | None
    origin: str | None


def created_token_body(token: Token, text: str) -> CreatedTokenBody:
    """The new token, whose text is `text`."""
    return {
        "token": text,
        "token_id": token.token_id,
        "owner": _user(token),
        "scopes": token.scopes,
        "max_credits": json_number(token.max_credits) or 0,
        "expires_at": rfc3339(token.ends_at),
    }


def token_body(token: Token) -> TokenBody:
    """The token as it is now, without its text."""
    return {
        "token_id": token.token_id,
        "owner": _user(token),
        "scopes": token.scopes,
        "expires_at": rfc3339(token.ends_at),
        "revoked": token.revoked_at is not None,
        "max_credits": json_number(token.max_credits) or 0,
        "spent": json_number(token.charged) or 0,
        "reserved": json_number(token.reserved) or 0,
        "left": json_number(token.left) or 0,
        "tasks": token.tasks,
        "max_tasks": token.max_tasks,
        "models": token.models,
        "origin": token.origin,
    }


def _user(token: Token) -> str:
    """The user as the server key names it."""
    return token.owner.partition(OWNER_SEPARATOR)[2]
