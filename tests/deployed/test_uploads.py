"""Reference images: S3 holds an upload to what was offered, and we look before it is ordered with.

moto enforces no policies, so what S3 refuses is shown on the deployed stack's bucket.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import boto3
import boto3.session
import pytest
import requests
from botocore.exceptions import ClientError

from imagetasks.aws.image_bucket import CONFIG, ImageBucket
from imagetasks.aws.upload_bucket import (
    CHUNK_BYTES,
    FORM_TTL_S,
    MAX_BYTES,
    MAX_CHUNKS,
    PRESIGNED_S,
    TYPES,
    PresignedUpload,
    UploadBucket,
)
from imagetasks.errors import InvalidUpload
from imagetasks.tasks.image_format import ImageInfo
from imagetasks.tasks.image_reference import is_upload, upload_id
from local.cloud import REGION
from local.system import System
from tests.fixtures.images import (
    HEIGHT,
    HTML,
    INVALID_IMAGES,
    VALID_IMAGES,
    WIDTH,
    jpeg,
    large_png,
    png,
)
from tests.support.environment import Cloud, aws
from tests.support.fakes import client_error
from tests.support.lambdas import recorded_aws_calls

ID = "abcdefghijklmnopqrstuvwx27"
ALLOWED = "allowed is a complete PNG, JPEG or WebP of at most 10 MiB and 40 million pixels"
NOT_THERE = f"upload not found: upload the file first; {ALLOWED}"
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
    """The id of an upload of `owner`, put there past its offer."""
    offer = uploads.presign_post("owner", content_type)
    key = offer.fields["key"]
    uploads.client.put_object(
        Bucket=uploads.bucket, Key=key, Body=content, ContentType=content_type
    )
    return offer.upload_id


def refused(uploads: UploadBucket, upload: str, owner: str = "owner") -> str:
    """Why the upload is refused."""
    with pytest.raises(InvalidUpload) as raised:
        uploads.validate(owner, upload)
    assert raised.value.upload_id == upload
    assert str(raised.value) == raised.value.detail
    return raised.value.detail


def asked(client: Any) -> list[dict[str, Any]]:
    """The parameters of every GetObject from now on."""
    seen: list[dict[str, Any]] = []
    client.meta.events.register(
        "provide-client-params.s3.GetObject", lambda params, **_: seen.append(dict(params))
    )
    return seen


def commented(comment_lengths: list[int]) -> bytes:
    """A JPEG whose dimensions come after comments, each with its four bytes of marker and length."""
    whole = jpeg()
    comments = [b"\xff\xfe" + struct.pack(">H", n + 2) + b"c" * n for n in comment_lengths]
    return whole[:2] + b"".join(comments) + whole[2:]


def policy(offer: PresignedUpload) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(base64.b64decode(offer.fields["policy"])))


# What is offered


@pytest.mark.parametrize("content_type", TYPES)
def test_an_offer_is_for_one_file_of_one_type(uploads: UploadBucket, content_type: str) -> None:
    offer = uploads.presign_post("owner", content_type)

    conditions = policy(offer)["conditions"]
    assert {"bucket": uploads.bucket} in conditions
    assert {"key": offer.fields["key"]} in conditions
    assert {"Content-Type": content_type} in conditions
    assert ["content-length-range", 1, 10 * 1024 * 1024] in conditions
    assert offer.fields["Content-Type"] == content_type
    assert "starts-with" not in str(conditions)
    assert (offer.expires_s, offer.max_bytes) == (600, 10 * 1024 * 1024)


def test_an_offer_ends_after_ten_minutes(uploads: UploadBucket) -> None:
    ends = datetime.fromisoformat(policy(uploads.presign_post("owner", "image/png"))["expiration"])

    left = ends - datetime.now(UTC)
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)


def test_a_key_tells_neither_the_owner_nor_another_upload(uploads: UploadBucket) -> None:
    offers = [uploads.presign_post(owner, "image/png") for owner in ("owner",) * 50 + ("stranger",)]

    keys = [each.fields["key"] for each in offers]
    for offer, key in zip(offers, keys, strict=True):
        assert re.fullmatch(rf"uploads/[0-9a-f]{{32}}/{offer.upload_id}", key)
        assert re.fullmatch(r"[a-z2-7]{26}", offer.upload_id)
        assert is_upload(offer.file_url)
        assert upload_id(offer.file_url) == offer.upload_id
    assert len(set(keys)) == len(offers)
    assert len({key.split("/")[1] for key in keys}) == 2


@pytest.mark.parametrize(
    "content_type",
    ["", "image/gif", "image/svg+xml", "text/html", "IMAGE/PNG", "image/png,text/html"],
)
def test_nothing_else_is_offered(uploads: UploadBucket, content_type: str) -> None:
    with pytest.raises(ValueError, match="image/png, image/jpeg, image/webp"):
        uploads.presign_post("owner", content_type)


def test_what_is_printed_of_an_offer_lets_nobody_upload(uploads: UploadBucket) -> None:
    offer = uploads.presign_post("owner", "image/png")

    printed = f"{offer!r} {offer}"

    assert offer.upload_id in printed
    assert "fields" not in printed
    assert not [v for k, v in offer.fields.items() if k != "Content-Type" and v in printed]


def test_an_offer_asks_nobody(uploads: UploadBucket) -> None:
    made = recorded_aws_calls(uploads.client)

    uploads.presign_post("owner", "image/png")
    uploads.presigned_url("owner", ID)

    assert made == []


# What is found


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_a_picture_is_recognised_with_one_request(
    uploads: UploadBucket, content_type: str, content: bytes
) -> None:
    upload = put(uploads, content, content_type)
    made = recorded_aws_calls(uploads.client)

    assert uploads.validate("owner", upload) == ImageInfo(content_type, WIDTH, HEIGHT)
    assert made == ["S3.GetObject"]


@pytest.mark.parametrize("content", INVALID_IMAGES.values(), ids=INVALID_IMAGES)
def test_nothing_else_is_and_the_caller_is_told_what_would_be(
    uploads: UploadBucket, content: bytes
) -> None:
    detail = refused(uploads, put(uploads, content))

    assert detail.endswith(f"; {ALLOWED}")
    assert len(detail) > len(f"; {ALLOWED}")


def test_each_reason_is_named(uploads: UploadBucket) -> None:
    def why(content: bytes, content_type: str = "image/png") -> str:
        return refused(uploads, put(uploads, content, content_type)).removesuffix(f"; {ALLOWED}")

    assert why(HTML) == "neither PNG nor JPEG nor WebP"
    assert why(b"") == "the upload is empty"
    assert why(png()[:-1]) == "the PNG is truncated"
    assert why(jpeg()) == "image/jpeg inside, but uploaded as image/png"
    assert why(png(), "image/webp") == "image/png inside, but uploaded as image/webp"
    assert why(large_png(MAX_BYTES + 1)) == "10485761 bytes"


def test_somebody_elses_upload_is_as_absent_as_one_that_never_was(uploads: UploadBucket) -> None:
    upload = put(uploads, png())

    assert uploads.validate("owner", upload) == ImageInfo("image/png", WIDTH, HEIGHT)
    assert refused(uploads, upload, "stranger") == NOT_THERE
    assert refused(uploads, upload, "") == NOT_THERE
    assert refused(uploads, ID) == NOT_THERE


@pytest.mark.parametrize("wrong", WRONG_IDS)
def test_what_no_offer_was_ever_called_is_not_asked_for(uploads: UploadBucket, wrong: str) -> None:
    made = recorded_aws_calls(uploads.client)

    assert refused(uploads, wrong) == NOT_THERE
    with pytest.raises(InvalidUpload):
        uploads.presigned_url("owner", wrong)
    assert made == []


class Answering:
    """A bucket that answers every call with one refusal."""

    def __init__(self, code: str, status: int) -> None:
        self.error = client_error(code, status)

    def get_object(self, **_: Any) -> None:
        raise self.error


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NoSuchKey", 404)])
def test_what_s3_will_not_show_counts_as_absent(code: str, status: int) -> None:
    uploads = UploadBucket(cast(Any, Answering(code, status)), "bucket")

    assert refused(uploads, ID) == NOT_THERE


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_a_bucket_that_is_away_is_no_fault_of_the_upload(code: str, status: int) -> None:
    with pytest.raises(ClientError, match=code):
        UploadBucket(cast(Any, Answering(code, status)), "bucket").validate("owner", ID)


# How much is read


def test_of_the_largest_picture_two_pieces_are_read(uploads: UploadBucket) -> None:
    upload = put(uploads, large_png(MAX_BYTES))
    ranges = asked(uploads.client)

    assert uploads.validate("owner", upload) == ImageInfo("image/png", WIDTH, HEIGHT)
    assert [each["Range"] for each in ranges] == ["bytes=0-131071", "bytes=10354688-10485759"]


def test_of_what_is_too_large_no_more_than_its_length_is_learnt(uploads: UploadBucket) -> None:
    upload = put(uploads, large_png(MAX_BYTES + 1))
    made = recorded_aws_calls(uploads.client)

    refused(uploads, upload)

    assert made == ["S3.GetObject"]


@pytest.mark.parametrize(
    "size", [CHUNK_BYTES + by for by in (-1, 0, 1, 5, 12, 13)] + [2 * CHUNK_BYTES]
)
def test_an_end_that_lies_across_two_pieces_is_found(uploads: UploadBucket, size: int) -> None:
    content = large_png(size)

    assert uploads.validate("owner", put(uploads, content)).width == WIDTH
    assert refused(uploads, put(uploads, content[:-1])).startswith("the PNG is truncated")


@pytest.mark.parametrize("short", range(12))
def test_dimensions_that_lie_across_two_pieces_are_found(uploads: UploadBucket, short: int) -> None:
    frame = jpeg().index(b"\xff\xc0") - 2
    first = CHUNK_BYTES - 2 - frame - short - 2 * 60_004 - 4
    content = commented([60_000, 60_000, first])
    assert content.index(b"\xff\xc0") == CHUNK_BYTES - short

    found = uploads.validate("owner", put(uploads, content, "image/jpeg"))

    assert found == ImageInfo("image/jpeg", WIDTH, HEIGHT)


def test_behind_the_last_byte_nothing_is_asked_for(uploads: UploadBucket) -> None:
    comment = commented([60_000])[2:60_006]
    last = commented([CHUNK_BYTES - 2 * 60_004 - 8])[2 : 2 + CHUNK_BYTES - 2 * 60_004 - 4]
    content = b"\xff\xd8" + comment * 2 + last + b"\xff\xd9"
    assert len(content) == CHUNK_BYTES

    assert refused(uploads, put(uploads, content)).startswith("the JPEG has no dimensions; ")


def test_a_jpeg_with_much_before_its_dimensions_is_read_up_to_a_bound(
    uploads: UploadBucket,
) -> None:
    most = commented([65_000] * 13 + [2_000])  # dimensions in the seventh piece, then the last one
    padded = most[:-2] + bytes(CHUNK_BYTES) + most[-2:]
    upload = put(uploads, padded, "image/jpeg")
    ranges = asked(uploads.client)

    assert uploads.validate("owner", upload) == ImageInfo("image/jpeg", WIDTH, HEIGHT)
    assert len(ranges) == MAX_CHUNKS
    assert len({each["Range"] for each in ranges}) == MAX_CHUNKS


@pytest.mark.parametrize("comments", [[65_000] * 20, [65_000] * 150, [2] * 900 + [65_000] * 99])
def test_beyond_a_mebibyte_in_eight_requests_nothing_is_read(
    uploads: UploadBucket, comments: list[int]
) -> None:
    upload = put(uploads, commented(comments), "image/jpeg")
    ranges = asked(uploads.client)

    detail = refused(uploads, upload)

    assert detail.startswith("its dimensions are too far inside: save it without metadata; ")
    assert len(ranges) == 8
    spans = [tuple(map(int, each["Range"][6:].split("-"))) for each in ranges]
    assert sum(last + 1 - first for first, last in spans) == 1024 * 1024


def test_pieces_of_two_files_do_not_pass_for_one(uploads: UploadBucket, cloud: Cloud) -> None:
    upload = put(uploads, large_png(3 * CHUNK_BYTES))
    key = uploads.presign_post("owner", "image/png").fields["key"].rpartition("/")[0] + f"/{upload}"
    seen: list[str] = []

    def meanwhile(**_: Any) -> None:
        seen.append("asked")
        if len(seen) == 2:
            other = HTML + large_png(3 * CHUNK_BYTES)[len(HTML) :]
            cloud.client("s3").put_object(Bucket=uploads.bucket, Key=key, Body=other)

    uploads.client.meta.events.register("provide-client-params.s3.GetObject", meanwhile)

    assert refused(uploads, upload).startswith("the upload was replaced while it was looked at; ")
    assert len(seen) == 2


# How it is called


def test_an_address_names_its_upload() -> None:
    assert is_upload(f"upload://{ID}")
    assert upload_id(f"upload://{ID}") == ID


@pytest.mark.parametrize(
    "url",
    [f"upload://{wrong}" for wrong in WRONG_IDS]
    + [ID, f"UPLOAD://{ID}", f"upload:/{ID}", f" upload://{ID}", f"upload://{ID}\n"]
    + [f"upload://{ID}/", f"upload://{ID}?a=b", f"https://example.com/upload://{ID}", ""],
)
def test_nothing_else_is_the_address_of_an_upload(url: str) -> None:
    assert not is_upload(url)
    with pytest.raises(ValueError, match="not the address of an upload"):
        upload_id(url)


def test_a_link_is_signed_for_one_upload_and_an_hour(uploads: UploadBucket) -> None:
    link = uploads.presigned_url("owner", ID)

    assert re.search(rf"/uploads/[0-9a-f]{{32}}/{ID}\?", link)
    assert "X-Amz-Expires=3600&" in link
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    assert "X-Amz-Expires=60&" in uploads.presigned_url("owner", ID, seconds=60)


def test_links_stand_where_uploads_stood(uploads: UploadBucket) -> None:
    upload = put(uploads, png())
    other = "https://example.com/a.png"

    linked = uploads.resolve_urls("owner", [other, f"upload://{upload}", other])

    assert linked[::2] == [other, other]
    assert linked[1].startswith("https://")
    assert f"/{upload}?" in linked[1]


# What S3 itself refuses


def signed_with(stack: System, key: str, secret: str, token: str | None = None) -> UploadBucket:
    """Uploads of the deployed bucket, with the client that the functions have and this key."""
    client: Any = boto3.session.Session(key, secret, token).client(
        "s3", region_name=REGION, endpoint_url=stack.cloud_url, config=CONFIG
    )
    return UploadBucket(client, stack.outputs["ImagesBucketName"])


@pytest.fixture(scope="module")
def deployed(stack: System) -> UploadBucket:
    """Uploads of the deployed bucket, with the operator's key."""
    return signed_with(stack, "test", "test")


