"""PoYo's own routes, shapes and errors: a client written for PoYo works here without a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import pagination, problems, request
from imagetasks.api.authentication import authenticate, authenticate_server_key
from imagetasks.api.field_errors import is_unknown_model
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import conditional_response, json_response
from imagetasks.api.routes.orders import place_order
from imagetasks.poyo import catalog, compat

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.api.problem_details import Problem
    from imagetasks.poyo.model_catalog import Model

PATHS = ("/api/", "/v1/catalog/")
IMAGES = ("/input/image_urls/", "/input/mask_url", "/input/elements/")
KEYLESS = {
    False: "The order was not accepted.",
    None: "It is not known whether the order was accepted.",
}
ADVICE = "Without an Idempotency-Key each request is an order of its own."
REFUSED = {
    problems.BUDGET_EXHAUSTED.code,
    problems.ORDERS_PAUSED.code,
}  # say why, and invite to nothing
POYO_STATUS = {410: 404, 413: 400, 422: 400}  # PoYo answers these problems with other statuses


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PoyoCompatRoutes:
    """`/api/…` and `/v1/catalog`."""

    dependencies: ApiDependencies

    def submit(self, event: Event) -> Response[str]:
        """Create a task. Without an Idempotency-Key every request is a new order, as at PoYo."""
        caller = authenticate(event, self.dependencies, "tasks:write")
        key = request.optional_idempotency_key(event)
        placement = place_order(event, self.dependencies, caller, key)
        headers = {"Idempotent-Replayed": "true"} if placement.replayed else {}
        return json_response(compat.submit_body(placement.task), 200, headers)

    def status(self, event: Event, task_id: str) -> Response[str]:
        """The task in PoYo's shape; its file URLs are ours and do not expire after a day."""
        caller = authenticate(event, self.dependencies, "tasks:read")
        task = self.dependencies.tasks.get(caller.owner, task_id)
        body = compat.task_body(task, public_base_url=request.public_base_url(event))
        return json_response(compat.envelope(body))

    def balance(self, event: Event) -> Response[str]:
        """Credits left on the account at PoYo, as of the last minute."""
        authenticate_server_key(event, self.dependencies)
        return json_response(compat.balance_body(self.dependencies.balance()))

    def models(self, event: Event) -> Response[str]:
        """Every model that new orders may name; public."""
        query = pagination.query_parameters(event, *catalog.QUERY)
        return conditional_response(
            event, compat.envelope(catalog.list_models(query, self._models()))
        )

    def model(self, event: Event, model: str) -> Response[str]:
        """One model; public."""
        if (found := self._models().get(model)) is None:
            raise ProblemError(problems.MODEL_NOT_FOUND)
        return conditional_response(event, compat.envelope(catalog.model_entry(found)))

    def _models(self) -> Mapping[str, Model]:
        return self.dependencies.models.by_id()


def error_response(problem: Problem) -> Response[str]:
    """`problem` as PoYo writes errors: one message, and 400 for everything wrong with an order."""
    details = [
        f"{each['parameter'] if 'parameter' in each else each['pointer'] or 'body'}: {each['detail']}"
        for each in problem.errors
    ]
    pointers = [each.get("pointer", "") for each in problem.errors]
    images = pointers and all(each.startswith(IMAGES) for each in pointers)
    code = compat.INVALID_IMAGE if images else problem.code
    unknown = is_unknown_model(problem.errors)
    status = 404 if unknown else POYO_STATUS.get(problem.status, problem.status)
    body = compat.error_body(status, code, " ".join([problem.detail, *details]))
    return json_response(body, status, problem.headers())


def without_key(problem: Problem) -> Problem:
    """`problem` for an order without an Idempotency-Key: a repetition is a second order, so that nothing
    invites the client to it."""
    if problem.retry != "same_key":
        return problem
    invites = problem.code not in REFUSED
    told = KEYLESS[problem.charged] if invites else problem.detail
    return replace(problem, retry="never", detail=f"{told} {ADVICE}")
