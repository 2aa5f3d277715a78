"""Who calls: the owner of the server key in the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import UNAUTHORIZED
from imagetasks.api.request import acting_user, bearer_token
from imagetasks.aws.secrets import OWNER_SEPARATOR

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

    from imagetasks.aws.secrets import ApiKeys


def authenticate(event: APIGatewayProxyEventV2, api_keys: ApiKeys) -> str:
    """The owner whose tasks the caller may see: the server key's name, or one of its users.

    Raises ProblemError (401, or 400 for an invalid X-Owner), SecretInvalid, SecretUnavailable.
    """
    name = api_keys.owner_for_key(bearer_token(event))
    if name is None:
        raise ProblemError(UNAUTHORIZED)
    user = acting_user(event)
    return f"{name}{OWNER_SEPARATOR}{user}" if user else name
