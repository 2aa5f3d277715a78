"""The HTTPS API: its table of contents, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from imagetasks import telemetry
from imagetasks.api import problems
from imagetasks.api.dependencies import ApiDependencies
from imagetasks.api.problem_details import Problem, ProblemError
from imagetasks.api.routes.files import FileRoutes
from imagetasks.api.routes.poyo_compat import PoyoCompatRoutes
from imagetasks.api.routes.tasks import TaskRoutes
from imagetasks.api.routes.uploads import Uploads
from imagetasks.errors import ImageTasksError

app = APIGatewayHttpResolver()
house = ApiDependencies.from_env()
tasks, files, uploads, poyo = (
    TaskRoutes(house),
    FileRoutes(house),
    Uploads(house),
    PoyoCompatRoutes(house),
)
contract = Path(__file__).with_name("openapi.json")


def health(_: object) -> Response[str]:
    """Alive; asks nobody else."""
    return Response(200, "application/json", '{"status":"ok"}')


def openapi(_: object) -> Response[str]:
    """What this API promises, for machines."""
    return Response(200, "application/json", contract.read_text())


ROUTES: tuple[tuple[str, str, Callable[..., Response[str]]], ...] = (
    ("POST", "/v1/tasks", tasks.create),
    ("GET", "/v1/tasks", tasks.list),
    ("GET", "/v1/tasks/<task_id>", tasks.read),
    ("DELETE", "/v1/tasks/<task_id>", tasks.delete),
    ("GET", "/v1/tasks/<task_id>/files/<n>", files.read),
    ("GET", "/files/<task_id>/<n>/<mac>", files.shared),
    ("POST", "/v1/uploads", uploads.create),
    ("POST", "/v1/quotes", tasks.quote),
    ("GET", "/v1/catalog/models", poyo.models),
    ("GET", "/v1/catalog/models/<model>", poyo.model),
    ("POST", "/api/generate/submit", poyo.submit),
    ("GET", "/api/generate/status/<task_id>", poyo.status),
    ("GET", "/api/user/balance", poyo.balance),
    ("GET", "/openapi.json", openapi),
    ("GET", "/health", health),
)


def open_for(method: str, rule: str, route: Callable[..., Response[str]]) -> None:
    """Let `route` answer this method at this address."""

    @app.route(rule, method=method)
    def answer(**parts: str) -> Response[str]:
        return route(app.current_event, **parts)


for line in ROUTES:
    open_for(*line)


@app.exception_handler(ProblemError)
def on_refusal(refusal: ProblemError) -> Response[str]:
    return _answer(refusal.problem)


@app.exception_handler(ImageTasksError)
def on_error(error: ImageTasksError) -> Response[str]:
    telemetry.info("request_rejected", error=type(error).__name__)
    return _answer(problems.problem_for(error))


@app.exception_handler(Exception)
def on_defect(error: Exception) -> Response[str]:
    """A defect of ours: the caller gets our kind of answer, the operator an alarm."""
    telemetry.alarm("api_unexpected_error", error=type(error).__name__)
    return _answer(problems.INTERNAL_ERROR)


@app.not_found
def on_no_route(_: NotFoundError) -> Response[str]:
    event = app.current_event
    return _answer(problems.route_problem(event.http_method, event.path, ROUTES))


def _answer(problem: Problem) -> Response[str]:
    return problem.response(app.current_event.path)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    telemetry.bind_request(event)
    return app.resolve(event, context)
