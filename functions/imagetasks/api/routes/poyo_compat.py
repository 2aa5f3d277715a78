"""PoYo's own routes, shapes and errors: a client written for PoYo works here without a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.api import pagination, problems, request
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.authentication import authenticate, authenticate_server_key
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import conditional_response, json_response
from imagetasks.poyo import catalog, compat

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.poyo.model_catalog import Model


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PoyoCompatRoutes:
    """`/api/…` and `/v1/catalog`."""

    dependencies: ApiDependencies

    def status(self, event: HttpEvent, task_id: str) -> HttpResponse:
        """The task in PoYo's shape; its file URLs are ours and do not expire after a day."""
        caller = authenticate(event, self.dependencies, "tasks:read")
        task = self.dependencies.tasks.get(caller.owner, task_id)
        body = compat.task_body(task, public_base_url=request.public_base_url(event))
        return json_response(compat.envelope(body))

    def balance(self, event: HttpEvent) -> HttpResponse:
        """Credits left on the account at PoYo, as of the last minute."""
        authenticate_server_key(event, self.dependencies)
        return json_response(compat.balance_body(self.dependencies.balance()))

    def models(self, event: HttpEvent) -> HttpResponse:
        """Every model that new orders may name; public."""
        query = pagination.query_parameters(event, *catalog.QUERY)
        return conditional_response(
            event, compat.envelope(catalog.list_models(query, self._models()))
        )

    def model(self, event: HttpEvent, model: str) -> HttpResponse:
        """One model; public."""
        if (found := self._models().get(model)) is None:
            raise ProblemError(problems.MODEL_NOT_FOUND)
        return conditional_response(event, compat.envelope(catalog.model_entry(found)))

    def _models(self) -> Mapping[str, Model]:
        return self.dependencies.models.by_id()
