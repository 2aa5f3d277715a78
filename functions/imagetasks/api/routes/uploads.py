"""Uploads: a reference image straight into the bucket, without passing through here."""

from __future__ import annotations

from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from imagetasks.api import order_request, request, schemas
from imagetasks.api.dependencies import ApiDependencies
from imagetasks.api.response import json_response


@dataclass(frozen=True, slots=True)
class Uploads:
    """`/v1/uploads`."""

    house: ApiDependencies

    def create(self, event: Event) -> Response[str]:
        """A form that takes one image, and the address that stands for it in an order."""
        owner = self.house.owner(event)
        wanted = order_request.parse_upload(request.limited_body(event))
        offer = self.house.uploads.presign_post(owner, wanted.content_type)
        expires_at = self.house.submitter.clock.after(offer.expires_s)
        shown: schemas.UploadBody = {
            "file_url": offer.file_url,
            "upload": {"method": "POST", "url": offer.url, "fields": offer.fields},
            "max_bytes": offer.max_bytes,
            "expires_at": schemas.rfc3339(expires_at),
        }
        return json_response(shown, 201)
