"""Budgets of tests, set as a caller sets them."""

from __future__ import annotations

from typing import Any

from tests.support.api import Api
from tests.support.lambdas import HandlerResponse


def set_budget(api: Api, scope: str, max_credits: object = 10, **further: Any) -> HandlerResponse:
    """The response to a PUT of this budget; names in `headers` as in `Api.request`."""
    headers = further.pop("headers", {})
    body = {"max_credits": max_credits, **further}
    return api.request("PUT", f"/v1/budgets/{scope}", body, **headers)
