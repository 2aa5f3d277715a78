"""The bucket: an image is written once, checked, and handed out by links that do not last."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.tasks.task import StoredImage
from tests.fixtures.images import HEIGHT, VALID_IMAGES, WIDTH, jpeg, png
from tests.support.environment import Cloud, aws
from tests.support.fakes import client_error, downloaded_image
from tests.support.lambdas import recorded_aws_calls


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as made:
        yield made


@pytest.fixture
def images(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> ImageBucket:
    monkeypatch.setenv("BUCKET_NAME", cloud.bucket)
    return ImageBucket.from_env()


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_an_image_is_kept_byte_for_byte_under_its_own_type(
    cloud: Cloud, images: ImageBucket, content_type: str, content: bytes
) -> None:
    kept = images.put("task", 0, downloaded_image(content))

    digest = hashlib.sha256(content).hexdigest()
    assert kept == StoredImage(
        key="images/task/0",
        content_type=content_type,
        bytes=len(content),
        width=WIDTH,
        height=HEIGHT,
        sha256=digest,
    )
    stored = cloud.client("s3").get_object(Bucket=cloud.bucket, Key=kept.key)
    assert stored["Body"].read() == content
    assert stored["ContentType"] == content_type
    assert stored["ContentDisposition"].startswith('attachment; filename="task-0.')


def test_the_first_writer_wins_and_both_learn_what_is_kept(
    cloud: Cloud, images: ImageBucket
) -> None:
    first = images.put("task", 0, downloaded_image(png()))

    second = images.put("task", 0, downloaded_image(jpeg()))

    assert second == first
    stored = cloud.client("s3").get_object(Bucket=cloud.bucket, Key=first.key)
    assert stored["Body"].read() == png()


def test_what_is_there_is_found_as_it_was_written(images: ImageBucket) -> None:
    kept = images.put("task", 1, downloaded_image(png()))

    assert images.find("task", 1) == kept
    assert images.find("task", 0) is None
    assert images.find("other", 1) is None


def test_a_write_asks_that_nothing_be_there_and_sends_its_checksum(images: ImageBucket) -> None:
    asked: list[dict[str, Any]] = []
    images.client.meta.events.register(
        "provide-client-params.s3.PutObject", lambda params, **_: asked.append(dict(params))
    )
    made = recorded_aws_calls(images.client)

    images.put("task", 0, downloaded_image(png()))

    [put] = asked
    assert put["IfNoneMatch"] == "*"
    assert put["ContentLength"] == len(png())
    assert put["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(png()).digest()).decode()
    assert made == ["S3.PutObject"]


class Answering:
    """A bucket that answers every call with one refusal."""

    def __init__(self, code: str, status: int) -> None:
        self.error = client_error(code, status)

    def head_object(self, **_: Any) -> None:
        raise self.error

    put_object = delete_objects = head_object


@pytest.mark.parametrize(("code", "status"), [("403", 403), ("404", 404)])
def test_what_s3_will_not_show_counts_as_absent(code: str, status: int) -> None:
    assert ImageBucket(cast(Any, Answering(code, status)), "bucket").find("task", 0) is None


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_a_bucket_that_is_away_is_left_to_raise(code: str, status: int) -> None:
    away = ImageBucket(cast(Any, Answering(code, status)), "bucket")

    with pytest.raises(ClientError):
        away.find("task", 0)
    with pytest.raises(ClientError):
        away.put("task", 0, downloaded_image(png()))


@pytest.mark.parametrize("code", ["AccessDenied", "BadDigest", "ConditionalRequestConflict"])
def test_a_write_that_was_refused_for_another_reason_raises(code: str) -> None:
    with pytest.raises(ClientError, match=code):
        ImageBucket(cast(Any, Answering(code, 400)), "bucket").put(
            "task", 0, downloaded_image(png())
        )


def test_a_link_is_signed_for_one_image_and_minutes(images: ImageBucket) -> None:
    kept = images.put("task", 0, downloaded_image(png()))

    link = images.presigned_url(kept)

    # The global address redirects buckets that are young, and a signature does not survive that.
    assert link.startswith("https://images.s3.eu-west-1.amazonaws.com/images/task/0?")
    assert "X-Amz-Expires=300&" in link
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link


def test_all_images_of_a_task_are_erased_with_one_request(
    cloud: Cloud, images: ImageBucket
) -> None:
    for n in range(16):
        images.put("task", n, downloaded_image(png()))
    others = [images.put(other, 0, downloaded_image(png())) for other in ("tas", "task2", "task/0")]
    made = recorded_aws_calls(images.client)

    images.delete_all("task")

    assert made == ["S3.DeleteObjects"]
    listed = cloud.client("s3").list_objects_v2(Bucket=cloud.bucket)["Contents"]
    assert {each["Key"] for each in listed} == {kept.key for kept in others}


def test_erasing_what_is_not_there_is_no_error(images: ImageBucket) -> None:
    images.put("task", 0, downloaded_image(png()))

    images.delete_all("task")
    images.delete_all("task")

    assert images.find("task", 0) is None


class Keeping:
    """A bucket that answers 200 and keeps one of the keys all the same."""

    def delete_objects(self, **asked: Any) -> dict[str, Any]:
        last = asked["Delete"]["Objects"][-1]["Key"]
        kept = {"Key": last, "Code": "InternalError", "Message": "We encountered an error."}
        return {"ResponseMetadata": {"HTTPStatusCode": 200}, "Errors": [kept]}


def test_an_image_that_s3_kept_is_an_error() -> None:
    with pytest.raises(ClientError, match="InternalError") as raised:
        ImageBucket(cast(Any, Keeping()), "bucket").delete_all("task")

    assert raised.value.response["Error"]["Code"] == "InternalError"


def test_a_bucket_that_is_away_erases_nothing() -> None:
    with pytest.raises(ClientError, match="SlowDown"):
        ImageBucket(cast(Any, Answering("SlowDown", 503)), "bucket").delete_all("task")