def post(offer: PresignedUpload, content: bytes, part_type: str | None = None) -> requests.Response:
    """What a browser sends when it is handed an offer and a file."""
    part = ("my picture.png", content, part_type or offer.fields.get("Content-Type", "image/png"))
    return requests.post(offer.url, data=offer.fields, files={"file": part}, timeout=30)


def lies(uploads: UploadBucket, offer: PresignedUpload) -> bool:
    """Whether the file that was offered is in the bucket."""
    prefix = uploads.presign_post("owner", "image/png").fields["key"].rpartition("/")[0]
    found = uploads.client.list_objects_v2(
        Bucket=uploads.bucket, Prefix=f"{prefix}/{offer.upload_id}"
    )
    return found["KeyCount"] > 0


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_a_picture_travels_from_a_browser_to_whoever_has_the_link(
    deployed: UploadBucket, content_type: str, content: bytes
) -> None:
    offer = deployed.presign_post("owner", content_type)

    answer = post(offer, content)

    assert answer.status_code == 204, answer.text
    assert deployed.validate("owner", offer.upload_id) == ImageInfo(content_type, WIDTH, HEIGHT)
    assert refused(deployed, offer.upload_id, "stranger") == NOT_THERE
    [link] = deployed.resolve_urls("owner", [offer.file_url])
    fetched = requests.get(link, timeout=30)
    assert fetched.content == content
    assert fetched.headers["Content-Type"] == content_type


