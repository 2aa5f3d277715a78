"""`/v1/tasks/…/files` and `/files`: redirect to an image, with a server key or a signed URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import problems
from imagetasks.api.authentication import authenticate
from imagetasks.api.problem_details import ProblemError
from imagetasks.api.response import redirect

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FileRoutes:
    """Routes of images."""

    dependencies: ApiDependencies

    def get(self, event: Event, task_id: str, n: str) -> Response[str]:
        """Redirect to an image of the caller's own task."""
        owner = authenticate(event, self.dependencies.api_keys)
        task = self.dependencies.tasks.get(owner, task_id)
        images = {str(number): image for number, image in enumerate(task.files)}
        if n not in images:
            raise ProblemError(problems.FILE_NOT_FOUND)
        return redirect(self.dependencies.images.presigned_url(images[n]))

    def get_by_signed_url(self, _: Event, task_id: str, n: str, mac: str) -> Response[str]:
        """The same for anyone who has the signed URL: it works in `<img src>`."""
        image = self.dependencies.tasks.shared_file(task_id, n, mac)
        return redirect(self.dependencies.images.presigned_url(image))
