"""`/v1/tokens`: browser tokens that a server key issues for one of its users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagetasks.api import browser_tokens, pagination, problems, request, token_request
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.authentication import authenticate_server_key, owner_of
from imagetasks.api.field_errors import field_error
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import json_response
from imagetasks.api.token_bodies import created_token_body, token_body
from imagetasks.aws.secrets import server_key_id
from imagetasks.errors import InvalidOrder
from imagetasks.tasks.caller import Caller, Token

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.api.token_request import CreateTokenRequest

OTHER_OWNER = field_error("/owner", "must be the user that `X-Owner` names, or send no `X-Owner`")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TokenRoutes:
    """Routes of browser tokens; only server keys may use them."""

    dependencies: ApiDependencies

    def create(self, event: HttpEvent) -> HttpResponse:
        """A new token; its text is in this response and nowhere else."""
        caller = authenticate_server_key(event, self.dependencies)
        pagination.query_parameters(event)
        try:
            models = self.dependencies.models.by_id()
            wanted = token_request.parse_token_request(request.limited_body(event), models)
        except InvalidOrder as error:
            raise ProblemError(replace(problems.INVALID_REQUEST, errors=error.problems)) from None
        owner = owner_of(caller.key, wanted.owner)
        if caller.owner not in (caller.key, owner):
            raise ProblemError(replace(problems.INVALID_REQUEST, errors=[OTHER_OWNER]))
        now_s = self.dependencies.clock.now_ms() // 1000
        issuing = server_key_id(request.bearer_token(event))
        token = self._token(wanted, caller.key, issuing, owner, ends_at_s=now_s + wanted.ttl_s)
        kid, key = self.dependencies.token_keys.current()
        issuer = request.public_base_url(event)
        text = browser_tokens.sign(token, issued_at_s=now_s, issuer=issuer, kid=kid, key=key)
        self.dependencies.tokens.create(token)
        location = {"Location": f"/v1/tokens/{token.token_id}"}
        return json_response(created_token_body(token, text), 201, location)

    def get(self, event: HttpEvent, token_id: str) -> HttpResponse:
        """The token's limits, and what it has spent."""
        caller = authenticate_server_key(event, self.dependencies)
        pagination.query_parameters(event)
        return json_response(token_body(self._own(caller, token_id)))

    def delete(self, event: HttpEvent, token_id: str) -> HttpResponse:
        """Revoke the token at once; tasks that it ordered go on."""
        caller = authenticate_server_key(event, self.dependencies)
        pagination.query_parameters(event)
        self._own(caller, token_id)
        now = self.dependencies.clock.now_ms()
        self.dependencies.tokens.revoke(token_id, key=caller.key, now=now)
        return HttpResponse(204, None, "")

    def _token(
        self, wanted: CreateTokenRequest, key: str, key_id: str, owner: str, *, ends_at_s: int
    ) -> Token:
        return Token(
            token_id=f"{self.dependencies.clock.rng.getrandbits(128):032x}",
            key=key,
            key_id=key_id,
            owner=owner,
            scopes=wanted.scopes,
            max_credits=wanted.max_credits,
            ends_at=ends_at_s * 1000,
            max_tasks=wanted.max_tasks,
            models=wanted.models,
            origin=wanted.origin,
        )

    def _own(self, caller: Caller, token_id: str) -> Token:
        """The token, if the caller's server key issued it for a user whom the caller may act for. Raises
        ProblemError."""
        token = self.dependencies.tokens.get(token_id)
        if token is None or token.key != caller.key:
            raise ProblemError(problems.TOKEN_NOT_FOUND)
        if caller.owner not in (caller.key, token.owner):
            raise ProblemError(problems.TOKEN_NOT_FOUND)
        return token
