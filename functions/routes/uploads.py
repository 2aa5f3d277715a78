"""Uploads: a reference image straight into the bucket, without passing through here."""

from __future__ import annotations

from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

import asking
from answering import said
from house import House
from imagetasks import order, view


@dataclass(frozen=True, slots=True)
class Uploads:
    """`/v1/uploads`."""

    house: House

    def create(self, event: Event) -> Response[str]:
        """A form that takes one image, and the address that stands for it in an order."""
        owner = self.house.owner(event)
        request = order.parse_upload(asking.order_body(event))
        offer = self.house.uploads.offer(owner, request.content_type)
        expires_at = self.house.submitter.pace.after(offer.expires_s)
        shown: view.UploadView = {
            "file_url": offer.file_url,
            "upload": {"method": "POST", "url": offer.url, "fields": offer.fields},
            "max_bytes": offer.max_bytes,
            "expires_at": view.instant(expires_at),
        }
        return said(shown, 201)
