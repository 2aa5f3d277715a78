"""Reference images: S3 enforces the form of an upload, and we validate the file before an order uses it.

moto does not enforce the policy of a form, so the tests of S3's rejections use the deployed stack's bucket.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

import boto3
import boto3.session
import pytest
import requests

from imagetasks.aws.image_bucket import CONFIG, ImageBucket
from imagetasks.aws.upload_bucket import (
    FORM_TTL_S,
    MAX_BYTES,
    PRESIGNED_S,
    TYPES,
    PresignedUpload,
    UploadBucket,
)
from imagetasks.errors import InvalidUpload, StorageUnavailable
from imagetasks.tasks.image_format import ImageInfo
from imagetasks.tasks.image_reference import is_upload, upload_id
from local.cloud import REGION
from local.system import System
from tests.fixtures.images import (
    HEIGHT,
    HTML,
    INVALID_IMAGES,
    TRAILERS,
    VALID_IMAGES,
    WIDTH,
    jpeg,
    large_png,
    png,
)
from tests.support.emulated_aws import Cloud, aws
from tests.support.fakes import client_error
from tests.support.lambdas import recorded_aws_calls

ID = "abcdefghijklmnopqrstuvwx27"
ALLOWED = "allowed is a complete PNG, JPEG or WebP of at most 10 MiB and 40 million pixels"
NOT_FOUND = f"upload not found: upload the file first; {ALLOWED}"
WRONG_IDS = [
    "",
    ID[1:],
    ID + "a",
    ID.upper(),
    "../" + ID[3:],
    ID[1:] + "\n",
    ID[1:] + "1",
    "é" * 26,
]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as made:
        yield made


@pytest.fixture
def uploads(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> UploadBucket:
    monkeypatch.setenv("BUCKET_NAME", cloud.bucket)
    images = ImageBucket.from_env()
    return UploadBucket(images.client, images.bucket)


def put(uploads: UploadBucket, content: bytes, content_type: str = "image/png") -> str:
    """Store an upload of `owner` without its form; returns its id."""
    form = uploads.presign_post("owner", content_type)
    key = form.fields["key"]
    uploads.client.put_object(
        Bucket=uploads.bucket, Key=key, Body=content, ContentType=content_type
    )
    return form.upload_id


def rejection(uploads: UploadBucket, upload: str, owner: str = "owner") -> str:
    """The reason why the upload is rejected."""
    with pytest.raises(InvalidUpload) as raised:
        uploads.validate(owner, upload)
    assert raised.value.upload_id == upload
    assert str(raised.value) == raised.value.detail
    return raised.value.detail


def jpeg_with_comments(comment_lengths: list[int]) -> bytes:
    """A JPEG whose dimensions follow comments, each with four bytes of marker and length."""
    whole = jpeg()
    comments = [b"\xff\xfe" + struct.pack(">H", n + 2) + b"c" * n for n in comment_lengths]
    return whole[:2] + b"".join(comments) + whole[2:]


def policy(form: PresignedUpload) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(base64.b64decode(form.fields["policy"])))


# The form


@pytest.mark.parametrize("content_type", TYPES)
def test_form_allows_one_file_of_one_type(uploads: UploadBucket, content_type: str) -> None:
    form = uploads.presign_post("owner", content_type)

    conditions = policy(form)["conditions"]
    assert {"bucket": uploads.bucket} in conditions
    assert {"key": form.fields["key"]} in conditions
    assert {"Content-Type": content_type} in conditions
    assert ["content-length-range", 1, 10 * 1024 * 1024] in conditions
    assert form.fields["Content-Type"] == content_type
    assert "starts-with" not in str(conditions)
    assert (form.expires_s, form.max_bytes) == (600, 10 * 1024 * 1024)


def test_form_expires_after_ten_minutes(uploads: UploadBucket) -> None:
    expires = datetime.fromisoformat(
        policy(uploads.presign_post("owner", "image/png"))["expiration"]
    )

    left = expires - datetime.now(UTC)
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)


def test_key_reveals_neither_the_owner_nor_another_upload(uploads: UploadBucket) -> None:
    forms = [
        uploads.presign_post(owner, "image/png") for owner in ("owner",) * 50 + ("another owner",)
    ]

    keys = [each.fields["key"] for each in forms]
    for form, key in zip(forms, keys, strict=True):
        assert re.fullmatch(rf"uploads/[0-9a-f]{{32}}/{form.upload_id}", key)
        assert re.fullmatch(r"[a-z2-7]{26}", form.upload_id)
        assert is_upload(form.file_url)
        assert upload_id(form.file_url) == form.upload_id
    assert len(set(keys)) == len(forms)
    assert len({key.split("/")[1] for key in keys}) == 2


@pytest.mark.parametrize(
    "content_type",
    ["", "image/gif", "image/svg+xml", "text/html", "IMAGE/PNG", "image/png,text/html"],
)
def test_no_form_is_created_for_another_type(uploads: UploadBucket, content_type: str) -> None:
    with pytest.raises(ValueError, match="image/png, image/jpeg, image/webp"):
        uploads.presign_post("owner", content_type)


def test_printed_form_does_not_permit_an_upload(uploads: UploadBucket) -> None:
    form = uploads.presign_post("owner", "image/png")

    printed = f"{form!r} {form}"

    assert form.upload_id in printed
    assert "fields" not in printed
    assert not [v for k, v in form.fields.items() if k != "Content-Type" and v in printed]


def test_form_and_url_are_created_without_a_request(uploads: UploadBucket) -> None:
    made = recorded_aws_calls(uploads.client)

    uploads.presign_post("owner", "image/png")
    uploads.presigned_url("owner", ID)

    assert made == []


# Validation


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_image_is_identified_with_one_request(
    uploads: UploadBucket, content_type: str, content: bytes
) -> None:
    upload = put(uploads, content, content_type)
    made = recorded_aws_calls(uploads.client)

    assert uploads.validate("owner", upload) == ImageInfo(content_type, WIDTH, HEIGHT)
    assert made == ["S3.GetObject"]


@pytest.mark.parametrize("content", INVALID_IMAGES.values(), ids=INVALID_IMAGES)
def test_other_content_is_rejected_with_the_allowed_formats(
    uploads: UploadBucket, content: bytes
) -> None:
    detail = rejection(uploads, put(uploads, content))

    assert detail.endswith(f"; {ALLOWED}")
    assert len(detail) > len(f"; {ALLOWED}")


def test_rejection_names_the_reason(uploads: UploadBucket) -> None:
    def reason(content: bytes, content_type: str = "image/png") -> str:
        return rejection(uploads, put(uploads, content, content_type)).removesuffix(f"; {ALLOWED}")

    assert reason(HTML) == "neither PNG nor JPEG nor WebP"
    assert reason(b"") == "the upload is empty"
    assert reason(png()[:-1]) == "the PNG is truncated"
    assert reason(large_png(MAX_BYTES + 1)) == "10485761 bytes"


def test_upload_of_another_owner_is_not_found(uploads: UploadBucket) -> None:
    upload = put(uploads, png())

    assert uploads.validate("owner", upload) == ImageInfo("image/png", WIDTH, HEIGHT)
    assert rejection(uploads, upload, "another owner") == NOT_FOUND
    assert rejection(uploads, upload, "") == NOT_FOUND
    assert rejection(uploads, ID) == NOT_FOUND


@pytest.mark.parametrize("wrong", WRONG_IDS)
def test_invalid_upload_id_is_not_found_without_a_request(
    uploads: UploadBucket, wrong: str
) -> None:
    made = recorded_aws_calls(uploads.client)

    assert rejection(uploads, wrong) == NOT_FOUND
    with pytest.raises(InvalidUpload):
        uploads.presigned_url("owner", wrong)
    assert made == []


class RejectingBucket:
    """A bucket that rejects every request with the same error."""

    def __init__(self, code: str, status: int) -> None:
        self.error = client_error(code, status)

    def get_object(self, **_: Any) -> None:
        raise self.error


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NoSuchKey", 404)])
def test_denied_and_missing_uploads_are_not_found(code: str, status: int) -> None:
    uploads = UploadBucket(cast(Any, RejectingBucket(code, status)), "bucket")

    assert rejection(uploads, ID) == NOT_FOUND


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_unavailable_bucket_does_not_reject_the_upload(code: str, status: int) -> None:
    with pytest.raises(StorageUnavailable, match=code):
        UploadBucket(cast(Any, RejectingBucket(code, status)), "bucket").validate("owner", ID)


# Reading


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS)
@pytest.mark.parametrize("kind", ["png", "progressive jpeg", "lossy webp"])
def test_image_with_anything_behind_its_end_is_accepted_as_it_was_uploaded(
    uploads: UploadBucket, kind: str, trailer: bytes
) -> None:
    content_type, content = VALID_IMAGES[kind]
    upload = put(uploads, content + trailer, content_type)

    assert uploads.validate("owner", upload) == ImageInfo(content_type, WIDTH, HEIGHT)
    url = uploads.presigned_url("owner", upload)
    assert requests.get(url, timeout=5).content == content + trailer


@pytest.mark.parametrize("comments", [[65_000] * 20, [65_000] * 150, [2] * 900 + [65_000] * 99])
def test_jpeg_with_long_metadata_is_accepted_with_one_request(
    uploads: UploadBucket, comments: list[int]
) -> None:
    upload = put(uploads, jpeg_with_comments(comments), "image/jpeg")
    made = recorded_aws_calls(uploads.client)

    assert uploads.validate("owner", upload) == ImageInfo("image/jpeg", WIDTH, HEIGHT)
    assert made == ["S3.GetObject"]


def test_largest_image_is_accepted_unless_a_byte_is_missing(uploads: UploadBucket) -> None:
    content = large_png(MAX_BYTES)

    assert uploads.validate("owner", put(uploads, content)) == ImageInfo("image/png", WIDTH, HEIGHT)
    assert rejection(uploads, put(uploads, content[:-1])).startswith("the PNG is truncated; ")


def test_too_large_file_is_rejected_without_reading_it(uploads: UploadBucket) -> None:
    upload = put(uploads, large_png(MAX_BYTES + 1))
    reads: list[int] = []
    uploads.client.meta.events.register(
        "after-call.s3.GetObject", lambda parsed, **_: parsed.update(Body=UnreadBody(reads))
    )

    rejection(uploads, upload)

    assert reads == []


class UnreadBody:
    """The body of an S3 object that records whether it is read."""

    def __init__(self, reads: list[int]) -> None:
        self._reads = reads

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def read(self) -> bytes:
        self._reads.append(1)
        return b""


# URLs


def test_url_contains_the_id_of_its_upload() -> None:
    assert is_upload(f"upload://{ID}")
    assert upload_id(f"upload://{ID}") == ID


@pytest.mark.parametrize(
    "url",
    [f"upload://{wrong}" for wrong in WRONG_IDS]
    + [ID, f"UPLOAD://{ID}", f"upload:/{ID}", f" upload://{ID}", f"upload://{ID}\n"]
    + [f"upload://{ID}/", f"upload://{ID}?a=b", f"https://example.com/upload://{ID}", ""],
)
def test_other_urls_are_not_urls_of_an_upload(url: str) -> None:
    assert not is_upload(url)
    with pytest.raises(ValueError, match="not the address of an upload"):
        upload_id(url)


def test_presigned_url_is_valid_for_one_upload_and_an_hour(uploads: UploadBucket) -> None:
    url = uploads.presigned_url("owner", ID)

    assert re.search(rf"/uploads/[0-9a-f]{{32}}/{ID}\?", url)
    assert "X-Amz-Expires=3600&" in url
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url


def test_upload_urls_are_replaced_by_presigned_urls(uploads: UploadBucket) -> None:
    upload = put(uploads, png())
    other = "https://example.com/a.png"

    resolved = uploads.resolve_urls("owner", [other, f"upload://{upload}", other])

    assert resolved[::2] == [other, other]
    assert resolved[1].startswith("https://")
    assert f"/{upload}?" in resolved[1]


# Rejections by S3


def upload_bucket(stack: System, key: str, secret: str, token: str | None = None) -> UploadBucket:
    """The deployed bucket, used with the functions' client configuration and this key."""
    client: Any = boto3.session.Session(key, secret, token).client(
        "s3", region_name=REGION, endpoint_url=stack.cloud_url, config=CONFIG
    )
    return UploadBucket(client, stack.outputs["ImagesBucketName"])


