"""`/v1/tasks`: get, list and delete tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from imagetasks.api import pagination, request, schemas
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.authentication import authenticate
from imagetasks.api.response import (
    conditional_response,
    entity_tag,
    known_entity_tags,
)
from imagetasks.tasks.list_position import ListPosition

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.aws.task_repository import TaskPage
    from imagetasks.tasks.caller import Caller
    from imagetasks.tasks.task import Task

POLL_INTERVAL_S = "5"
MAX_PAGE_BYTES = 4 * 1024 * 1024  # as Lambda counts; its response may have 6 MB


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TaskRoutes:
    """Routes of tasks that exist."""

    dependencies: ApiDependencies

    def get(self, event: HttpEvent, task_id: str) -> HttpResponse:
        """The task as it is, or within `wait` seconds as soon as it differs from what the caller has:
        from the body that If-None-Match names, else from the status at the beginning."""
        caller = authenticate(event, self.dependencies, "tasks:read")
        wait_s = pagination.wait_s(pagination.query_parameters(event, "wait"))
        wait_s = 0 if request.is_head(event) else wait_s
        known = known_entity_tags(event)

        def is_unknown(task: Task) -> bool:
            return entity_tag(self._body(task, event)) not in known

        task = self.dependencies.tasks.wait_for_change(
            caller.owner, task_id, wait_s=wait_s, has_changed=is_unknown if known else None
        )
        return conditional_response(event, self._body(task, event), retry_after(task))

    def list(self, event: HttpEvent) -> HttpResponse:
        """A page of the owner's tasks, newest first, or those that `task_ids` names."""
        caller = authenticate(event, self.dependencies, "tasks:read")
        parameters = pagination.query_parameters(
            event, "status", "limit", "cursor", "task_ids", "wait"
        )
        if named := pagination.task_ids(parameters):
            return self._list_named(event, caller, named, pagination.wait_s(parameters))
        page = self.dependencies.tasks.list(
            caller.owner,
            status=pagination.status_filter(parameters),
            limit=pagination.page_limit(parameters),
            after=pagination.list_position(parameters),
        )
        bodies = [self._body(task, event) for task in page.tasks]
        return conditional_response(event, _page_body(page, bodies))

    def _list_named(
        self, event: HttpEvent, caller: Caller, named: Sequence[str], wait_s: int
    ) -> HttpResponse:
        """The named tasks as they are, or within `wait_s` seconds as soon as one of them differs from what
        the caller has, as in `get`."""
        known = known_entity_tags(event)

        def body(tasks: Mapping[str, Task]) -> schemas.TaskListBody:
            bodies = [self._body(task, event) for task in tasks.values()]
            return _named_body(bodies, [each for each in named if each not in tasks])

        def is_unknown(tasks: Mapping[str, Task]) -> bool:
            return entity_tag(body(tasks)) not in known

        tasks = self.dependencies.tasks.wait_for_change_of_any(
            caller.owner,
            named,
            wait_s=0 if request.is_head(event) else wait_s,
            has_changed=is_unknown if known else None,
        )
        return conditional_response(event, body(tasks), retry_after(*tasks.values()))

    def delete(self, event: HttpEvent, task_id: str) -> HttpResponse:
        """Remove the prompt and the images; the Idempotency-Key and the charge stay recorded."""
        pagination.query_parameters(event)
        caller = authenticate(event, self.dependencies, "tasks:write")
        self.dependencies.tasks.delete(caller.owner, task_id)
        return HttpResponse(204, None, "")

    def _body(self, task: Task, event: HttpEvent) -> schemas.TaskBody:
        return schemas.task_body(
            task,
            public_base_url=request.public_base_url(event),
            retention_days=self.dependencies.clock.limits.image_retention_days,
        )


def retry_after(*tasks: Task) -> dict[str, str]:
    """When to ask again, unless all of them have an outcome."""
    return {} if all(task.is_final for task in tasks) else {"Retry-After": POLL_INTERVAL_S}


def _named_body(
    bodies: Sequence[schemas.TaskBody], not_found: Sequence[str]
) -> schemas.TaskListBody:
    """As many of the named tasks as one response can carry, and the ids of the others."""
    fitting = _fitting(bodies)
    return {
        "tasks": bodies[:fitting],
        "next_cursor": None,
        "not_found": not_found,
        "remaining": [each["task_id"] for each in bodies[fitting:]],
    }


def _page_body(page: TaskPage, bodies: Sequence[schemas.TaskBody]) -> schemas.TaskListBody:
    """As many of the page's tasks as one response can carry, and a cursor of the next one."""
    last = page.last
    fitting = _fitting(bodies)
    if fitting < len(bodies):
        final = page.tasks[fitting - 1]
        last = ListPosition(final.created_at, final.task_id)
    return {
        "tasks": bodies[:fitting],
        "next_cursor": pagination.encode_cursor(last) if last else None,
    }


def _fitting(bodies: Sequence[schemas.TaskBody]) -> int:
    """How many of the tasks one response can carry."""
    sizes = accumulate(map(_bytes_in_response, bodies))
    return max(1, sum(size <= MAX_PAGE_BYTES for size in sizes))


def _bytes_in_response(body: schemas.TaskBody) -> int:
    """Bytes of the task in Lambda's response, which is JSON that contains the body's JSON as a string: a
    quotation mark in a prompt takes four. The runtime of Python 3.13 escapes no other characters."""
    text = json.dumps(body, ensure_ascii=False)
    return len(json.dumps(text, ensure_ascii=False).encode())
