"""The image bucket: each image is written once, with its checksum, and read by URLs that expire."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

import pytest
import requests

from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.errors import StorageUnavailable
from imagetasks.tasks.task import StoredImage
from tests.fixtures.images import HEIGHT, VALID_IMAGES, WIDTH, jpeg, png
from tests.support.emulated_aws import Cloud, aws
from tests.support.fakes import client_error, downloaded_image
from tests.support.lambdas import recorded_aws_calls


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture
def images(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> ImageBucket:
    monkeypatch.setenv("BUCKET_NAME", cloud.bucket)
    return ImageBucket.from_env()


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_image_is_stored_byte_for_byte_with_its_content_type(
    cloud: Cloud, images: ImageBucket, content_type: str, content: bytes
) -> None:
    image = images.put("task", 0, downloaded_image(content))

    digest = hashlib.sha256(content).hexdigest()
    assert image == StoredImage(
        key="images/task/0",
        content_type=content_type,
        bytes=len(content),
        width=WIDTH,
        height=HEIGHT,
        sha256=digest,
    )
    stored = cloud.client("s3").get_object(Bucket=cloud.bucket, Key=image.key)
    assert stored["Body"].read() == content
    assert stored["ContentType"] == content_type
    assert stored["ContentDisposition"].startswith('inline; filename="task-0.')
    assert stored["CacheControl"] == "private, max-age=31536000, immutable"


def test_first_image_stays_and_a_second_write_returns_it(cloud: Cloud, images: ImageBucket) -> None:
    first = images.put("task", 0, downloaded_image(png()))

    second = images.put("task", 0, downloaded_image(jpeg()))

    assert second == first
    stored = cloud.client("s3").get_object(Bucket=cloud.bucket, Key=first.key)
    assert stored["Body"].read() == png()


def test_stored_image_is_found_as_it_was_written(images: ImageBucket) -> None:
    image = images.put("task", 1, downloaded_image(png()))

    assert images.find("task", 1) == image
    assert images.find("task", 0) is None
    assert images.find("other", 1) is None


def test_write_requires_an_unused_key_and_sends_its_checksum(images: ImageBucket) -> None:
    requests: list[dict[str, Any]] = []
    images.client.meta.events.register(
        "provide-client-params.s3.PutObject", lambda params, **_: requests.append(dict(params))
    )
    calls = recorded_aws_calls(images.client)

    images.put("task", 0, downloaded_image(png()))

    [put] = requests
    assert put["IfNoneMatch"] == "*"
    assert put["ContentLength"] == len(png())
    assert put["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(png()).digest()).decode()
    assert calls == ["S3.PutObject"]


class FailingClient:
    """An S3 client that raises one error for every call."""

    def __init__(self, code: str, status: int) -> None:
        self.error = client_error(code, status)

    def head_object(self, **_: Any) -> None:
        raise self.error

    put_object = delete_objects = head_object


@pytest.mark.parametrize(("code", "status"), [("403", 403), ("404", 404)])
def test_forbidden_or_missing_object_is_not_found(code: str, status: int) -> None:
    assert ImageBucket(cast(Any, FailingClient(code, status)), "bucket").find("task", 0) is None


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_unavailable_bucket_raises_storage_unavailable(code: str, status: int) -> None:
    unavailable = ImageBucket(cast(Any, FailingClient(code, status)), "bucket")

    with pytest.raises(StorageUnavailable):
        unavailable.find("task", 0)
    with pytest.raises(StorageUnavailable):
        unavailable.put("task", 0, downloaded_image(png()))


@pytest.mark.parametrize(
    ("code", "passing"),
    [("AccessDenied", False), ("NoSuchBucket", False), ("BadDigest", True), ("SlowDown", True)],
)
def test_write_that_s3_rejects_for_another_reason_raises(code: str, passing: bool) -> None:
    with pytest.raises(StorageUnavailable, match=code) as raised:
        ImageBucket(cast(Any, FailingClient(code, 400)), "bucket").put(
            "task", 0, downloaded_image(png())
        )

    assert raised.value.passing is passing


@pytest.fixture
def signed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make the AWS library sign at this time."""

    def set_clock(text: str) -> None:
        at = datetime.fromisoformat(text)
        for module in ("signers", "auth"):
            monkeypatch.setattr(f"botocore.{module}.get_current_datetime", lambda *_, **__: at)

    return set_clock


