"""PoYo's callbacks: a valid signed URL enqueues its task, any other URL is answered with 404."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from imagetasks import telemetry
from imagetasks.api.problem_details import Problem
from imagetasks.api.problems import CALLBACK_NOT_FOUND, INTERNAL_ERROR, SERVICE_UNAVAILABLE
from imagetasks.api.request import raw_body, request_id
from imagetasks.aws.secrets import CallbackKeys
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.errors import ImageTasksError
from imagetasks.workflows.receive_callback import CallbackRequest
from imagetasks.workflows.receive_callback import receive_callback as receive

app = APIGatewayHttpResolver()
keys = CallbackKeys.from_env()
queue = TaskQueue.from_env()


@app.post("/callbacks/poyo/<kid>/<task_id>/<mac>")
def receive_callback(kid: str, task_id: str, mac: str) -> Response[str]:
    """Every valid URL is answered with 200 at once, whatever its body is."""
    event = app.current_event
    request = CallbackRequest(
        kid=kid, task_id=task_id, token=mac, headers=event.headers, body=raw_body(event)
    )
    if not receive(request, keys=keys, queue=queue):
        return _respond(CALLBACK_NOT_FOUND)
    telemetry.info("callback_received", task_id=task_id)
    return Response(200, "application/json", '{"ok":true}')


@app.exception_handler(ImageTasksError)
def handle_known_error(error: ImageTasksError) -> Response[str]:
    """The callback could not be enqueued: with 503 PoYo repeats it."""
    telemetry.alarm("callback_not_enqueued", **telemetry.described(error))
    return _respond(SERVICE_UNAVAILABLE)


@app.exception_handler(Exception)
def handle_unexpected_error(error: Exception) -> Response[str]:
    """A defect in our code: with 500 PoYo repeats the callback, and the operator gets the same
    alarm."""
    telemetry.alarm("callback_not_enqueued", **telemetry.described(error))
    return _respond(INTERNAL_ERROR)


@app.not_found
def handle_not_found(_: NotFoundError) -> Response[str]:
    return _respond(CALLBACK_NOT_FOUND)


def _respond(problem: Problem) -> Response[str]:
    return problem.response(request_id(app.current_event))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    telemetry.bind_request(event)
    return app.resolve(event, context)
