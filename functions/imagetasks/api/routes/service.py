"""`/openapi.json` and `/health`: what this service offers, and whether it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.api.api_gateway import HttpResponse
from imagetasks.api.contract import contract
from imagetasks.api.response import JSON

if TYPE_CHECKING:
    from imagetasks.api.api_gateway import HttpEvent
    from imagetasks.api.dependencies import ApiDependencies


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ServiceRoutes:
    """Routes of the service itself; public."""

    dependencies: ApiDependencies

    def openapi(self, _: HttpEvent) -> HttpResponse:
        """The OpenAPI document of this API."""
        return HttpResponse(200, JSON, contract(self.dependencies.models.by_id()))

    def health(self, _: HttpEvent) -> HttpResponse:
        """The function runs; no other service is asked."""
        return HttpResponse(200, JSON, '{"status":"ok"}')
