"""PoYo's own routes, shapes and errors: a client written for PoYo works here without a change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import error_mapping, order_request, pagination, problems, request
from imagetasks.api.authentication import authenticate
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import conditional_response, json_response
from imagetasks.errors import InvalidOrder, InvalidParameter
from imagetasks.poyo import catalog, compat
from imagetasks.poyo.models import MODELS

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.api.order_request import CreateTaskRequest
    from imagetasks.api.problem_details import Problem

PATHS = ("/api/", "/v1/catalog/")
POYO_STATUS = {410: 404, 413: 400, 422: 400}  # PoYo answers these problems with other statuses


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PoyoCompatRoutes:
    """`/api/…` and `/v1/catalog`."""

    dependencies: ApiDependencies

    def submit(self, event: Event) -> Response[str]:
        """Create a task. Without an Idempotency-Key every request is a new order, as at PoYo."""
        owner = authenticate(event, self.dependencies.api_keys)
        key = request.optional_idempotency_key(event)
        body = _parse(request.limited_body(event))
        order = order_request.to_order(
            body,
            owner=owner,
            idempotency_key=key or uuid4().hex,
            public_base_url=request.public_base_url(event),
        )
        placement = self.dependencies.placement.place(order)
        if problem := error_mapping.submission_problem(placement.task):
            raise ProblemError(problem)
        headers = {"Idempotent-Replayed": "true"} if placement.replayed else {}
        return json_response(compat.submit_body(placement.task), 200, headers)

    def status(self, event: Event, task_id: str) -> Response[str]:
        """The task in PoYo's shape; its file URLs are ours and do not expire after a day."""
        owner = authenticate(event, self.dependencies.api_keys)
        task = self.dependencies.tasks.get(owner, task_id)
        body = compat.task_body(task, public_base_url=request.public_base_url(event))
        return json_response(compat.envelope(body))

    def balance(self, event: Event) -> Response[str]:
        """Credits left on the account at PoYo, as of the last minute."""
        authenticate(event, self.dependencies.api_keys)
        return json_response(compat.balance_body(self.dependencies.balance()))

    def models(self, event: Event) -> Response[str]:
        """Every model; public."""
        query = pagination.query_parameters(event, *catalog.QUERY)
        try:
            page = catalog.list_models(query)
        except ValueError:
            raise InvalidParameter("limit or cursor", "must be a whole number") from None
        return conditional_response(event, compat.envelope(page))

    def model(self, event: Event, model: str) -> Response[str]:
        """One model; public."""
        if model not in MODELS:
            raise ProblemError(problems.MODEL_NOT_FOUND)
        return conditional_response(event, compat.envelope(catalog.model_entry(model)))


def error_response(problem: Problem) -> Response[str]:
    """`problem` as PoYo writes errors: one message, and 400 for everything wrong with an order."""
    details = [
        f"{each.get('pointer') or each.get('parameter')}: {each['detail']}"
        for each in problem.errors
    ]
    unknown_model = [each.get("pointer") for each in problem.errors] == ["/model"]
    status = 404 if unknown_model else POYO_STATUS.get(problem.status, problem.status)
    body = compat.error_body(status, problem.code, " ".join([problem.detail, *details]))
    return json_response(body, status, problem.headers())


def _parse(body: bytes) -> CreateTaskRequest:
    """The order in `body`, or InvalidOrder. PoYo has an error type of its own for invalid images."""
    try:
        return order_request.parse(body)
    except InvalidOrder as error:
        if not all(each["pointer"].startswith("/input/image_urls/") for each in error.problems):
            raise
        problem = replace(problems.INVALID_ORDER, code=compat.INVALID_IMAGE, errors=error.problems)
        raise ProblemError(problem) from None