@pytest.fixture(scope="module")
def deployed(stack: System) -> UploadBucket:
    """The deployed bucket, used with the operator's key."""
    return upload_bucket(stack, "test", "test")


def post(form: PresignedUpload, content: bytes, part_type: str | None = None) -> requests.Response:
    """Send the form and a file as a browser does."""
    part = ("my picture.png", content, part_type or form.fields.get("Content-Type", "image/png"))
    return requests.post(form.url, data=form.fields, files={"file": part}, timeout=30)


def is_stored(uploads: UploadBucket, form: PresignedUpload) -> bool:
    """Whether the file of the form is in the bucket."""
    prefix = uploads.presign_post("owner", "image/png").fields["key"].rpartition("/")[0]
    found = uploads.client.list_objects_v2(
        Bucket=uploads.bucket, Prefix=f"{prefix}/{form.upload_id}"
    )
    return found["KeyCount"] > 0


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_uploaded_image_can_be_fetched_from_its_presigned_url(
    deployed: UploadBucket, content_type: str, content: bytes
) -> None:
    form = deployed.presign_post("owner", content_type)

    response = post(form, content)

    assert response.status_code == 204, response.text
    assert deployed.validate("owner", form.upload_id) == ImageInfo(content_type, WIDTH, HEIGHT)
    assert rejection(deployed, form.upload_id, "another owner") == NOT_FOUND
    [url] = deployed.resolve_urls("owner", [form.file_url])
    fetched = requests.get(url, timeout=30)
    assert fetched.content == content
    assert fetched.headers["Content-Type"] == content_type


