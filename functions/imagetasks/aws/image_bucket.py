"""The bucket: each image is written once, under a name that follows from its task."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.task import MAX_FILES, StoredImage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from imagetasks.outbound.download import DownloadedImage

PREFIX = "images/"
LINK_S = 300  # a presigned link is minted at each visit; it only has to survive the redirect
# Links name the bucket's own region: the global address redirects young buckets, which no signature
# and no browser's form survives.
CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "virtual"},
    connect_timeout=2,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 3},
)


@dataclass(frozen=True, slots=True)
class ImageBucket:
    """Images in S3. What the bucket does not answer is left to raise: the queue tries again."""

    client: S3Client
    bucket: str

    @classmethod
    def from_env(cls) -> ImageBucket:
        """The bucket named by BUCKET_NAME."""
        return cls(boto3.client("s3", config=CONFIG), os.environ["BUCKET_NAME"])

    def find(self, task_id: str, n: int) -> StoredImage | None:
        """The `n`th image of a task if it is already here, as it was when it was written."""
        try:
            return self._head(_key(task_id, n))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return None  # 403: without ListBucket S3 does not say what is not there
            raise

    def put(self, task_id: str, n: int, download: DownloadedImage) -> StoredImage:
        """Keep `download` as the `n`th image of a task; the one that is already there wins."""
        kept = StoredImage(
            key=_key(task_id, n),
            content_type=download.picture.content_type,
            bytes=download.bytes,
            width=download.picture.width,
            height=download.picture.height,
            sha256=download.sha256,
        )
        try:
            self._write(kept, download, f"{task_id}-{n}.{EXTENSIONS[kept.content_type]}")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return self._head(kept.key)
        return kept

    def presigned_url(self, kept: StoredImage, *, seconds: int = LINK_S) -> str:
        """A URL that anyone can read the image with for `seconds`."""
        return self.client.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": kept.key}, ExpiresIn=seconds
        )

    def delete_all(self, task_id: str) -> None:
        """Delete every image of a task; what is not there is deleted already.

        Raises ClientError, too, when S3 answers that it kept some.
        """
        keys: Any = [{"Key": _key(task_id, n)} for n in range(MAX_FILES)]
        answer: Any = self.client.delete_objects(
            Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True}
        )
        if kept := answer.pop("Errors", None):  # S3 says 200, whatever became of the single keys
            raise ClientError(answer | {"Error": kept[0]}, "DeleteObjects")

    def _write(self, kept: StoredImage, download: DownloadedImage, name: str) -> None:
        facts = {k: str(v) for k, v in asdict(kept).items() if k in ("width", "height", "sha256")}
        self.client.put_object(
            Bucket=self.bucket,
            Key=kept.key,
            Body=download.file,
            ContentLength=kept.bytes,
            ContentType=kept.content_type,
            ContentDisposition=f'attachment; filename="{name}"',
            ChecksumSHA256=base64.b64encode(bytes.fromhex(kept.sha256)).decode(),
            Metadata=facts,
            IfNoneMatch="*",
        )

    def _head(self, key: str) -> StoredImage:
        found: Any = self.client.head_object(Bucket=self.bucket, Key=key)
        return StoredImage(
            key=key,
            content_type=found["ContentType"],
            bytes=found["ContentLength"],
            width=int(found["Metadata"]["width"]),
            height=int(found["Metadata"]["height"]),
            sha256=found["Metadata"]["sha256"],
        )


def _key(task_id: str, n: int) -> str:
    return f"{PREFIX}{task_id}/{n}"
