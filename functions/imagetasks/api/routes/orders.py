"""One way for every order: the task of its Idempotency-Key first, then today's rules, then the submit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import error_mapping, json_body, order_request, pagination, request
from imagetasks.api.authentication import require_model
from imagetasks.api.problem_details import ProblemError
from imagetasks.errors import ImageTasksError

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.tasks.caller import Caller
    from imagetasks.workflows.submit import Placement


def place_order(
    event: Event, dependencies: ApiDependencies, caller: Caller, key: str | None
) -> Placement:
    """Create the order's task, or find the one that `key` stands for; without a key every request is
    an order of its own. A key's task decides before any rule that may have changed since.

    Raises ProblemError and InvalidOrder for a refused order, and what `OrderPlacement` raises.
    """
    placement = dependencies.placement
    earlier = placement.earlier_task(caller.owner, key) if key else None
    try:
        pagination.query_parameters(event)
        body = json_body.parse_object(request.limited_body(event))
    except (ProblemError, ImageTasksError) as error:
        if earlier is None:
            raise
        # Nobody can tell whether this was meant to be the order that the key's task was paid for.
        problem = error_mapping.problem_for(error)
        raise ProblemError(replace(problem, charged=None, task_id=earlier.task_id)) from None
    fingerprint = order_request.order_fingerprint(body)
    if earlier:
        return _accepted(placement.replay(earlier, fingerprint))
    models = dependencies.models.by_id()
    wanted = order_request.validate(body, models, request.public_base_url(event))
    require_model(caller, wanted.model)
    order = order_request.to_order(
        wanted,
        models[wanted.model],
        owner=caller.owner,
        idempotency_key=key or uuid4().hex,
        fingerprint=fingerprint,
        public_base_url=request.public_base_url(event),
    )
    return _accepted(placement.place(order, caller))


def _accepted(placement: Placement) -> Placement:
    """The placement. Raises ProblemError if PoYo refused its order at once."""
    if problem := error_mapping.submission_problem(placement.task):
        raise ProblemError(problem)
    return placement
