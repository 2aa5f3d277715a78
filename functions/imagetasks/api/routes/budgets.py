"""`/v1/budgets`: what a server key, each of its users and the whole stack may spend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from imagetasks.api import budget_bodies, budget_request, pagination, request
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.authentication import authenticate_server_key
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import INVALID_REQUEST, SCOPE_NOT_FOUND
from imagetasks.api.response import conditional_response, json_response
from imagetasks.errors import InvalidOrder
from imagetasks.tasks.budgets import OWNER, scopes
from imagetasks.tasks.caller import OWNER_SEPARATOR
from imagetasks.workflows.budget_settings import BudgetSettings

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.tasks.caller import Caller


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BudgetRoutes:
    """Routes of budgets, for server keys only."""

    dependencies: ApiDependencies

    def get(self, event: HttpEvent, scope: str) -> HttpResponse:
        """The budget that counts for the scope, and what is left of it."""
        name, internal = self._scope(event, scope)
        state = self._budgets.get(internal)
        return conditional_response(event, budget_bodies.budget_body(name, state))

    def put(self, event: HttpEvent, scope: str) -> HttpResponse:
        """Set the scope's budget."""
        name, internal = self._scope(event, scope)
        try:
            terms = budget_request.parse(request.limited_body(event))
        except InvalidOrder as error:
            raise ProblemError(replace(INVALID_REQUEST, errors=error.problems)) from None
        state = self._budgets.set(internal, **terms)
        return json_response(budget_bodies.budget_body(name, state))

    def delete(self, event: HttpEvent, scope: str) -> HttpResponse:
        """Remove the scope's budget; what was spent stays recorded."""
        _, internal = self._scope(event, scope)
        self._budgets.remove(internal)
        return HttpResponse(204, None, "")

    @property
    def _budgets(self) -> BudgetSettings:
        return BudgetSettings(self.dependencies.spending)

    def _scope(self, event: HttpEvent, text: str) -> tuple[str, str]:
        caller = authenticate_server_key(event, self.dependencies)
        pagination.query_parameters(event)
        return _named_scope(caller, text)


def _named_scope(caller: Caller, text: str) -> tuple[str, str]:
    """The scope that `text`, a segment of the path, names for the caller, as the caller and as the table
    know it. Whatever it says, it is the stack's, the calling key's or one of that key's owners. Raises
    ProblemError."""
    name, own = unquote(text), scopes(caller)
    if name in own:
        return name, own[name]
    user = name.removeprefix(OWNER)
    if name.startswith(OWNER) and request.USER.fullmatch(user):
        return name, f"{OWNER}{caller.key}{OWNER_SEPARATOR}{user}"
    raise ProblemError(SCOPE_NOT_FOUND)
