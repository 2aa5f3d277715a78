"""PoYo's callbacks: a valid signed URL enqueues its task, any other URL is answered with 404."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagetasks import telemetry
from imagetasks.api.api_gateway import HttpResponse, lower_case, raw_body
from imagetasks.api.problems import CALLBACK_NOT_FOUND, INTERNAL_ERROR, SERVICE_UNAVAILABLE
from imagetasks.aws.secrets import CallbackKeys
from imagetasks.aws.signed_client import SignedClient
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.errors import ImageTasksError
from imagetasks.workflows.receive_callback import CallbackRequest, receive_callback

client: Any = SignedClient.from_env()  # for these two as good as botocore's clients
keys = CallbackKeys.from_env(client)
queue = TaskQueue.from_env(client)


def respond(event: Mapping[str, Any]) -> HttpResponse:
    """Every valid URL is answered with 200 at once, whatever its body is."""
    try:
        callback = _callback(event)
        if receive_callback(callback, keys=keys, queue=queue):
            telemetry.info("callback_received", task_id=callback.task_id)
            return HttpResponse(200, "application/json", '{"ok":true}')
        problem = CALLBACK_NOT_FOUND
    except ImageTasksError as error:  # it could not be enqueued: with 503 PoYo repeats it
        telemetry.alarm("callback_not_enqueued", **telemetry.described(error))
        problem = SERVICE_UNAVAILABLE
    except Exception as error:  # noqa: BLE001  # a defect in our code: with 500 PoYo repeats it
        telemetry.alarm("callback_not_enqueued", **telemetry.described(error))
        problem = INTERNAL_ERROR
    return problem.response(event["requestContext"]["requestId"])


def _callback(event: Mapping[str, Any]) -> CallbackRequest:
    """The callback. API Gateway matches its method and path, and names the path's parts as the template
    does; an event of another route has none of them."""
    path = event.get("pathParameters") or {}
    return CallbackRequest(
        kid=path.get("kid", ""),
        task_id=path.get("task_id", ""),
        token=path.get("mac", ""),
        headers=lower_case(event["headers"]),
        body=raw_body(event),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    telemetry.bind_request(event)
    return respond(event).to_api_gateway()
