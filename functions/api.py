"""The HTTPS API: routes, and what errors become."""

from __future__ import annotations

from typing import Any

from bootstrap import Clients, build_owner_tasks, build_placement, build_spending
from imagetasks import telemetry
from imagetasks.api import error_mapping, problems, request
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.dependencies import ApiDependencies
from imagetasks.api.offered_models import OfferedModels
from imagetasks.api.page_files import PageFiles
from imagetasks.api.poyo_problems import problem_response
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.routes import respond
from imagetasks.aws.secrets import TokenKeys
from imagetasks.errors import ImageTasksError, SecretInvalid
from imagetasks.poyo.balance import CachedBalance

clients = Clients.from_env()
tasks = build_owner_tasks(clients)
spending = build_spending(clients)
dependencies = ApiDependencies(
    api_keys=clients.api_keys,
    token_keys=TokenKeys.from_env(clients.api_keys.secret.client),
    table=clients.repository.table,
    models=OfferedModels.from_env(),
    placement=build_placement(clients, tasks, spending),
    tasks=tasks,
    images=clients.images,
    uploads=clients.uploads,
    spending=spending,
    page=PageFiles.from_env(),
    balance=CachedBalance(clients.poyo.balance),
    clock=clients.clock,
)


def _respond(event: HttpEvent) -> HttpResponse:
    try:
        return respond(event, dependencies)
    except ImageTasksError as error:
        if isinstance(error, SecretInvalid):
            # Other defects of the deployment have raised their alarm.
            telemetry.alarm("api_unexpected_error", **telemetry.described(error))
        telemetry.info("request_rejected", **telemetry.described(error))
        problem = error_mapping.problem_for(error)
    except ProblemError as error:
        problem = error.problem
    except Exception as error:  # noqa: BLE001  # a defect in our code: the operator gets an alarm
        telemetry.alarm("api_unexpected_error", error=type(error).__name__)
        problem = problems.INTERNAL_ERROR
    return problem_response(
        problem,
        event.path,
        request_id=event.request_id,
        keyless_order=event.method == "POST" and not request.has_idempotency_key(event),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    clients.clock.begin(context.get_remaining_time_in_millis)
    telemetry.bind_request(event)
    http_event = HttpEvent.from_api_gateway(event)
    response = _respond(http_event)
    return response.to_api_gateway(with_body=not request.is_head(http_event))
