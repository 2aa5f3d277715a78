"""The API's routes, one file for each noun: authenticate, do one thing, respond."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from imagetasks.api.contract import contract
from imagetasks.api.routes.budgets import BudgetRoutes
from imagetasks.api.routes.files import FileRoutes
from imagetasks.api.routes.poyo_compat import (
    PATHS,
    PoyoCompatRoutes,
    error_response,
    without_key,
)
from imagetasks.api.routes.tasks import TaskRoutes
from imagetasks.api.routes.tokens import TokenRoutes
from imagetasks.api.routes.uploads import UploadRoutes
from imagetasks.api.routes.usage import UsageRoutes

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.api.problem_details import Problem

Route = tuple[str, str, Callable[..., Response[str]]]


def health(_: object) -> Response[str]:
    """The function runs; no other service is asked."""
    return Response(200, "application/json", '{"status":"ok"}')


def routes(dependencies: ApiDependencies) -> tuple[Route, ...]:
    """Every route: method, path and the function that responds. HEAD is served wherever GET is; the
    handler drops its body."""
    tasks, files = TaskRoutes(dependencies), FileRoutes(dependencies)
    uploads, poyo = UploadRoutes(dependencies), PoyoCompatRoutes(dependencies)
    tokens, budgets = TokenRoutes(dependencies), BudgetRoutes(dependencies)

    def openapi(_: object) -> Response[str]:
        """The OpenAPI document of this API."""
        return Response(200, "application/json", contract(dependencies.models.by_id()))

    found: tuple[Route, ...] = (
        ("POST", "/v1/tasks", tasks.create),
        ("GET", "/v1/tasks", tasks.list),
        ("GET", "/v1/tasks/<task_id>", tasks.get),
        ("DELETE", "/v1/tasks/<task_id>", tasks.delete),
        ("GET", "/v1/tasks/<task_id>/files/<n>", files.get),
        ("GET", "/files/<task_id>/<n>/<mac>", files.get_by_signed_url),
        ("POST", "/v1/uploads", uploads.create),
        ("POST", "/v1/quotes", tasks.quote),
        ("POST", "/v1/tokens", tokens.create),
        ("GET", "/v1/tokens/<token_id>", tokens.get),
        ("DELETE", "/v1/tokens/<token_id>", tokens.delete),
        ("GET", "/v1/budgets/<scope>", budgets.get),
        ("PUT", "/v1/budgets/<scope>", budgets.put),
        ("DELETE", "/v1/budgets/<scope>", budgets.delete),
        ("GET", "/v1/usage", UsageRoutes(dependencies).list),
        ("GET", "/v1/catalog/models", poyo.models),
        ("GET", "/v1/catalog/models/<model>", poyo.model),
        ("POST", "/api/generate/submit", poyo.submit),
        ("GET", "/api/generate/status/<task_id>", poyo.status),
        ("GET", "/api/user/balance", poyo.balance),
        ("GET", "/openapi.json", openapi),
        ("GET", "/health", health),
    )
    return found + tuple(("HEAD", rule, get) for method, rule, get in found if method == "GET")


def register(app: APIGatewayHttpResolver, route: Route) -> None:
    """Make `app` call the route's function for its method and path."""
    method, rule, respond = route

    @app.route(rule, method=method)
    def handle(**parts: str) -> Response[str]:
        return respond(app.current_event, **parts)


def problem_response(
    problem: Problem, path: str, *, request_id: str, keyless_order: bool = False
) -> Response[str]:
    """The response to a request for `path`: in PoYo's shape on PoYo's own paths, else RFC 9457."""
    if not path.startswith(PATHS):
        return problem.response(request_id)
    return error_response(without_key(problem) if keyless_order else problem)
