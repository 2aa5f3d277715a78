"""Browser tokens as text: JWTs (RFC 7519, RFC 9068) that a page sends in place of a server key.

The token's item in the table decides what it may do; the text only proves which token it is. PyJWT is
imported by the first token, because most cold starts see none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetasks.tasks.caller import Token

ALGORITHM = "HS256"
TYPE = "at+jwt"
AUDIENCE = "imagetasks"
LEEWAY_S = 30  # by which clocks may differ
CLAIMS = ("iss", "aud", "sub", "exp", "iat", "jti", "scope", "max_credits")  # each is required
MAX_CHARS = 4096
FORM = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")  # its header begins with {"


class InvalidToken(Exception):
    """The text is no token of this service, or its time is over. The message never quotes it."""


def is_token(text: str) -> bool:
    """Whether `text` has the form of a token; no server key of ours has it."""
    return len(text) <= MAX_CHARS and FORM.fullmatch(text) is not None


def sign(token: Token, *, issued_at_s: int, issuer: str, kid: str, key: str) -> str:
    """The token as text, signed with `key`, whose id is `kid`. Instants are seconds since 1970."""
    import jwt  # noqa: PLC0415  # see the module's docstring

    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": token.owner,
        "exp": token.ends_at // 1000,
        "iat": issued_at_s,
        "jti": token.token_id,
        "scope": " ".join(token.scopes),
        "max_credits": f"{token.max_credits:f}",
    }
    if token.models is not None:
        claims["models"] = list(token.models)
    if token.origin is not None:
        claims["origin"] = token.origin
    return jwt.encode(claims, key, ALGORITHM, headers={"typ": TYPE, "kid": kid})


def verify(text: str, *, issuer: str, keys: Mapping[str, str]) -> Mapping[str, Any]:
    """The claims of a token that one of `keys` (by id) has signed for `issuer` and whose time is not
    over. Raises InvalidToken."""
    import jwt  # noqa: PLC0415  # see the module's docstring

    try:
        header = jwt.get_unverified_header(text)
        key = keys.get(header.get("kid", ""))
        if key is None:
            raise InvalidToken("unknown key")
        if header.get("typ") != TYPE:
            raise InvalidToken("another type")
        return jwt.decode(
            text,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": list(CLAIMS), "strict_aud": True},
        )
    except (jwt.PyJWTError, RecursionError, ValueError) as error:
        raise InvalidToken(type(error).__name__) from None
