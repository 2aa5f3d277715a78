"""Uploads: a form for one owner, validation when an order uses the file, and a presigned URL for PoYo."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests
from botocore.exceptions import ReadTimeoutError

from imagetasks.aws.upload_bucket import MAX_BYTES
from tests.fixtures.images import HTML, jpeg, png
from tests.support.api import Api, assert_problem, aws_client, fail_every_call, loaded_api
from tests.support.emulated_aws import OTHER_SERVER_KEY
from tests.support.fakes import client_error

PNG = png()


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def create_upload(api: Api, content_type: str = "image/png", **headers: Any) -> Any:
    response = api.request("POST", "/v1/uploads", {"content_type": content_type}, **headers)
    assert response.status == 201, response.body
    return response.json


def upload(api: Api, content: bytes = PNG, content_type: str = "image/png", **headers: Any) -> str:
    """The URL of an upload whose file was sent with its form."""
    created = create_upload(api, content_type, **headers)
    api.cloud.client("s3").put_object(
        Bucket=api.cloud.bucket,
        Key=created["upload"]["fields"]["key"],
        Body=content,
        ContentType=created["upload"]["fields"]["Content-Type"],
    )
    return str(created["file_url"])


def order(*urls: str) -> dict[str, Any]:
    return {"model": "gpt-image-2-edit", "input": {"prompt": "x", "image_urls": [*urls]}}


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "image/webp"])
def test_upload_has_a_form_a_size_limit_and_an_expiry(api: Api, content_type: str) -> None:
    body = create_upload(api, content_type)

    scheme, _, upload_id = body["file_url"].partition("://")
    form = body["upload"]
    assert (scheme, len(upload_id)) == ("upload", 26)
    assert form["method"] == "POST"
    assert form["url"].startswith("http")
    assert form["fields"]["key"].endswith(f"/{upload_id}")
    assert form["fields"]["Content-Type"] == content_type
    assert (body["max_bytes"], body["max_pixels"]) == (MAX_BYTES, 40_000_000)
    assert body["content_types"] == ["image/png", "image/jpeg", "image/webp"]
    left = datetime.fromisoformat(body["expires_at"]).timestamp() - time.time()
    assert 590 < left <= 600


def test_every_upload_has_a_new_id(api: Api) -> None:
    assert len({create_upload(api)["file_url"] for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/content_type"),
        ({"content_type": "image/gif"}, "/content_type"),
        ({"content_type": "text/html"}, "/content_type"),
        ({"content_type": "image/PNG"}, "/content_type"),
        ({"content_type": None}, "/content_type"),
        ({"content_type": "image/png", "name": "a.png"}, "/name"),
        ([], ""),
        ("{", ""),
        (None, ""),
    ],
)
def test_invalid_description_of_an_upload_is_rejected(api: Api, body: object, pointer: str) -> None:
    problem = assert_problem(api.request("POST", "/v1/uploads", body), 422, "invalid_order")

    assert [each["pointer"] for each in problem["errors"]] == [pointer]


def test_order_with_an_upload_sends_poyo_a_presigned_url(api: Api) -> None:
    url = upload(api)

    response = api.create(order(url, "https://example.com/a.png"))

    assert response.status == 202, response.body
    assert response.json["input"]["image_urls"] == [url, "https://example.com/a.png"]
    [sent] = api.poyo.requests
    presigned_url, other = json.loads(sent.partition(b"\r\n\r\n")[2])["input"]["image_urls"]
    assert "X-Amz-Expires=3600" in presigned_url
    assert "upload://" not in presigned_url
    assert other == "https://example.com/a.png"
    assert requests.get(presigned_url, timeout=5).content == png()
    assert "X-Amz" not in json.dumps(api.cloud.items())


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
@pytest.mark.parametrize(
    ("content", "expected"), [(b"", "empty"), (HTML, "neither PNG nor JPEG nor WebP")]
)
def test_order_with_an_upload_that_is_no_image_is_rejected_free_of_charge(
    api: Api, path: str, content: bytes, expected: str
) -> None:
    url = upload(api, content)

    response = api.request("POST", path, order(url), idempotency_key="key")

    assert response.status == (422 if path == "/v1/tasks" else 400)
    assert expected in response.body
    assert (api.poyo.requests, api.cloud.items()) == ([], [])


def test_order_with_an_upload_that_was_never_sent_is_rejected(api: Api) -> None:
    problem = assert_problem(
        api.create(order(create_upload(api)["file_url"])), 422, "invalid_order"
    )

    [error] = problem["errors"]
    assert error["pointer"] == "/input/image_urls/0"
    assert error["detail"].startswith("upload not found")
    assert (api.poyo.requests, api.cloud.items()) == ([], [])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (client_error("SlowDown", 503), 503, "service_unavailable"),
        (ReadTimeoutError(endpoint_url="x"), 503, "service_unavailable"),
        (client_error("NoSuchBucket", 404), 500, "internal"),
        (client_error("InvalidAccessKeyId", 403), 500, "internal"),
    ],
    ids=str,
)
def test_upload_that_s3_cannot_show_is_told_as_a_failure_of_ours(
    api: Api, error: Exception, status: int, code: str
) -> None:
    url = upload(api)
    fail_every_call(aws_client(api.handler_module, "s3"), error)

    assert_problem(api.create(order(url)), status, code, charged=None)

    assert (api.poyo.requests, api.cloud.items()) == ([], [])


@pytest.mark.parametrize(
    "other", [{"key": OTHER_SERVER_KEY}, {"x_owner": "user"}, {"x_owner": "owner"}], ids=str
)
def test_upload_belongs_to_one_owner(api: Api, other: dict[str, Any]) -> None:
    own_upload, other_upload = upload(api), upload(api, **other)

    rejected = assert_problem(api.create(order(own_upload), **other), 422, "invalid_order")
    assert_problem(api.create(order(other_upload)), 422, "invalid_order")

    assert rejected["errors"][0]["detail"].startswith("upload not found")
    assert api.create(order(other_upload), **other).status == 202
    assert api.create(order(own_upload)).status == 202


def test_replay_needs_no_upload(api: Api) -> None:
    url = upload(api)
    first = api.create(order(url))
    bucket = api.cloud.bucket
    for each in api.cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]:
        api.cloud.client("s3").delete_object(Bucket=bucket, Key=each["Key"])

    again = api.create(order(url))

    assert (again.status, again.json["task_id"]) == (200, first.json["task_id"])
    assert_problem(api.create(order(url), idempotency_key="other"), 422, "invalid_order")


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes"])
def test_every_bad_upload_of_an_order_or_a_quote_is_named(api: Api, path: str) -> None:
    good, html, missing = upload(api), upload(api, HTML), f"upload://{'a' * 26}"
    body = order(html, good, missing, "https://example.com/a.png", html)
    body["callback_url"] = "https://127.0.0.1/done"

    problem = assert_problem(
        api.request("POST", path, body, idempotency_key="key"), 422, "invalid_order"
    )

    pointers = [each["pointer"] for each in problem["errors"]]
    images = [f"/input/image_urls/{n}" for n in (0, 2, 4)]
    assert pointers == [*images, "/callback_url"]
    assert (api.poyo.requests, api.cloud.items()) == ([], [])


def test_quote_of_a_good_upload_has_its_price(api: Api) -> None:
    response = api.request("POST", "/v1/quotes", order(upload(api)))

    assert (response.status, response.json["credits"]) == (200, 2)


def test_bad_upload_has_poyos_error_type_for_images(api: Api) -> None:
    response = api.request("POST", "/api/generate/submit", order(upload(api, HTML)))

    assert (response.status, response.json["error"]["type"]) == (400, "file_format_error")


@pytest.mark.parametrize("declared", ["image/png", "image/jpeg", "image/webp"])
def test_upload_is_judged_by_its_bytes_and_not_by_its_declared_type(
    api: Api, declared: str
) -> None:
    for content in (png(), jpeg()):
        url = upload(api, content, content_type=declared)
        assert api.create(order(url), idempotency_key=url).status == 202
