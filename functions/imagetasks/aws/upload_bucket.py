"""Reference images in S3: uploaded by a browser, checked here, downloaded by PoYo."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from imagetasks.aws import translated
from imagetasks.aws.image_bucket import image_key
from imagetasks.errors import InvalidUpload, StorageUnavailable
from imagetasks.tasks.image_format import EXTENSIONS, MAX_PIXELS, ImageInfo, identify
from imagetasks.tasks.image_reference import (
    ID,
    ID_LENGTH,
    SCHEME,
    file_reference,
    is_upload,
    task_file,
    upload_id,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

PREFIX = "uploads/"
TYPES = tuple(EXTENSIONS)
MAX_BYTES = 10 * 1024 * 1024
FORM_TTL_S = 600
PRESIGNED_S = 3600  # PoYo downloads references when it starts, some time after the submit
ALLOWED = (
    f"allowed is a complete PNG, JPEG or WebP of at most {MAX_BYTES // 1024**2} MiB "
    f"and {MAX_PIXELS // 10**6} million pixels"
)
NOT_FOUND = "upload not found: upload the file first"


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """A presigned form for one file: POST `fields`, then the file as `file`, to `url` as
    multipart/form-data."""

    upload_id: str
    url: str
    fields: Mapping[str, str] = field(repr=False)  # anyone who has them may upload
    expires_s: int
    max_bytes: int

    @property
    def file_url(self) -> str:
        """The name of the file in an order."""
        return SCHEME + self.upload_id


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UploadBucket:
    """Uploads, in the same bucket as the images.

    The key of an upload contains a hash of its owner, so that no other owner's order finds it and no
    item has to say whose it is.
    """

    client: S3Client
    bucket: str

    def presign_post(self, owner: str, content_type: str) -> PresignedUpload:
        """A form with which `owner` may upload one file; S3 enforces its type, size, key and expiry.

        Raises ValueError for a type that is not in TYPES.
        """
        if content_type not in TYPES:
            raise ValueError(f"not one of {', '.join(TYPES)}")
        upload_id = base64.b32encode(os.urandom(20)).decode()[:ID_LENGTH].lower()
        form = self.client.generate_presigned_post(
            Bucket=self.bucket,
            Key=_key(owner, upload_id),
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, MAX_BYTES]],
            ExpiresIn=FORM_TTL_S,
        )
        return PresignedUpload(upload_id, form["url"], form["fields"], FORM_TTL_S, MAX_BYTES)

    def addresses(self) -> tuple[str, str]:
        """URLs in the places that a browser sends uploads to and reads images from."""
        form = self.client.generate_presigned_post(Bucket=self.bucket, Key=PREFIX)
        return form["url"], self._presigned(PREFIX)

    def validate(self, owner: str, upload_id: str) -> ImageInfo:
        """The format and size of the image that `owner` uploaded.

        Its bytes decide, whatever type it was declared as. Raises InvalidUpload if it is missing or
        no complete image, and StorageUnavailable.
        """
        try:
            upload = self.client.get_object(Bucket=self.bucket, Key=_key(owner, upload_id))
            return _identified(upload)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "AccessDenied"):
                # AccessDenied: without ListBucket S3 does not say that an object is missing
                raise InvalidUpload(upload_id, f"{NOT_FOUND}; {ALLOWED}") from None
            raise translated(error, StorageUnavailable) from error
        except BotoCoreError as error:
            raise translated(error, StorageUnavailable) from error
        except ValueError as error:
            raise InvalidUpload(upload_id, f"{error}; {ALLOWED}") from None

    def presigned_url(self, owner: str, upload_id: str) -> str:
        """A URL with which anyone can read the upload for `PRESIGNED_S` seconds."""
        return self._presigned(_key(owner, upload_id))

    def resolve_urls(self, owner: str, urls: Iterable[str], public_base_url: str = "") -> list[str]:
        """`urls` with a presigned URL in the place of each upload, and of each image of this service, which
        was verified when the order was placed. A `file_url` begins with `public_base_url`."""
        return [self._resolved(owner, url, public_base_url) for url in urls]

    def _resolved(self, owner: str, url: str, public_base_url: str) -> str:
        if is_upload(url):
            return self.presigned_url(owner, upload_id(url))
        if image := task_file(url) or file_reference(url, public_base_url):
            return self._presigned(image_key(image.task_id, int(image.n)))
        return url

    def _presigned(self, key: str) -> str:
        return self.client.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=PRESIGNED_S
        )


def _key(owner: str, upload_id: str) -> str:
    """The S3 key of the upload. Raises InvalidUpload if `upload_id` cannot be an upload's id."""
    if not ID.fullmatch(upload_id):
        raise InvalidUpload(upload_id, f"{NOT_FOUND}; {ALLOWED}")
    return f"{PREFIX}{hashlib.sha256(owner.encode()).hexdigest()[:32]}/{upload_id}"


def _identified(upload: GetObjectOutputTypeDef) -> ImageInfo:
    """The image in `upload`, which is read whole: only its last byte tells whether it is complete."""
    with upload["Body"] as body:
        size = upload["ContentLength"]
        if not 0 < size <= MAX_BYTES:
            raise ValueError(f"{size} bytes" if size else "the upload is empty")
        return identify(io.BytesIO(body.read()))
