"""Files: the way to an image, by key or by its unguessable link."""

from __future__ import annotations

from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import problems
from imagetasks.api.dependencies import House
from imagetasks.api.problem_details import Refusal
from imagetasks.api.response import redirected


@dataclass(frozen=True, slots=True)
class Files:
    """`/v1/tasks/…/files` and `/files`."""

    house: House

    def read(self, event: Event, task_id: str, n: str) -> Response[str]:
        """The way to an image of the caller's own task."""
        task = self.house.reader.task(self.house.owner(event), task_id)
        named = {str(number): kept for number, kept in enumerate(task.files)}
        if n not in named:
            raise Refusal(problems.NO_FILE)
        return redirected(self.house.images.link(named[n]))

    def shared(self, _: Event, task_id: str, n: str, mac: str) -> Response[str]:
        """The same for whoever has the link: it works in `<img src>`."""
        return redirected(self.house.images.link(self.house.reader.shared(task_id, n, mac)))
