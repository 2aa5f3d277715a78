"""Images in S3: each is written once, under a key that follows from its task."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from imagetasks.aws import CLIENT_CONFIG
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.task import MAX_FILES, StoredImage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from imagetasks.outbound.download import DownloadedImage

PREFIX = "images/"
PRESIGNED_S = 300  # a new URL is signed at each visit; it only has to survive the redirect
# URLs name the bucket's own region: the global address redirects new buckets, which neither a
# signature nor a browser's form survives.
CONFIG = CLIENT_CONFIG.merge(
    Config(signature_version="s3v4", s3={"addressing_style": "virtual"}, read_timeout=5)
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageBucket:
    """Images in S3. Errors of S3 are not caught: SQS delivers the task message again."""

    client: S3Client
    bucket: str

    @classmethod
    def from_env(cls) -> ImageBucket:
        """The bucket named by BUCKET_NAME."""
        return cls(boto3.client("s3", config=CONFIG), os.environ["BUCKET_NAME"])

    def find(self, task_id: str, n: int) -> StoredImage | None:
        """The `n`th image of a task if it is already stored."""
        try:
            return self._head(_key(task_id, n))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return None  # 403: without ListBucket S3 does not say that an object is missing
            raise

    def put(self, task_id: str, n: int, download: DownloadedImage) -> StoredImage:
        """Store `download` as the `n`th image of a task; an image that is already stored wins."""
        image = StoredImage(
            key=_key(task_id, n),
            content_type=download.info.content_type,
            bytes=download.bytes,
            width=download.info.width,
            height=download.info.height,
            sha256=download.sha256,
        )
        try:
            self._write(image, download, f"{task_id}-{n}.{EXTENSIONS[image.content_type]}")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return self._head(image.key)
        return image

    def presigned_url(self, image: StoredImage, *, seconds: int = PRESIGNED_S) -> str:
        """A URL with which anyone can read the image for `seconds`."""
        return self.client.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": image.key}, ExpiresIn=seconds
        )

    def delete_all(self, task_id: str) -> None:
        """Delete every image of a task. Raises ClientError, also if S3 reports that it kept one."""
        keys: Any = [{"Key": _key(task_id, n)} for n in range(MAX_FILES)]
        response: Any = self.client.delete_objects(
            Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True}
        )
        if errors := response.pop("Errors", None):  # S3 answers 200 even if single keys failed
            raise ClientError(response | {"Error": errors[0]}, "DeleteObjects")

    def _write(self, image: StoredImage, download: DownloadedImage, name: str) -> None:
        metadata = {
            k: str(v) for k, v in asdict(image).items() if k in ("width", "height", "sha256")
        }
        self.client.put_object(
            Bucket=self.bucket,
            Key=image.key,
            Body=download.file,
            ContentLength=image.bytes,
            ContentType=image.content_type,
            ContentDisposition=f'attachment; filename="{name}"',
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


def _key(task_id: str, n: int) -> str:
    return f"{PREFIX}{task_id}/{n}"
