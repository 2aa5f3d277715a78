"""Tasks: ordered, read, listed, deleted, and what one would cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import accumulate

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import order_request, pagination, problems, request, schemas
from imagetasks.api.dependencies import ApiDependencies
from imagetasks.api.pagination import ListPosition
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import conditional_response, json_response
from imagetasks.aws.task_repository import Page
from imagetasks.tasks.task import Task

POLL_INTERVAL_S = "5"
MOST_BYTES = 4 * 1024 * 1024  # of a page; Lambda's answers end at 6 MB


@dataclass(frozen=True, slots=True)
class TaskRoutes:
    """`/v1/tasks` and `/v1/quotes`."""

    house: ApiDependencies

    def create(self, event: Event) -> Response[str]:
        """Accept an order, once for each Idempotency-Key."""
        owner, key = self.house.owner(event), request.idempotency_key(event)
        order = order_request.parse(request.limited_body(event))
        task, replayed = self.house.place(event, order, owner=owner, key=key)
        if problem := problems.submission_problem(task):
            raise ProblemError(problem)
        headers = {"Location": f"/v1/tasks/{task.task_id}"} | _again(task)
        if replayed:
            return json_response(
                _shown(task, event), 200, headers | {"Idempotent-Replayed": "true"}
            )
        return json_response(_shown(task, event), 202, headers)

    def read(self, event: Event, task_id: str) -> Response[str]:
        """The task as it stands, or as soon as its status changes."""
        owner = self.house.owner(event)
        wait_s = request.wait_s(request.query_parameters(event, "wait"))
        task = self.house.reader.wait_for_change(owner, task_id, wait_s=wait_s)
        return conditional_response(event, _shown(task, event), _again(task))

    def list(self, event: Event) -> Response[str]:
        """The owner's tasks, newest first."""
        owner = self.house.owner(event)
        given = request.query_parameters(event, "status", "limit", "cursor")
        status, limit = request.status_filter(given), request.page_limit(given)
        page = self.house.reader.list(
            owner, status=status, limit=limit, after=request.list_position(given)
        )
        return json_response(_page(page, event))

    def delete(self, event: Event, task_id: str) -> Response[str]:
        """Prompt and images go; the Idempotency-Key and the money stay true."""
        request.query_parameters(event)
        self.house.reader.delete(self.house.owner(event), task_id)
        return Response(204, None, "")

    def quote(self, event: Event) -> Response[str]:
        """What an order would cost; nothing is sent."""
        self.house.owner(event)
        order = order_request.parse(request.limited_body(event))
        self.house.validate_notification_url(order.callback_url)
        return json_response(schemas.quote(order.model, order_request.poyo_input(order)))


def _shown(task: Task, event: Event) -> schemas.TaskBody:
    return schemas.task_body(task, origin=request.public_base_url(event))


def _again(task: Task) -> dict[str, str]:
    return {} if task.ended else {"Retry-After": POLL_INTERVAL_S}


def _page(page: Page, event: Event) -> schemas.TaskPage:
    """As many of the page's tasks as one answer can carry; the cursor says where it broke off."""
    shown, last = [_shown(task, event) for task in page.tasks], page.last
    sizes = accumulate(len(json.dumps(each, ensure_ascii=False).encode()) for each in shown)
    fitting = max(1, sum(size <= MOST_BYTES for size in sizes))
    if fitting < len(shown):
        final = page.tasks[fitting - 1]
        last = ListPosition(final.created_at, final.task_id)
    return {
        "tasks": shown[:fitting],
        "next_cursor": pagination.encode_cursor(last) if last else None,
    }
