"""Who calls: a server key, for itself or for one of its users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import UNAUTHORIZED
from imagetasks.api.request import acting_user, bearer_token
from imagetasks.aws.secrets import OWNER_SEPARATOR
from imagetasks.tasks.caller import Caller

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

    from imagetasks.api.dependencies import ApiDependencies

Scope = Literal["tasks:write", "tasks:read", "uploads:write", "quotes"]


def authenticate(
    event: APIGatewayProxyEventV2, dependencies: ApiDependencies, _scope: Scope
) -> Caller:
    """The caller of a route that needs `_scope`; a server key has every scope.

    Raises ProblemError (401, or 400 for an invalid X-Owner), SecretInvalid, SecretUnavailable.
    """
    return authenticate_server_key(event, dependencies)


def authenticate_server_key(event: APIGatewayProxyEventV2, dependencies: ApiDependencies) -> Caller:
    """The caller of a route that only server keys may use. Raises as `authenticate` does."""
    name = dependencies.api_keys.owner_for_key(bearer_token(event))
    if name is None:
        raise ProblemError(UNAUTHORIZED)
    user = acting_user(event)
    return Caller(key=name, owner=f"{name}{OWNER_SEPARATOR}{user}" if user else name)
