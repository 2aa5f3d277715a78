"""Tasks: ordered, read, listed, deleted, and what one would cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import accumulate

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

import asking
import problems
from answering import said, unless_known
from house import House
from imagetasks import cursor, order, view
from imagetasks.cursor import Place
from imagetasks.store import Page
from imagetasks.task import Task
from refusal import Refusal

LOOK_AGAIN_S = "5"
MOST_BYTES = 4 * 1024 * 1024  # of a page; Lambda's answers end at 6 MB


@dataclass(frozen=True, slots=True)
class Tasks:
    """`/v1/tasks` and `/v1/quotes`."""

    house: House

    def create(self, event: Event) -> Response[str]:
        """Accept an order, once for each Idempotency-Key."""
        owner, key = self.house.owner(event), asking.idempotency_key(event)
        request = order.parse(asking.order_body(event))
        task, replayed = self.house.place(event, request, owner=owner, key=key)
        if problem := problems.refused(task):
            raise Refusal(problem)
        headers = {"Location": f"/v1/tasks/{task.task_id}"} | _again(task)
        if replayed:
            return said(_shown(task, event), 200, headers | {"Idempotent-Replayed": "true"})
        return said(_shown(task, event), 202, headers)

    def read(self, event: Event, task_id: str) -> Response[str]:
        """The task as it stands, or as soon as its status changes."""
        owner = self.house.owner(event)
        wait_s = asking.wait_s(asking.parameters(event, "wait"))
        task = self.house.reader.awaited(owner, task_id, wait_s=wait_s)
        return unless_known(event, _shown(task, event), _again(task))

    def list(self, event: Event) -> Response[str]:
        """The owner's tasks, newest first."""
        owner = self.house.owner(event)
        given = asking.parameters(event, "status", "limit", "cursor")
        status, limit = asking.status(given), asking.page_limit(given)
        page = self.house.reader.page(owner, status=status, limit=limit, after=asking.place(given))
        return said(_page(page, event))

    def delete(self, event: Event, task_id: str) -> Response[str]:
        """Prompt and images go; the Idempotency-Key and the money stay true."""
        asking.parameters(event)
        self.house.reader.delete(self.house.owner(event), task_id)
        return Response(204, None, "")

    def quote(self, event: Event) -> Response[str]:
        """What an order would cost; nothing is sent."""
        self.house.owner(event)
        request = order.parse(asking.order_body(event))
        self.house.check_callback(request.callback_url)
        return said(view.quote(request.model, order.poyo_input(request)))


def _shown(task: Task, event: Event) -> view.TaskView:
    return view.show(task, origin=asking.origin(event))


def _again(task: Task) -> dict[str, str]:
    return {} if task.ended else {"Retry-After": LOOK_AGAIN_S}


def _page(page: Page, event: Event) -> view.TaskPage:
    """As many of the page's tasks as one answer can carry; the cursor says where it broke off."""
    shown, last = [_shown(task, event) for task in page.tasks], page.last
    sizes = accumulate(len(json.dumps(each, ensure_ascii=False).encode()) for each in shown)
    fitting = max(1, sum(size <= MOST_BYTES for size in sizes))
    if fitting < len(shown):
        final = page.tasks[fitting - 1]
        last = Place(final.created_at, final.task_id)
    return {"tasks": shown[:fitting], "next_cursor": cursor.written(last) if last else None}
