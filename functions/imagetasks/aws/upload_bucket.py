"""Reference images: put into our bucket by a browser, looked at by us, fetched from there by PoYo."""

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
LINK_S = 3600  # PoYo fetches references when it begins, which may be a while after the submit
CHUNK_BYTES = 128 * 1024
MAX_CHUNKS = 8  # at most as many are read of an upload: 1 MiB to find a JPEG's dimensions in
ALLOWED = (
    f"allowed is a whole PNG, JPEG or WebP of at most {MAX_BYTES // 1024**2} MiB "
    f"and {MAX_PIXELS // 10**6} million pixels"
)
NOT_FOUND = "no such upload of yours: send the file before you order"
ERROR_BY_STATUS = {
    403: NOT_FOUND,  # without ListBucket S3 does not say what is not there
    404: NOT_FOUND,
    412: "the upload was replaced while it was looked at",
    416: "the upload is empty",
}


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """A form for one file: POST `fields`, then the file as `file`, to `url` as multipart/form-data."""

    upload_id: str
    url: str
    fields: Mapping[str, str] = field(repr=False)  # whoever reads them may upload
    expires_s: int
    max_bytes: int

    @property
    def file_url(self) -> str:
        """What an order calls the file by."""
        return SCHEME + self.upload_id


@dataclass(frozen=True, slots=True)
class UploadBucket:
    """Uploads in the bucket of the images, which see for client and name.

    An upload lies where its owner's name leads, so nobody else's order finds it and no row says
    whose it is. What the bucket does not answer is left to raise.
    """

    client: S3Client
    bucket: str

    def presign_post(self, owner: str, content_type: str) -> PresignedUpload:
        """Leave for `owner` to upload one file; S3 holds it to its type, size, name and time.

        Raises ValueError for another type than TYPES.
        """
        if content_type not in TYPES:
            raise ValueError(f"not one of {', '.join(TYPES)}")
        chosen = base64.b32encode(os.urandom(20)).decode()[:ID_LENGTH].lower()
        form = self.client.generate_presigned_post(
            Bucket=self.bucket,
            Key=_key(owner, chosen),
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, MAX_BYTES]],
            ExpiresIn=FORM_TTL_S,
        )
        return PresignedUpload(chosen, form["url"], form["fields"], FORM_TTL_S, MAX_BYTES)

    def validate(self, owner: str, upload_id: str) -> ImageInfo:
        """The picture that `owner` uploaded, whole and of the type it was announced as.

        Raises UploadInvalid when there is none.
        """
        try:
            return _recognised(_RangedReader(self.client, self.bucket, _key(owner, upload_id)))
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status not in ERROR_BY_STATUS:
                raise
            wrong = ERROR_BY_STATUS[status]
        except ValueError as error:
            wrong = str(error)
        raise InvalidUpload(upload_id, f"{wrong}; {ALLOWED}")

    def presigned_url(self, owner: str, upload_id: str, *, seconds: int = LINK_S) -> str:
        """A URL that anyone can read the upload with for `seconds`."""
        return self.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.bucket, "Key": _key(owner, upload_id)},
            ExpiresIn=seconds,
        )

    def resolve_urls(self, owner: str, urls: Iterable[str]) -> list[str]:
        """`urls` with a link in the place of each upload."""
        return [
            self.presigned_url(owner, upload_id(url)) if is_upload(url) else url for url in urls
        ]


def _key(owner: str, upload_id: str) -> str:
    """Where the upload lies. Raises UploadInvalid for what no offer was ever called."""
    if not ID.fullmatch(upload_id):
        raise InvalidUpload(upload_id, f"{NOT_FOUND}; {ALLOWED}")
    return f"{PREFIX}{hashlib.sha256(owner.encode()).hexdigest()[:32]}/{upload_id}"


def _recognised(file: _RangedReader) -> ImageInfo:
    if file.size > MAX_BYTES:
        raise ValueError(f"{file.size} bytes")
    picture = identify(cast(BinaryIO, file))
    if picture.content_type != file.content_type:
        raise ValueError(f"{picture.content_type} inside, but uploaded as {file.content_type}")
    return picture


class _RangedReader:
    """An object as a file: a piece is fetched when something in it is read, and only once.

    Reading raises ValueError beyond the pieces allowed, and ClientError (412) when the object is
    no longer the one that was opened: pieces of two files must not pass for one.
    """

    def __init__(self, client: S3Client, bucket: str, key: str) -> None:
        self._ask = partial(client.get_object, Bucket=bucket, Key=key)
        opened = self._ask(Range=_range(0))
        self._etag = opened["ETag"]
        self._pieces = {0: opened["Body"].read()}
        self._position = 0
        self.size = int(opened["ContentRange"].rpartition("/")[2])
        self.content_type = opened["ContentType"]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self.size if whence == os.SEEK_END else 0)
        return self._position

    def read(self, length: int) -> bytes:
        first, start = divmod(self._position, CHUNK_BYTES)
        end = min(self._position + length, self.size)
        near = b"".join(map(self._piece, range(first, -(-end // CHUNK_BYTES))))
        found = near[start : start + length]
        self._position += len(found)
        return found

    def _piece(self, n: int) -> bytes:
        if n not in self._pieces:
            if len(self._pieces) == MAX_CHUNKS:
                raise ValueError("its dimensions are too far inside: save it without metadata")
            self._pieces[n] = self._ask(Range=_range(n), IfMatch=self._etag)["Body"].read()
        return self._pieces[n]


def _range(n: int) -> str:
    return f"bytes={n * CHUNK_BYTES}-{(n + 1) * CHUNK_BYTES - 1}"
