"""The HTTPS API: routes, and what errors become."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from bootstrap import Clients, build_owner_tasks, build_placement, build_spending
from imagetasks import telemetry
from imagetasks.api import error_mapping, problems, request
from imagetasks.api.dependencies import ApiDependencies
from imagetasks.api.offered_models import OfferedModels
from imagetasks.api.problem_details import Problem, ProblemError
from imagetasks.api.routes import problem_response, register, routes
from imagetasks.aws.secrets import TokenKeys
from imagetasks.aws.token_repository import TokenRepository
from imagetasks.aws.usage_repository import UsageRepository
from imagetasks.errors import ImageTasksError, SecretInvalid
from imagetasks.poyo.balance import CachedBalance

app = APIGatewayHttpResolver()
clients = Clients.from_env()
tasks = build_owner_tasks(clients)
spending = build_spending(clients)
dependencies = ApiDependencies(
    api_keys=clients.api_keys,
    token_keys=TokenKeys.from_env(clients.api_keys.secret.client),
    tokens=TokenRepository(clients.repository.table),
    models=OfferedModels.from_env(),
    placement=build_placement(clients, tasks, spending),
    tasks=tasks,
    images=clients.images,
    uploads=clients.uploads,
    spending=spending,
    usage=UsageRepository(clients.repository.table),
    balance=CachedBalance(clients.poyo.balance),
    clock=clients.clock,
)
for route in (ROUTES := routes(dependencies)):
    register(app, route)


@app.exception_handler(ProblemError)
def handle_problem(error: ProblemError) -> Response[str]:
    return _respond(error.problem)


@app.exception_handler(ImageTasksError)
def handle_known_error(error: ImageTasksError) -> Response[str]:
    if isinstance(error, SecretInvalid):  # other defects of the deployment have raised their alarm
        telemetry.alarm("api_unexpected_error", **telemetry.described(error))
    telemetry.info("request_rejected", **telemetry.described(error))
    return _respond(error_mapping.problem_for(error))


@app.exception_handler(Exception)
def handle_unexpected_error(error: Exception) -> Response[str]:
    """A defect in our code: the caller gets a problem, the operator an alarm."""
    telemetry.alarm("api_unexpected_error", error=type(error).__name__)
    return _respond(problems.INTERNAL_ERROR)


@app.not_found
def handle_not_found(_: NotFoundError) -> Response[str]:
    event = app.current_event
    return _respond(error_mapping.route_problem(event.http_method, event.path, ROUTES))


def _respond(problem: Problem) -> Response[str]:
    event = app.current_event
    return problem_response(
        problem,
        event.path,
        request_id=request.request_id(event),
        keyless_order=event.http_method == "POST" and not request.has_idempotency_key(event),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    clients.clock.begin(context.get_remaining_time_in_millis)
    telemetry.bind_request(event)
    response = app.resolve(request.without_trailing_slash(event), context)
    return {**response, "body": ""} if request.is_head(app.current_event) else response
