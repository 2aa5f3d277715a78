"""Reference images in S3: uploaded by a browser, checked here, downloaded by PoYo."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from botocore.exceptions import ClientError

from imagetasks.errors import InvalidUpload
from imagetasks.tasks.image_format import EXTENSIONS, MAX_PIXELS, ImageInfo, identify
from imagetasks.tasks.image_reference import ID, ID_LENGTH, SCHEME, is_upload, upload_id

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "uploads/"
TYPES = tuple(EXTENSIONS)
MAX_BYTES = 10 * 1024 * 1024
FORM_TTL_S = 600
PRESIGNED_S = 3600  # PoYo downloads references when it starts, some time after the submit
CHUNK_BYTES = 128 * 1024
MAX_CHUNKS = 8  # read of one upload: 1 MiB in which a JPEG's dimensions must be found
ALLOWED = (
    f"allowed is a complete PNG, JPEG or WebP of at most {MAX_BYTES // 1024**2} MiB "
    f"and {MAX_PIXELS // 10**6} million pixels"
)
NOT_FOUND = "upload not found: upload the file first"
ERROR_BY_STATUS = {
    403: NOT_FOUND,  # without ListBucket S3 does not say that an object is missing
    404: NOT_FOUND,
    412: "the upload was replaced while it was checked",
    416: "the upload is empty",
}


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
    item has to say whose it is. Errors of S3 are not caught.
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

    def validate(self, owner: str, upload_id: str) -> ImageInfo:
        """The format and size of the image that `owner` uploaded.

        Raises InvalidUpload if it is missing, incomplete, or not of its declared type.
        """
        try:
            return _identified(_RangedReader(self.client, self.bucket, _key(owner, upload_id)))
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status not in ERROR_BY_STATUS:
                raise
            problem = ERROR_BY_STATUS[status]
        except ValueError as error:
            problem = str(error)
        raise InvalidUpload(upload_id, f"{problem}; {ALLOWED}")

    def presigned_url(self, owner: str, upload_id: str, *, seconds: int = PRESIGNED_S) -> str:
        """A URL with which anyone can read the upload for `seconds`."""
        return self.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.bucket, "Key": _key(owner, upload_id)},
            ExpiresIn=seconds,
        )

    def resolve_urls(self, owner: str, urls: Iterable[str]) -> list[str]:
        """`urls` with a presigned URL in the place of each upload."""
        return [
            self.presigned_url(owner, upload_id(url)) if is_upload(url) else url for url in urls
        ]


def _key(owner: str, upload_id: str) -> str:
    """The S3 key of the upload. Raises InvalidUpload if `upload_id` cannot be an upload's id."""
    if not ID.fullmatch(upload_id):
        raise InvalidUpload(upload_id, f"{NOT_FOUND}; {ALLOWED}")
    return f"{PREFIX}{hashlib.sha256(owner.encode()).hexdigest()[:32]}/{upload_id}"


def _identified(file: _RangedReader) -> ImageInfo:
    if file.size > MAX_BYTES:
        raise ValueError(f"{file.size} bytes")
    info = identify(cast(BinaryIO, file))
    if info.content_type != file.content_type:
        raise ValueError(f"the file is {info.content_type} but was declared {file.content_type}")
    return info


class _RangedReader:
    """An S3 object as a file: each chunk is fetched when something in it is read, and only once.

    Reading raises ValueError beyond `MAX_CHUNKS`, and ClientError (412) if the object was replaced
    since it was opened: chunks of two files must not pass for one.
    """

    def __init__(self, client: S3Client, bucket: str, key: str) -> None:
        self._get = partial(client.get_object, Bucket=bucket, Key=key)
        first = self._get(Range=_range(0))
        self._etag = first["ETag"]
        self._chunks = {0: first["Body"].read()}
        self._position = 0
        self.size = int(first["ContentRange"].rpartition("/")[2])
        self.content_type = first["ContentType"]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self.size if whence == os.SEEK_END else 0)
        return self._position

    def read(self, length: int) -> bytes:
        first, start = divmod(self._position, CHUNK_BYTES)
        end = min(self._position + length, self.size)
        chunks = b"".join(map(self._chunk, range(first, -(-end // CHUNK_BYTES))))
        content = chunks[start : start + length]
        self._position += len(content)
        return content

    def _chunk(self, n: int) -> bytes:
        if n not in self._chunks:
            if len(self._chunks) == MAX_CHUNKS:
                raise ValueError(
                    "its dimensions are not in the first MiB: save it without metadata"
                )
            self._chunks[n] = self._get(Range=_range(n), IfMatch=self._etag)["Body"].read()
        return self._chunks[n]


def _range(n: int) -> str:
    return f"bytes={n * CHUNK_BYTES}-{(n + 1) * CHUNK_BYTES - 1}"
