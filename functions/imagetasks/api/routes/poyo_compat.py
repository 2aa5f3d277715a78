"""PoYo's own routes: a client written for PoYo finds here what it found there, only durable."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import order_request, problems, request
from imagetasks.api.dependencies import ApiDependencies
from imagetasks.api.order_request import CreateTaskRequest
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import conditional_response, json_response
from imagetasks.errors import InvalidOrder, InvalidParameter
from imagetasks.poyo import catalog, compat
from imagetasks.poyo.models import MODELS


@dataclass(frozen=True, slots=True)
class PoyoCompatRoutes:
    """`/api/…` and `/v1/catalog`, in PoYo's shapes, errors too (see problems)."""

    house: ApiDependencies

    def submit(self, event: Event) -> Response[str]:
        """Accept an order; without an Idempotency-Key every one is new, as it is at PoYo."""
        owner, key = self.house.owner(event), request.optional_idempotency_key(event)
        order = _order(request.limited_body(event))
        task, replayed = self.house.place(event, order, owner=owner, key=key)
        if problem := problems.submission_problem(task):
            raise ProblemError(problem)
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return json_response(compat.submit_body(task), 200, headers)

    def status(self, event: Event, task_id: str) -> Response[str]:
        """The task as PoYo would show it; its file links are ours and stay."""
        task = self.house.reader.get(self.house.owner(event), task_id)
        return json_response(
            compat.envelope(compat.task_body(task, origin=request.public_base_url(event)))
        )

    def balance(self, event: Event) -> Response[str]:
        """Credits left on the account at PoYo, as of the last minute."""
        self.house.owner(event)
        return json_response(compat.balance_body(self.house.balance()))

    def models(self, event: Event) -> Response[str]:
        """All models; public."""
        try:
            page = catalog.list_models(request.query_parameters(event, *catalog.QUERY))
        except ValueError:
            raise InvalidParameter("limit or cursor", "must be a whole number") from None
        return conditional_response(event, compat.envelope(page))

    def model(self, event: Event, model: str) -> Response[str]:
        """One model; public."""
        if model not in MODELS:
            raise ProblemError(problems.MODEL_NOT_FOUND)
        return conditional_response(event, compat.envelope(catalog.model_entry(model)))


def _order(body: bytes) -> CreateTaskRequest:
    """The order in `body`, or InvalidOrder; PoYo has a word of its own for pictures that are none."""
    try:
        return order_request.parse(body)
    except InvalidOrder as error:
        if not all(each["pointer"].startswith("/input/image_urls/") for each in error.problems):
            raise
        problem = replace(problems.INVALID_ORDER, code=compat.INVALID_IMAGE, errors=error.problems)
        raise ProblemError(problem) from None
