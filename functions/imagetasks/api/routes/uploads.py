"""`/v1/uploads`: presigned forms, with which a browser uploads reference images to the bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.api import order_request, pagination, request, schemas
from imagetasks.api.api_gateway import HttpEvent, HttpResponse
from imagetasks.api.authentication import authenticate
from imagetasks.api.response import json_response
from imagetasks.tasks.image_format import EXTENSIONS, MAX_PIXELS

if TYPE_CHECKING:
    from imagetasks.api.dependencies import ApiDependencies


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UploadRoutes:
    """Routes of uploads."""

    dependencies: ApiDependencies

    def create(self, event: HttpEvent) -> HttpResponse:
        """A form for one image, and the `upload://` address that stands for it in an order."""
        caller = authenticate(event, self.dependencies, "uploads:write")
        pagination.query_parameters(event)
        body = order_request.parse_upload(request.limited_body(event))
        upload = self.dependencies.uploads.presign_post(caller.owner, body.content_type)
        expires_at = self.dependencies.clock.after(upload.expires_s)
        response: schemas.UploadBody = {
            "file_url": upload.file_url,
            "upload": {"method": "POST", "url": upload.url, "fields": upload.fields},
            "max_bytes": upload.max_bytes,
            "max_pixels": MAX_PIXELS,
            "content_types": list(EXTENSIONS),
            "expires_at": schemas.rfc3339(expires_at),
        }
        return json_response(response, 201)
