"""Images in S3: each is written once, under a key that follows from its task."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.auth import AUTH_TYPE_MAPS, S3SigV4QueryAuth
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from imagetasks.aws import translated
from imagetasks.aws.client import CLIENT_CONFIG, shared_client
from imagetasks.errors import StorageUnavailable
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.task import MAX_FILES, StoredImage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from imagetasks.outbound.download import DownloadedImage

PREFIX = "images/"
PRESIGNED_S = 2 * 60 * 60 + 600  # an hour of the same URL, an hour in a cache, and a download
CACHE_CONTROL = "private, max-age=31536000, immutable"  # an image is never replaced
# URLs name the bucket's own region: the global address redirects new buckets, which neither a
# signature nor a browser's form survives.
# An image is not hashed a second time for the signature, which contains its SHA-256 as a header of S3's.
CONFIG = CLIENT_CONFIG.merge(
    Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "payload_signing_enabled": False},
        read_timeout=5,
    )
)
HOURLY = "s3v4-hourly"
HOURLY_CONFIG = CONFIG.merge(Config(signature_version=HOURLY))


class HourlyQueryAuth(S3SigV4QueryAuth):
    """Presigns as of the beginning of the hour: an image has the same URL for an hour, so that a
    browser finds it in its cache."""

    def _modify_request_before_signing(self, request: Any) -> None:
        """botocore calls it between reading its clock and signing."""
        hour = request.context["timestamp"][: len("20261128T05")]
        request.context["timestamp"] = f"{hour}0000Z"
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # not in the stubs


AUTH_TYPE_MAPS[f"{HOURLY}-query"] = HourlyQueryAuth


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageBucket:
    """Images in S3. Every method that calls S3 raises StorageUnavailable.

    The client that `signer` returns makes the presigned URLs, `client` everything else.
    """

    client: S3Client
    bucket: str
    signer: Callable[[], S3Client] | None = None  # made when it is first needed: few functions do

    @classmethod
    def from_env(cls) -> ImageBucket:
        """The bucket named by BUCKET_NAME."""
        signer = partial(shared_client, "s3", HOURLY_CONFIG)
        return cls(shared_client("s3", CONFIG), os.environ["BUCKET_NAME"], signer)

    def find(self, task_id: str, n: int) -> StoredImage | None:
        """The `n`th image of a task if it is already stored."""
        try:
            return self._head(image_key(task_id, n))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return None  # 403: without ListBucket S3 does not say that an object is missing
            raise translated(error, StorageUnavailable) from error
        except BotoCoreError as error:
            raise translated(error, StorageUnavailable) from error

    def put(self, task_id: str, n: int, download: DownloadedImage) -> StoredImage:
        """Store `download` as the `n`th image of a task; an image that is already stored wins."""
        image = StoredImage(
            key=image_key(task_id, n),
            content_type=download.info.content_type,
            bytes=download.bytes,
            width=download.info.width,
            height=download.info.height,
            sha256=download.sha256,
        )
        try:
            self._write(image, download)
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "PreconditionFailed" and (stored := self.find(task_id, n)):
                return stored
            raise translated(error, StorageUnavailable) from error
        return image

    def presigned_url(
        self, image: StoredImage, *, download: bool = False, cors: bool = False, head: bool = False
    ) -> str:
        """A URL with which anyone can read the image for one to two hours: the same during an hour.

        A browser shows the image; with `download` it saves it. A request with an Origin (`cors`)
        needs another URL than one without: the response to the latter, which a browser may have in
        its cache, has no CORS headers. S3 accepts the URL for GET, or with `head` for HEAD only.
        """
        overrides = {}
        if download:
            overrides["ResponseContentDisposition"] = f"attachment; {_file_name(image)}"
        if cors:
            overrides["ResponseCacheControl"] = CACHE_CONTROL  # as stored, but part of the URL
        client = self.signer() if self.signer else self.client
        return client.generate_presigned_url(
            "head_object" if head else "get_object",
            Params={"Bucket": self.bucket, "Key": image.key} | overrides,
            ExpiresIn=PRESIGNED_S,
        )

    def delete_all(self, task_id: str) -> None:
        """Delete every image of a task. Raises StorageUnavailable also if S3 reports that it kept one."""
        keys: Any = [{"Key": image_key(task_id, n)} for n in range(MAX_FILES)]
        try:
            response: Any = self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True}
            )
        except (ClientError, BotoCoreError) as error:
            raise translated(error, StorageUnavailable) from error
        if errors := response.pop("Errors", None):  # S3 answers 200 even if single keys failed
            kept = ClientError(response | {"Error": errors[0]}, "DeleteObjects")
            raise translated(kept, StorageUnavailable)

    def _write(self, image: StoredImage, download: DownloadedImage) -> None:
        metadata = {
            k: str(v) for k, v in asdict(image).items() if k in ("width", "height", "sha256")
        }
        self.client.put_object(
            Bucket=self.bucket,
            Key=image.key,
            Body=download.file,
            ContentLength=image.bytes,
            ContentType=image.content_type,
            ContentDisposition=f"inline; {_file_name(image)}",
            CacheControl=CACHE_CONTROL,
            ChecksumSHA256=base64.b64encode(bytes.fromhex(image.sha256)).decode(),
            Metadata=metadata,
            IfNoneMatch="*",
        )

    def _head(self, key: str) -> StoredImage:
        head: Any = self.client.head_object(Bucket=self.bucket, Key=key)
        return StoredImage(
            key=key,
            content_type=head["ContentType"],
            bytes=head["ContentLength"],
            width=int(head["Metadata"]["width"]),
            height=int(head["Metadata"]["height"]),
            sha256=head["Metadata"]["sha256"],
        )


def _code(error: ClientError | BotoCoreError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def image_key(task_id: str, n: int) -> str:
    """The S3 key of the `n`th image of a task."""
    return f"{PREFIX}{task_id}/{n}"


def _file_name(image: StoredImage) -> str:
    """The parameter of Content-Disposition with the name that a saved image gets."""
    name = image.key.removeprefix(PREFIX).replace("/", "-")
    return f'filename="{name}.{EXTENSIONS[image.content_type]}"'
