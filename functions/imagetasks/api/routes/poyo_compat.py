"""PoYo's own routes: a client written for PoYo finds here what it found there, only durable."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import order_request, problems, request
from imagetasks.api.dependencies import House
from imagetasks.api.order_request import TaskRequest
from imagetasks.api.problem_details import Refusal
from imagetasks.api.response import said, unless_known
from imagetasks.errors import InvalidOrder, InvalidParameter
from imagetasks.poyo import catalog, compat
from imagetasks.poyo.models import MODELS


@dataclass(frozen=True, slots=True)
class DropIn:
    """`/api/…` and `/v1/catalog`, in PoYo's shapes, errors too (see problems)."""

    house: House

    def submit(self, event: Event) -> Response[str]:
        """Accept an order; without an Idempotency-Key every one is new, as it is at PoYo."""
        owner, key = self.house.owner(event), request.optional_idempotency_key(event)
        order = _order(request.order_body(event))
        task, replayed = self.house.place(event, order, owner=owner, key=key)
        if problem := problems.refused(task):
            raise Refusal(problem)
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return said(compat.accepted(task), 200, headers)

    def status(self, event: Event, task_id: str) -> Response[str]:
        """The task as PoYo would show it; its file links are ours and stay."""
        task = self.house.reader.task(self.house.owner(event), task_id)
        return said(compat.wrapped(compat.shown(task, origin=request.origin(event))))

    def balance(self, event: Event) -> Response[str]:
        """Credits left on the account at PoYo, as of the last minute."""
        self.house.owner(event)
        return said(compat.balance(self.house.balance()))

    def models(self, event: Event) -> Response[str]:
        """All models; public."""
        try:
            page = catalog.page(request.parameters(event, *catalog.QUERY))
        except ValueError:
            raise InvalidParameter("limit or cursor", "must be a whole number") from None
        return unless_known(event, compat.wrapped(page))

    def model(self, event: Event, model: str) -> Response[str]:
        """One model; public."""
        if model not in MODELS:
            raise Refusal(problems.NO_MODEL)
        return unless_known(event, compat.wrapped(catalog.item(model)))


def _order(body: bytes) -> TaskRequest:
    """The order in `body`, or InvalidOrder; PoYo has a word of its own for pictures that are none."""
    try:
        return order_request.parse(body)
    except InvalidOrder as error:
        if not all(each["pointer"].startswith("/input/image_urls/") for each in error.problems):
            raise
        problem = replace(problems.INVALID_ORDER, code=compat.NO_PICTURE, errors=error.problems)
        raise Refusal(problem) from None
