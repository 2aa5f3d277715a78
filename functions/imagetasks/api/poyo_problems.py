"""The response to a problem: in PoYo's shape on PoYo's own paths, else RFC 9457."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imagetasks.api import problems
from imagetasks.api.field_errors import is_unknown_model
from imagetasks.api.response import json_response
from imagetasks.poyo import compat

if TYPE_CHECKING:
    from imagetasks.api.api_gateway import HttpResponse
    from imagetasks.api.problem_details import Problem

PATHS = ("/api/", "/v1/catalog/")
IMAGES = ("/input/image_urls/", "/input/mask_url", "/input/elements/")
KEYLESS = {
    False: "The order was not accepted.",
    None: "It is not known whether the order was accepted.",
}
ADVICE = "Without an Idempotency-Key each request is an order of its own."
REFUSED = {
    problems.BUDGET_EXHAUSTED.code,
    problems.ORDERS_PAUSED.code,
}  # say why, and invite to nothing
POYO_STATUS = {410: 404, 413: 400, 422: 400}  # PoYo answers these problems with other statuses


def problem_response(
    problem: Problem, path: str, *, request_id: str, keyless_order: bool = False
) -> HttpResponse:
    """The response to a request for `path`; `keyless_order` says that it may be an order without an
    Idempotency-Key."""
    if not path.startswith(PATHS):
        return problem.response(request_id)
    return error_response(without_key(problem) if keyless_order else problem)


def error_response(problem: Problem) -> HttpResponse:
    """`problem` as PoYo writes errors: one message, and 400 for everything wrong with an order."""
    details = [
        f"{each['parameter'] if 'parameter' in each else each['pointer'] or 'body'}: {each['detail']}"
        for each in problem.errors
    ]
    pointers = [each.get("pointer", "") for each in problem.errors]
    images = pointers and all(each.startswith(IMAGES) for each in pointers)
    code = compat.INVALID_IMAGE if images else problem.code
    unknown = is_unknown_model(problem.errors)
    status = 404 if unknown else POYO_STATUS.get(problem.status, problem.status)
    body = compat.error_body(status, code, " ".join([problem.detail, *details]))
    return json_response(body, status, problem.headers())


def without_key(problem: Problem) -> Problem:
    """`problem` for an order without an Idempotency-Key: a repetition is a second order, so that nothing
    invites the client to it."""
    if problem.retry != "same_key":
        return problem
    invites = problem.code not in REFUSED
    told = KEYLESS[problem.charged] if invites else problem.detail
    return replace(problem, retry="never", detail=f"{told} {ADVICE}")