def test_the_type_is_the_one_that_was_signed_whatever_the_browser_calls_the_file(
    deployed: UploadBucket,
) -> None:
    offer = deployed.presign_post("owner", "image/png")

    assert post(offer, png(), "text/html").status_code == 204

    fetched = requests.get(deployed.presigned_url("owner", offer.upload_id), timeout=30)
    assert fetched.headers["Content-Type"] == "image/png"


def test_a_key_of_hours_signs_as_well(stack: System) -> None:
    """The functions have no other: it comes with a token, which the form and the link carry."""
    key = stack.client("sts").get_session_token()["Credentials"]
    uploads = signed_with(stack, key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    offer = uploads.presign_post("owner", "image/png")

    assert post(offer, png()).status_code == 204
    assert offer.fields["x-amz-security-token"] == key["SessionToken"]
    assert uploads.validate("owner", offer.upload_id).width == WIDTH
    assert (
        requests.get(uploads.presigned_url("owner", offer.upload_id), timeout=30).content == png()
    )


def forged(fields: Mapping[str, str]) -> dict[str, str]:
    """The form with a policy that allows more, under the old signature."""
    said = json.loads(base64.b64decode(fields["policy"]))
    said["conditions"][1] = ["content-length-range", 1, 1 << 30]
    return {**fields, "policy": base64.b64encode(json.dumps(said).encode()).decode()}


def without(fields: Mapping[str, str], name: str) -> dict[str, str]:
    return {k: v for k, v in fields.items() if k != name}


FORGERIES: dict[str, Callable[[Mapping[str, str]], dict[str, str]]] = {
    "another type": lambda f: {**f, "Content-Type": "text/html"},
    "another picture's type": lambda f: {**f, "Content-Type": "image/jpeg"},
    "two types": lambda f: {**f, "Content-Type": "image/png,text/html"},
    "no type": lambda f: without(f, "Content-Type"),
    "a longer key": lambda f: {**f, "key": f["key"] + "a"},
    "a key that the browser fills in": lambda f: {**f, "key": f["key"] + "${filename}"},
    "somebody else's key": lambda f: {**f, "key": f"uploads/{'0' * 32}/{f['key'][-26:]}"},
    "the key of an image": lambda f: {**f, "key": "images/task/0"},
    "readable by all": lambda f: {**f, "acl": "public-read"},
    "facts of its own": lambda f: {**f, "x-amz-meta-width": "1"},
    "a redirect": lambda f: {**f, "success_action_redirect": "https://example.com/"},
    "a forged policy": forged,
    "no policy": lambda f: without(f, "policy"),
    "a forged signature": lambda f: {**f, "x-amz-signature": "0" * 64},
    "nothing signed": lambda f: {name: f[name] for name in ("key", "Content-Type")},
    "no signature": lambda f: without(f, "x-amz-signature"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_s3_refuses_what_was_not_offered(deployed: UploadBucket, forgery: str) -> None:
    offer = deployed.presign_post("owner", "image/png")

    answer = post(replace(offer, fields=FORGERIES[forgery](offer.fields)), png())

    assert 400 <= answer.status_code < 500, answer.text
    assert not lies(deployed, offer)
    assert post(offer, png()).status_code == 204  # it was the forgery


def test_s3_counts_the_bytes(deployed: UploadBucket) -> None:
    offer = deployed.presign_post("owner", "image/png")

    over, empty = post(offer, large_png(MAX_BYTES + 1)), post(offer, b"")

    assert (over.status_code, empty.status_code) == (400, 400)
    assert "EntityTooLarge" in over.text
    assert "EntityTooSmall" in empty.text
    assert not lies(deployed, offer)
    assert post(offer, large_png(MAX_BYTES)).status_code == 204
    assert deployed.validate("owner", offer.upload_id).width == WIDTH


@pytest.fixture
def signed_ago(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the AWS library sign as it would have signed so many seconds ago."""

    def turn(seconds: float) -> None:
        def then(remove_tzinfo: bool = True) -> datetime:
            now = datetime.now(UTC) - timedelta(seconds=seconds)
            return now.replace(tzinfo=None) if remove_tzinfo else now

        for module in ("signers", "auth"):
            monkeypatch.setattr(f"botocore.{module}.get_current_datetime", then)

    return turn


def test_s3_refuses_what_comes_too_late(
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
    assert not lies(deployed, late)


def test_a_link_ends_and_opens_nothing_else(
    deployed: UploadBucket, signed_ago: Callable[[float], None]
) -> None:
    mine, other = put(deployed, png()), put(deployed, jpeg(), "image/jpeg")
    signed_ago(PRESIGNED_S - 60)
    link = deployed.presigned_url("owner", mine)
    signed_ago(PRESIGNED_S + 1)
    late = deployed.presigned_url("owner", mine)

    assert requests.get(link, timeout=30).content == png()
    assert requests.get(late, timeout=30).status_code == 403
    assert requests.get(link.replace(mine, other), timeout=30).status_code == 403
    assert requests.get(link.split("?")[0], timeout=30).status_code == 403


def test_s3_gives_pieces_and_none_of_another_file(deployed: UploadBucket) -> None:
    upload = put(deployed, large_png(3 * CHUNK_BYTES))
    ranges = asked(deployed.client)

    assert deployed.validate("owner", upload).width == WIDTH
    assert [each["Range"] for each in ranges] == ["bytes=0-131071", "bytes=262144-393215"]
    assert "IfMatch" in ranges[1]
    assert refused(deployed, put(deployed, b"")).startswith("the upload is empty")
    assert refused(deployed, put(deployed, HTML)).startswith("neither PNG nor JPEG nor WebP")
