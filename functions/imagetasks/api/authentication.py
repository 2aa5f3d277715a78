"""Who calls: a server key, for itself or for one of its users, or a browser token of one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from imagetasks import telemetry
from imagetasks.api import browser_tokens, problems
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.request import acting_user, bearer_token, public_base_url
from imagetasks.tasks.caller import OWNER_SEPARATOR, Caller, Token

if TYPE_CHECKING:
    from imagetasks.api.api_gateway import HttpEvent
    from imagetasks.api.dependencies import ApiDependencies

Scope = Literal["tasks:write", "tasks:read", "uploads:write", "quotes"]


def authenticate(event: HttpEvent, dependencies: ApiDependencies, scope: Scope) -> Caller:
    """The caller of a route that needs `scope`; a server key has every scope.

    Raises ProblemError (401; 403 for what a token may not do; 400 for an invalid X-Owner),
    SecretInvalid, SecretUnavailable, DatabaseUnavailable.
    """
    caller = _caller(event, dependencies)
    if caller.token and scope not in caller.token.scopes:
        problem = problems.INSUFFICIENT_SCOPE
        detail = f"{problem.detail} It lacks `{scope}`."
        challenge = f'{problem.challenge}, scope="{scope}"'
        raise ProblemError(replace(problem, detail=detail, challenge=challenge))
    return caller


def authenticate_server_key(event: HttpEvent, dependencies: ApiDependencies) -> Caller:
    """The caller of a route that only server keys may use. Raises as `authenticate` does."""
    caller = _caller(event, dependencies)
    if caller.token:
        raise ProblemError(problems.SERVER_KEY_REQUIRED)
    return caller


def require_model(caller: Caller, model: str) -> None:
    """Raise ProblemError if the caller's token is not for `model`."""
    models = caller.token.models if caller.token else None
    if models is not None and model not in models:
        raise ProblemError(problems.MODEL_NOT_ALLOWED)


def _caller(event: HttpEvent, dependencies: ApiDependencies) -> Caller:
    text = bearer_token(event)
    name = dependencies.api_keys.owner_for_key(text)
    if name is not None:
        return Caller(key=name, owner=owner_of(name, acting_user(event)))
    if not browser_tokens.is_token(text):
        raise ProblemError(problems.UNAUTHORIZED)
    try:
        token = _token(event, dependencies, text)
    except browser_tokens.InvalidToken as error:
        telemetry.info("token_rejected", reason=str(error))
        raise ProblemError(problems.INVALID_TOKEN) from None
    _require_origin_and_owner(event, token)
    return Caller(key=token.key, owner=token.owner, token=token)


def owner_of(key: str, user: str) -> str:
    """The owner of the tasks of `user`, for whom the server key named `key` acts; the key itself if
    `user` is empty."""
    return f"{key}{OWNER_SEPARATOR}{user}" if user else key


def _token(event: HttpEvent, dependencies: ApiDependencies, text: str) -> Token:
    """The token as its item says. Raises InvalidToken."""
    claims = browser_tokens.verify(
        text, issuer=public_base_url(event), keys=dependencies.token_keys.all()
    )
    token = dependencies.tokens.get(claims["jti"])
    if token is None:
        raise browser_tokens.InvalidToken("no such token")
    if token.owner != claims["sub"] or token.key != token.owner.partition(OWNER_SEPARATOR)[0]:
        raise browser_tokens.InvalidToken("another owner")
    if token.revoked_at is not None:
        raise browser_tokens.InvalidToken("revoked")
    if dependencies.clock.now_ms() >= token.ends_at + browser_tokens.LEEWAY_S * 1000:
        raise browser_tokens.InvalidToken("ended")
    if not dependencies.api_keys.has_server_key(token.key, token.key_id):
        raise browser_tokens.InvalidToken("its server key was removed")
    return token


def _require_origin_and_owner(event: HttpEvent, token: Token) -> None:
    """Raise ProblemError for a request from a page that is not the token's, or for another owner."""
    if token.origin is not None and event.headers.get("origin") != token.origin:
        raise ProblemError(problems.ORIGIN_NOT_ALLOWED)
    user = acting_user(event)
    if user and owner_of(token.key, user) != token.owner:
        raise ProblemError(problems.OWNER_NOT_ALLOWED)
