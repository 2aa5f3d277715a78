"""`POST /v1/tasks`, PoYo's submit, and `/v1/quotes`: whatever reads an order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from imagetasks.api import error_mapping, json_body, order_request, pagination, request, schemas
from imagetasks.api.authentication import authenticate, require_model
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.quote_bodies import quote
from imagetasks.api.response import json_response
from imagetasks.api.routes.tasks import retry_after
from imagetasks.errors import ImageTasksError
from imagetasks.poyo import compat

if TYPE_CHECKING:
    from imagetasks.api.api_gateway import HttpEvent, HttpResponse
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.tasks.caller import Caller
    from imagetasks.workflows.submit import Placement


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OrderRoutes:
    """Routes of orders and quotes."""

    dependencies: ApiDependencies

    def create(self, event: HttpEvent) -> HttpResponse:
        """Create one task for each Idempotency-Key."""
        caller = authenticate(event, self.dependencies, "tasks:write")
        placement = place_order(event, self.dependencies, caller, request.idempotency_key(event))
        task = placement.task
        headers = {"Location": f"/v1/tasks/{task.task_id}"} | retry_after(task)
        body = schemas.task_body(
            task,
            public_base_url=request.public_base_url(event),
            retention_days=self.dependencies.clock.limits.image_retention_days,
        )
        if placement.replayed:
            return json_response(body, 200, headers | {"Idempotent-Replayed": "true"})
        return json_response(body, 202, headers)

    def submit(self, event: HttpEvent) -> HttpResponse:
        """The same in PoYo's shape. Without an Idempotency-Key every request is a new order, as at PoYo."""
        caller = authenticate(event, self.dependencies, "tasks:write")
        key = request.optional_idempotency_key(event)
        placement = place_order(event, self.dependencies, caller, key)
        headers = {"Idempotent-Replayed": "true"} if placement.replayed else {}
        return json_response(compat.submit_body(placement.task), 200, headers)

    def quote(self, event: HttpEvent) -> HttpResponse:
        """What an order would cost and whether the caller may spend that, after the checks of an order;
        nothing is submitted."""
        caller = authenticate(event, self.dependencies, "quotes")
        public_base_url = request.public_base_url(event)
        pagination.query_parameters(event)
        models = self.dependencies.models.by_id()
        body = order_request.parse(request.limited_body(event), models, public_base_url)
        require_model(caller, body.model)
        model = models[body.model]
        self.dependencies.placement.check(
            caller.owner,
            addresses=dict(model.addresses(body.input)),
            public_base_url=public_base_url,
            notification_url=body.callback_url,
        )
        standing = self.dependencies.spending.standing(caller)
        return json_response(quote(model, body.input, standing))


def place_order(
    event: HttpEvent, dependencies: ApiDependencies, caller: Caller, key: str | None
) -> Placement:
    """Create the order's task, or find the one that `key` stands for; without a key every request is
    an order of its own. A key's task decides before any rule that may have changed since.

    Raises ProblemError and InvalidOrder for a refused order, and what `OrderPlacement` raises.
    """
    placement = dependencies.placement
    basis = placement.read(caller, key)
    earlier = basis.earlier
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
    return _accepted(placement.place(order, caller, basis))


def _accepted(placement: Placement) -> Placement:
    """The placement. Raises ProblemError if PoYo refused its order at once."""
    if problem := error_mapping.submission_problem(placement.task):
        raise ProblemError(problem)
    return placement
