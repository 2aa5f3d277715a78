"""Files: the way to an image, by key or by its unguessable link."""

from __future__ import annotations

from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import problems
from imagetasks.api.dependencies import ApiDependencies
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import redirect


@dataclass(frozen=True, slots=True)
class FileRoutes:
    """`/v1/tasks/…/files` and `/files`."""

    house: ApiDependencies

    def read(self, event: Event, task_id: str, n: str) -> Response[str]:
        """The way to an image of the caller's own task."""
        task = self.house.reader.get(self.house.owner(event), task_id)
        named = {str(number): kept for number, kept in enumerate(task.files)}
        if n not in named:
            raise ProblemError(problems.FILE_NOT_FOUND)
        return redirect(self.house.images.presigned_url(named[n]))

    def shared(self, _: Event, task_id: str, n: str, mac: str) -> Response[str]:
        """The same for whoever has the link: it works in `<img src>`."""
        return redirect(
            self.house.images.presigned_url(self.house.reader.shared_file(task_id, n, mac))
        )
