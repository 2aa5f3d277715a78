"""`/v1/usage`: what owners have ordered and were charged, by day and model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.api import pagination, usage_request
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.authentication import authenticate
from imagetasks.api.response import conditional_response
from imagetasks.api.usage_bodies import usage_body
from imagetasks.tasks.usage import day_of

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UsageRoutes:
    """Routes of usage."""

    dependencies: ApiDependencies

    def list(self, event: HttpEvent) -> HttpResponse:
        """A page of the usage that the caller may see, newest day first."""
        caller = authenticate(event, self.dependencies, "tasks:read")
        parameters = pagination.query_parameters(event, "from", "to", "limit", "cursor")
        days = usage_request.days(parameters, day_of(self.dependencies.clock.now_ms()))
        page = self.dependencies.usage.list(
            caller,
            first=days.first,
            last=days.last,
            limit=pagination.page_limit(parameters, default=pagination.MAX_PAGE_SIZE),
            after=usage_request.position(parameters, caller, days),
        )
        return conditional_response(event, usage_body(days, page))
