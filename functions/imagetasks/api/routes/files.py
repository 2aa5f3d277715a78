"""`/v1/tasks/…/files` and `/files`: redirect to an image, with a server key or a signed URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.api import pagination, request
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.authentication import authenticate
from imagetasks.api.response import redirect

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies
    from imagetasks.tasks.task import StoredImage


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FileRoutes:
    """Routes of images."""

    dependencies: ApiDependencies

    def get(self, event: HttpEvent, task_id: str, n: str) -> HttpResponse:
        """Redirect to an image of the caller's own task. It is not cached: another caller, or this one after
        its token was revoked, must not get it."""
        caller = authenticate(event, self.dependencies, "tasks:read")
        image = self.dependencies.tasks.file(caller.owner, task_id, n)
        return redirect(self._url(event, image), cached=False)

    def get_by_signed_url(self, event: HttpEvent, task_id: str, n: str, mac: str) -> HttpResponse:
        """The same for anyone who has the signed URL: it works in `<img src>`."""
        image = self.dependencies.tasks.shared_file(task_id, n, mac)
        return redirect(self._url(event, image), cached=True)

    def _url(self, event: HttpEvent, image: StoredImage) -> str:
        download = pagination.is_download(pagination.query_parameters(event, "download"))
        return self.dependencies.images.presigned_url(
            image,
            download=download,
            cors="origin" in event.headers,
            head=request.is_head(event),
        )
