"""Uploads at the door: offered to one owner, looked at when ordered with, linked for PoYo alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests

from imagetasks.aws.upload_bucket import MAX_BYTES
from tests.fixtures.images import HTML, png
from tests.support.lambdas import OTHER_SERVER_KEY, Api, assert_problem, loaded_api

PNG = png()


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def offered(api: Api, content_type: str = "image/png", **said: Any) -> Any:
    response = api.request("POST", "/v1/uploads", {"content_type": content_type}, **said)
    assert response.status == 201, response.body
    return response.json


def uploaded(api: Api, content: bytes = PNG, **said: Any) -> str:
    """The address of an upload that was sent as the offer says."""
    offer = offered(api, **said)
    api.cloud.client("s3").put_object(
        Bucket=api.cloud.bucket,
        Key=offer["upload"]["fields"]["key"],
        Body=content,
        ContentType=offer["upload"]["fields"]["Content-Type"],
    )
    return str(offer["file_url"])


def order(*urls: str) -> dict[str, Any]:
    return {"model": "gpt-image-2-edit", "input": {"prompt": "x", "image_urls": [*urls]}}


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "image/webp"])
def test_an_offer_says_where_how_how_much_and_until_when(api: Api, content_type: str) -> None:
    said = offered(api, content_type)

    scheme, _, upload_id = said["file_url"].partition("://")
    form = said["upload"]
    assert (scheme, len(upload_id)) == ("upload", 26)
    assert form["method"] == "POST"
    assert form["url"].startswith("http")
    assert form["fields"]["key"].endswith(f"/{upload_id}")
    assert form["fields"]["Content-Type"] == content_type
    assert said["max_bytes"] == MAX_BYTES
    left = datetime.fromisoformat(said["expires_at"]).timestamp() - time.time()
    assert 590 < left <= 600


def test_no_two_offers_are_the_same(api: Api) -> None:
    assert len({offered(api)["file_url"] for _ in range(5)}) == 5


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
def test_what_is_no_announcement_is_refused(api: Api, body: object, pointer: str) -> None:
    said = assert_problem(api.request("POST", "/v1/uploads", body), 422, "invalid_order")

    assert [each["pointer"] for each in said["errors"]] == [pointer]


def test_an_upload_is_ordered_with_and_poyo_gets_a_link_to_it(api: Api) -> None:
    url = uploaded(api)

    response = api.create(order(url, "https://example.com/a.png"))

    assert response.status == 202, response.body
    assert response.json["input"]["image_urls"] == [url, "https://example.com/a.png"]
    [sent] = api.poyo.requests
    link, other = json.loads(sent.partition(b"\r\n\r\n")[2])["input"]["image_urls"]
    assert "X-Amz-Expires=3600" in link
    assert "upload://" not in link
    assert other == "https://example.com/a.png"
    assert requests.get(link, timeout=5).content == png()
    assert "X-Amz" not in json.dumps(api.cloud.items())


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
@pytest.mark.parametrize(
    ("content", "about"), [(b"", "empty"), (HTML, "neither PNG nor JPEG nor WebP")]
)
def test_an_upload_that_is_no_picture_is_refused_before_anything_is_paid(
    api: Api, path: str, content: bytes, about: str
) -> None:
    url = uploaded(api, content)

    response = api.request("POST", path, order(url), idempotency_key="key")

    assert response.status == (422 if path == "/v1/tasks" else 400)
    assert about in response.body
    assert (api.poyo.requests, api.cloud.items()) == ([], [])


def test_an_upload_that_was_never_sent_is_refused(api: Api) -> None:
    said = assert_problem(api.create(order(offered(api)["file_url"])), 422, "invalid_order")

    [wrong] = said["errors"]
    assert wrong["pointer"] == "/input/image_urls"
    assert wrong["detail"].startswith("upload not found")
    assert (api.poyo.requests, api.cloud.items()) == ([], [])


@pytest.mark.parametrize(
    "theirs", [{"key": OTHER_SERVER_KEY}, {"x_owner": "user"}, {"x_owner": "owner"}], ids=str
)
def test_an_upload_is_its_owners_alone(api: Api, theirs: dict[str, Any]) -> None:
    mine, others = uploaded(api), uploaded(api, **theirs)

    refused = assert_problem(api.create(order(mine), **theirs), 422, "invalid_order")
    assert_problem(api.create(order(others)), 422, "invalid_order")

    assert refused["errors"][0]["detail"].startswith("upload not found")
    assert api.create(order(others), **theirs).status == 202
    assert api.create(order(mine)).status == 202


def test_a_replay_needs_no_upload_any_more(api: Api) -> None:
    url = uploaded(api)
    first = api.create(order(url))
    bucket = api.cloud.bucket
    for each in api.cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]:
        api.cloud.client("s3").delete_object(Bucket=bucket, Key=each["Key"])

    again = api.create(order(url))

    assert (again.status, again.json["task_id"]) == (200, first.json["task_id"])
    assert_problem(api.create(order(url), idempotency_key="other"), 422, "invalid_order")


def test_a_quote_asks_no_bucket(api: Api) -> None:
    response = api.request("POST", "/v1/quotes", order(f"upload://{'a' * 26}"))

    assert (response.status, response.json["credits"]) == (200, 2)
