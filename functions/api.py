"""The HTTPS API: see who asks, do one thing, answer."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

import problems
from asking import idempotency_key, origin, raw_body, server_key
from imagetasks import order, pricing, telemetry, view
from imagetasks.errors import ImageTasksError, TaskNotFound
from imagetasks.images import Images
from imagetasks.secrets import ApiKeys
from imagetasks.submit import Order
from imagetasks.task import Task, is_task_id
from problems import Refusal
from wiring import submitter_from_env

app = APIGatewayHttpResolver()
api_keys = ApiKeys.from_env()
images = Images.from_env()
submitter = submitter_from_env(api_keys)


@app.post("/v1/tasks")
def create_task() -> Response[str]:
    """Accept an order, once for each Idempotency-Key."""
    owner, key = _owner(), idempotency_key(app.current_event)
    request = order.parse(raw_body(app.current_event))
    wish = order.poyo_input(request)
    placed = Order(
        owner=owner,
        idempotency_key=key,
        model=request.model,
        input=wish,
        metadata=request.metadata,
        estimate=pricing.estimate(wish),
        origin=origin(app.current_event),
    )
    task, replayed = submitter.submit(placed)
    if problem := problems.refused(task):
        raise Refusal(problem)
    headers = {"Location": f"/v1/tasks/{task.task_id}"}
    if replayed:
        return _shown(task, 200, headers | {"Idempotent-Replayed": "true"})
    return _shown(task, 202, headers)


@app.get("/v1/tasks/<task_id>")
def read_task(task_id: str) -> Response[str]:
    """The task as it stands."""
    return _shown(_task(task_id), 200, {})


@app.get("/v1/tasks/<task_id>/files/<n>")
def read_file(task_id: str, n: str) -> Response[str]:
    """The way to an image of a finished task, good for a few minutes."""
    named = {str(number): kept for number, kept in enumerate(_task(task_id).files)}
    if n not in named:
        raise Refusal(problems.NO_FILE)
    headers = {"Location": images.link(named[n]), "Cache-Control": "private, max-age=60"}
    return Response(302, "text/plain", "", headers=headers)


@app.get("/health")
def health() -> Response[str]:
    """Alive; asks nobody else."""
    return Response(200, "application/json", '{"status":"ok"}')


@app.exception_handler(Refusal)
def on_refusal(refusal: Refusal) -> Response[str]:
    return refusal.problem.response()


@app.exception_handler(ImageTasksError)
def on_error(error: ImageTasksError) -> Response[str]:
    telemetry.note("refused", error=type(error).__name__)
    return problems.problem_of(error).response()


@app.exception_handler(Exception)
def on_defect(error: Exception) -> Response[str]:
    """A defect of ours: the caller gets our kind of answer, the operator an alarm."""
    telemetry.page("api_failed", error=type(error).__name__)
    return problems.INTERNAL.response()


@app.not_found
def on_no_route(_: NotFoundError) -> Response[str]:
    return problems.NO_ROUTE.response()


def _owner() -> str:
    owner = api_keys.owner_of(server_key(app.current_event))
    if owner is None:
        raise Refusal(problems.UNAUTHORIZED)
    return owner


def _task(task_id: str) -> Task:
    """The caller's own task; anybody else's is not found."""
    owner = _owner()
    if not is_task_id(task_id):
        raise Refusal(problems.NO_TASK)
    task = submitter.store.read(task_id)
    if task.owner != owner:
        raise TaskNotFound(task_id)
    return task


def _shown(task: Task, status: int, headers: dict[str, str]) -> Response[str]:
    if not task.ended:
        headers["Retry-After"] = "5"
    body = json.dumps(view.show(task, origin=origin(app.current_event)))
    return Response(status, "application/json", body, headers=dict(headers))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    return app.resolve(event, context)