def test_presigned_url_is_for_one_image(images: ImageBucket) -> None:
    image = images.put("task", 0, downloaded_image(png()))

    url = images.presigned_url(image)

    # The global address redirects requests for a new bucket, which invalidates the signature.
    assert url.startswith("https://images.s3.eu-west-1.amazonaws.com/images/task/0?")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert requests.get(url, timeout=5).content == png()


def test_presigned_url_is_the_same_during_an_hour_and_works_in_the_next(
    images: ImageBucket, signed_at: Callable[[str], None]
) -> None:
    def url_at(time: str) -> str:
        signed_at(f"2026-11-28T{time}")
        return ImageBucket.from_env().presigned_url(image)

    image = images.put("task", 0, downloaded_image(png()))
    first = url_at("05:00:00")

    assert "X-Amz-Date=20261128T050000Z&" in first
    assert url_at("05:00:01") == url_at("05:59:59") == first
    assert url_at("06:00:00") != first
    [expires_s] = re.findall(r"X-Amz-Expires=(\d+)&", first)
    assert (
        int(expires_s) > 2 * 60 * 60
    )  # handed out at the end of the hour, then cached for another


def test_url_to_save_an_image_and_one_for_cors_differ_from_the_usual_one(
    images: ImageBucket,
) -> None:
    image = images.put("task", 0, downloaded_image(png()))
    kinds = [(download, cors) for download in (False, True) for cors in (False, True)]

    urls = [images.presigned_url(image, download=download, cors=cors) for download, cors in kinds]

    assert len(set(urls)) == len(kinds)
    headers = [requests.get(url, timeout=5).headers for url in urls]
    shown, saved = 'inline; filename="task-0.png"', 'attachment; filename="task-0.png"'
    assert [each["Content-Disposition"] for each in headers] == [shown, shown, saved, saved]
    assert {each["Cache-Control"] for each in headers} == {"private, max-age=31536000, immutable"}


def test_all_images_of_a_task_are_deleted_in_one_request(cloud: Cloud, images: ImageBucket) -> None:
    for n in range(16):
        images.put("task", n, downloaded_image(png()))
    others = [images.put(other, 0, downloaded_image(png())) for other in ("tas", "task2", "task/0")]
    calls = recorded_aws_calls(images.client)

    images.delete_all("task")

    assert calls == ["S3.DeleteObjects"]
    listed = cloud.client("s3").list_objects_v2(Bucket=cloud.bucket)["Contents"]
    assert {each["Key"] for each in listed} == {image.key for image in others}


def test_deleting_missing_images_is_no_error(images: ImageBucket) -> None:
    images.put("task", 0, downloaded_image(png()))

    images.delete_all("task")
    images.delete_all("task")

    assert images.find("task", 0) is None


class KeepingClient:
    """An S3 client whose response has status 200 and an error for one of the keys."""

    def delete_objects(self, **arguments: Any) -> dict[str, Any]:
        last = arguments["Delete"]["Objects"][-1]["Key"]
        error = {"Key": last, "Code": "InternalError", "Message": "We encountered an error."}
        return {"ResponseMetadata": {"HTTPStatusCode": 200}, "Errors": [error]}


def test_image_that_s3_did_not_delete_is_an_error() -> None:
    with pytest.raises(StorageUnavailable, match="InternalError") as raised:
        ImageBucket(cast(Any, KeepingClient()), "bucket").delete_all("task")

    assert raised.value.passing


def test_unavailable_bucket_raises_on_delete() -> None:
    with pytest.raises(StorageUnavailable, match="SlowDown"):
        ImageBucket(cast(Any, FailingClient("SlowDown", 503)), "bucket").delete_all("task")
