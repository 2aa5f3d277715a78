"""The API's routes, one file for each noun: authenticate, do one thing, respond.

`ROUTES` names them, and a file is imported by the first request for one of its routes: a cold start
that reads a task loads nothing that only orders need.
"""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from imagetasks.api.problem_details import ProblemError
from imagetasks.api.problems import METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND

if TYPE_CHECKING:
    from imagetasks.api.api_gateway import HttpEvent, HttpResponse
    from imagetasks.api.dependencies import ApiDependencies

Routes = tuple[tuple[str, str, str], ...]
PART = re.compile(r"[-._~()'!*:@,;=+&$%<> \[\]{}|^\w]+")  # what a parameter of a path may contain
GET_AND_OTHERS = (
    ("POST", "/v1/tasks", "orders.OrderRoutes.create"),
    ("GET", "/v1/tasks", "tasks.TaskRoutes.list"),
    ("GET", "/v1/tasks/<task_id>", "tasks.TaskRoutes.get"),
    ("DELETE", "/v1/tasks/<task_id>", "tasks.TaskRoutes.delete"),
    ("GET", "/v1/tasks/<task_id>/files/<n>", "files.FileRoutes.get"),
    ("GET", "/files/<task_id>/<n>/<mac>", "files.FileRoutes.get_by_signed_url"),
    ("POST", "/v1/uploads", "uploads.UploadRoutes.create"),
    ("POST", "/v1/quotes", "orders.OrderRoutes.quote"),
    ("POST", "/v1/tokens", "tokens.TokenRoutes.create"),
    ("GET", "/v1/tokens/<token_id>", "tokens.TokenRoutes.get"),
    ("DELETE", "/v1/tokens/<token_id>", "tokens.TokenRoutes.delete"),
    ("GET", "/v1/budgets/<scope>", "budgets.BudgetRoutes.get"),
    ("PUT", "/v1/budgets/<scope>", "budgets.BudgetRoutes.put"),
    ("DELETE", "/v1/budgets/<scope>", "budgets.BudgetRoutes.delete"),
    ("GET", "/v1/usage", "usage.UsageRoutes.list"),
    ("GET", "/v1/catalog/models", "poyo_compat.PoyoCompatRoutes.models"),
    ("GET", "/v1/catalog/models/<model>", "poyo_compat.PoyoCompatRoutes.model"),
    ("POST", "/api/generate/submit", "orders.OrderRoutes.submit"),
    ("GET", "/api/generate/status/<task_id>", "poyo_compat.PoyoCompatRoutes.status"),
    ("GET", "/api/user/balance", "poyo_compat.PoyoCompatRoutes.balance"),
    ("GET", "/openapi.json", "service.ServiceRoutes.openapi"),
    ("GET", "/health", "service.ServiceRoutes.health"),
)
# Method, path, and what responds: file, class and method. HEAD is served wherever GET is; the handler
# drops its body.
ROUTES = GET_AND_OTHERS + tuple(
    ("HEAD", rule, target) for method, rule, target in GET_AND_OTHERS if method == "GET"
)
# Of the page, where it is served; they are no part of the API and not in its description.
PAGE_ROUTES = tuple(
    (method, rule, f"page.PageRoutes.{name}")
    for method in ("GET", "HEAD")
    for rule, name in (("/", "index"), ("/page/<name>", "file"), ("/page/client/<name>", "client"))
)


def respond(event: HttpEvent, dependencies: ApiDependencies) -> HttpResponse:
    """The response of the request's route. Raises ProblemError for an unknown path or method, and what
    the route raises."""
    served = ROUTES + PAGE_ROUTES if dependencies.page.served else ROUTES
    target, parts = _find(served, event.method, event.path)
    file, group, method = target.split(".")
    routes = getattr(import_module(f"{__name__}.{file}"), group)(dependencies)
    response: HttpResponse = getattr(routes, method)(event, **parts)
    return response


def _find(routes: Routes, method: str, path: str) -> tuple[str, dict[str, str]]:
    """What responds, and the parameters in the path. Raises ProblemError: 404, or 405 if `path` has a
    route for other methods."""
    allowed: list[str] = []
    for known, rule, target in routes:
        parts = _match(rule, path)
        if parts is not None and known == method:
            return target, parts
        if parts is not None:
            allowed.append(known)
    if allowed:
        raise ProblemError(replace(METHOD_NOT_ALLOWED, allow=", ".join(allowed)))
    raise ProblemError(ROUTE_NOT_FOUND)


def _match(rule: str, path: str) -> dict[str, str] | None:
    """The parameters of `path`, None if it does not follow the rule."""
    names, values = rule.split("/"), path.split("/")
    if len(names) != len(values):
        return None
    parts = {}
    for name, value in zip(names, values, strict=True):
        if name.startswith("<") and PART.fullmatch(value):
            parts[name[1:-1]] = value
        elif name != value:
            return None
    return parts