def test_stored_type_is_the_signed_one_and_not_that_of_the_browser(
    deployed: UploadBucket,
) -> None:
    form = deployed.presign_post("owner", "image/png")

    assert post(form, png(), "text/html").status_code == 204

    fetched = requests.get(deployed.presigned_url("owner", form.upload_id), timeout=30)
    assert fetched.headers["Content-Type"] == "image/png"


def test_temporary_credentials_sign_forms_and_urls(stack: System) -> None:
    """The functions have only such credentials; the form and the URL contain their session token."""
    key = stack.client("sts").get_session_token()["Credentials"]
    uploads = upload_bucket(stack, key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    form = uploads.presign_post("owner", "image/png")

    assert post(form, png()).status_code == 204
    assert form.fields["x-amz-security-token"] == key["SessionToken"]
    assert uploads.validate("owner", form.upload_id).width == WIDTH
    assert requests.get(uploads.presigned_url("owner", form.upload_id), timeout=30).content == png()


def with_wider_policy(fields: Mapping[str, str]) -> dict[str, str]:
    """The form with a policy that allows more, and the old signature."""
    policy = json.loads(base64.b64decode(fields["policy"]))
    policy["conditions"][1] = ["content-length-range", 1, 1 << 30]
    return {**fields, "policy": base64.b64encode(json.dumps(policy).encode()).decode()}


def without(fields: Mapping[str, str], name: str) -> dict[str, str]:
    return {k: v for k, v in fields.items() if k != name}


FORGERIES: dict[str, Callable[[Mapping[str, str]], dict[str, str]]] = {
    "another type": lambda f: {**f, "Content-Type": "text/html"},
    "the type of another image": lambda f: {**f, "Content-Type": "image/jpeg"},
    "two types": lambda f: {**f, "Content-Type": "image/png,text/html"},
    "no type": lambda f: without(f, "Content-Type"),
    "a longer key": lambda f: {**f, "key": f["key"] + "a"},
    "a key with the file name": lambda f: {**f, "key": f["key"] + "${filename}"},
    "the key of another owner": lambda f: {**f, "key": f"uploads/{'0' * 32}/{f['key'][-26:]}"},
    "the key of an image": lambda f: {**f, "key": "images/task/0"},
    "a public ACL": lambda f: {**f, "acl": "public-read"},
    "extra metadata": lambda f: {**f, "x-amz-meta-width": "1"},
    "a redirect": lambda f: {**f, "success_action_redirect": "https://example.com/"},
    "a forged policy": with_wider_policy,
    "no policy": lambda f: without(f, "policy"),
    "a forged signature": lambda f: {**f, "x-amz-signature": "0" * 64},
    "only key and type": lambda f: {name: f[name] for name in ("key", "Content-Type")},
    "no signature": lambda f: without(f, "x-amz-signature"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_s3_rejects_a_changed_form(deployed: UploadBucket, forgery: str) -> None:
    form = deployed.presign_post("owner", "image/png")

    response = post(replace(form, fields=FORGERIES[forgery](form.fields)), png())

    assert 400 <= response.status_code < 500, response.text
    assert not is_stored(deployed, form)
    assert post(form, png()).status_code == 204  # the original form is accepted


def test_s3_enforces_the_size(deployed: UploadBucket) -> None:
    form = deployed.presign_post("owner", "image/png")

    over, empty = post(form, large_png(MAX_BYTES + 1)), post(form, b"")

    assert (over.status_code, empty.status_code) == (400, 400)
    assert "EntityTooLarge" in over.text
    assert "EntityTooSmall" in empty.text
    assert not is_stored(deployed, form)
    assert post(form, large_png(MAX_BYTES)).status_code == 204
    assert deployed.validate("owner", form.upload_id).width == WIDTH


@pytest.fixture
def signed_ago(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Make the AWS library sign with a time that is so many seconds ago."""

    def set_back(seconds: float) -> None:
        def past(remove_tzinfo: bool = True) -> datetime:
            now = datetime.now(UTC) - timedelta(seconds=seconds)
            return now.replace(tzinfo=None) if remove_tzinfo else now

        for module in ("signers", "auth"):
            monkeypatch.setattr(f"botocore.{module}.get_current_datetime", past)

    return set_back


def test_s3_rejects_an_expired_form(
    deployed: UploadBucket, signed_ago: Callable[[float], None]
) -> None:
    signed_ago(FORM_TTL_S - 60)
    in_time = deployed.presign_post("owner", "image/png")
    signed_ago(FORM_TTL_S + 1)
    late = deployed.presign_post("owner", "image/png")

    refusal = post(late, png())

    assert post(in_time, png()).status_code == 204
    assert (refusal.status_code, "expired" in refusal.text) == (403, True)
    signed_ago(0)
    assert not is_stored(deployed, late)


def test_presigned_url_expires_and_is_valid_for_one_upload(
    deployed: UploadBucket, signed_ago: Callable[[float], None]
) -> None:
    mine, other = put(deployed, png()), put(deployed, jpeg(), "image/jpeg")
    signed_ago(PRESIGNED_S - 60)
    url = deployed.presigned_url("owner", mine)
    signed_ago(PRESIGNED_S + 1)
    late = deployed.presigned_url("owner", mine)

    assert requests.get(url, timeout=30).content == png()
    assert requests.get(late, timeout=30).status_code == 403
    assert requests.get(url.replace(mine, other), timeout=30).status_code == 403
    assert requests.get(url.split("?")[0], timeout=30).status_code == 403


def test_s3_serves_an_empty_file_and_a_page(deployed: UploadBucket) -> None:
    assert rejection(deployed, put(deployed, b"")).startswith("the upload is empty")
    assert rejection(deployed, put(deployed, HTML)).startswith("neither PNG nor JPEG nor WebP")
