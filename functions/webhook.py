"""PoYo's callback: the right URL rings the bell and is thanked, any other finds nothing here."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from imagetasks import telemetry
from imagetasks.api.problems import CALLBACK_NOT_FOUND, INTERNAL_ERROR, UNAVAILABLE
from imagetasks.api.request import raw_body
from imagetasks.aws.secrets import CallbackKeys
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.errors import ImageTasksError
from imagetasks.workflows.receive_callback import CallbackRequest, receive_callback

app = APIGatewayHttpResolver()
keys = CallbackKeys.from_env()
queue = TaskQueue.from_env()


@app.post("/callbacks/poyo/<kid>/<task_id>/<mac>")
def ring(kid: str, task_id: str, mac: str) -> Response[str]:
    """Every valid URL is answered 200 at once, whatever its body is."""
    event = app.current_event
    callback = CallbackRequest(
        kid=kid, task_id=task_id, mac=mac, headers=event.headers, body=raw_body(event)
    )
    if not receive_callback(callback, keys=keys, queue=queue):
        return CALLBACK_NOT_FOUND.response()
    telemetry.info("callback_received", task_id=task_id)
    return Response(200, "application/json", '{"ok":true}')


@app.exception_handler(ImageTasksError)
def on_error(error: ImageTasksError) -> Response[str]:
    """PoYo shall ring again."""
    telemetry.alarm("callback_not_enqueued", error=type(error).__name__)
    return UNAVAILABLE.response()


@app.exception_handler(Exception)
def on_defect(error: Exception) -> Response[str]:
    """A defect of ours: PoYo shall ring again, and the operator gets the same alarm."""
    telemetry.alarm("callback_not_enqueued", error=type(error).__name__)
    return INTERNAL_ERROR.response()


@app.not_found
def on_no_route(_: NotFoundError) -> Response[str]:
    return CALLBACK_NOT_FOUND.response()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    telemetry.bind_request(event)
    return app.resolve(event, context)
