"""An image of this service as the reference of an order: its `file_url` is verified, or its task is the
owner's; it is stored as it was given, and sent to PoYo as a presigned URL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import Task, derive_task_id
from tests.fixtures.images import png
from tests.support.api import STORED_IMAGE, Api, assert_problem, loaded_api
from tests.support.browser_tokens import mint
from tests.support.emulated_aws import OTHER_SERVER_KEY

BASE_URL = "https://img.example"
EXPIRED_AT = 1  # in 1970
PATHS = {"/v1/tasks": 202, "/api/generate/submit": 200}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def finished_with_image(api: Api, **changed: Any) -> Task:
    """A finished task whose image is in the bucket."""
    task_id = derive_task_id("owner", "source")
    key = f"images/{task_id}/0"
    api.cloud.client("s3").put_object(Bucket=api.cloud.bucket, Key=key, Body=png())
    return api.put_finished(key="source", files=(replace(STORED_IMAGE, key=key),), **changed)


def file_url(task: Task, n: int = 0, base_url: str = BASE_URL) -> str:
    return base_url + signed_urls.file_path(task.file_url_key, task.task_id, n)


def order(*urls: str) -> dict[str, Any]:
    return {"model": "gpt-image-2-edit", "input": {"prompt": "bluer", "image_urls": [*urls]}}


def sent_urls(api: Api) -> list[str]:
    """The `image_urls` of the last order that PoYo got."""
    body = json.loads(api.poyo.requests[-1].partition(b"\r\n\r\n")[2])
    return list(body["input"]["image_urls"])


def test_image_after_a_file_that_was_left_out_is_sent_by_its_own_number(api: Api) -> None:
    task_id = derive_task_id("owner", "source")
    key = f"images/{task_id}/1"
    api.cloud.client("s3").put_object(Bucket=api.cloud.bucket, Key=key, Body=png())
    api.put_finished(key="source", files=(replace(STORED_IMAGE, key=key),))
    file_url = api.get(f"/v1/tasks/{task_id}").json["files"][0]["file_url"]

    response = api.create(order(file_url, f"task:{task_id}/1"))

    assert response.status == 202
    assert [requests.get(url, timeout=10).content for url in sent_urls(api)] == [png(), png()]
    refused = api.create(order(f"task:{task_id}/0"), idempotency_key="other")
    assert_problem(refused, 422, "invalid_order")
    assert api.get(f"/v1/tasks/{task_id}/files/1").status == 302
    assert api.get(file_url.removeprefix(BASE_URL), key=None).status == 302


@pytest.mark.parametrize("base_url", [BASE_URL, "http://127.0.0.1:8787"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", [None, OTHER_SERVER_KEY])
def test_image_of_this_service_is_sent_to_poyo_as_a_presigned_url(
    path: str, base_url: str, key: str | None
) -> None:
    with loaded_api(PUBLIC_URL=base_url) as api:
        source = file_url(finished_with_image(api), base_url=base_url)
        other = "https://example.com/a.png"
        caller = {} if key is None else {"key": key}

        response = api.request("POST", path, order(source, other), idempotency_key="k", **caller)

        assert response.status == PATHS[path], response.body
        presigned, unchanged = sent_urls(api)
        assert "X-Amz-Expires=3600" in presigned
        assert requests.get(presigned, timeout=5).content == png()
        assert unchanged == other
        assert "X-Amz" not in json.dumps(api.cloud.items())


def test_task_shows_the_reference_as_it_was_given_and_a_replay_finds_it(api: Api) -> None:
    source = finished_with_image(api)
    first = api.create(order(file_url(source)))
    assert api.request("DELETE", f"/v1/tasks/{source.task_id}").status == 204

    again = api.create(order(file_url(source)))

    assert first.json["input"]["image_urls"] == [file_url(source)]
    assert (again.status, again.json["task_id"]) == (200, first.json["task_id"])
    assert api.submit_count() == 1


@pytest.mark.parametrize("path", PATHS)
def test_result_of_an_own_task_is_sent_to_poyo_as_a_presigned_url(api: Api, path: str) -> None:
    named = f"task:{finished_with_image(api).task_id}/0"

    response = api.request("POST", path, order(named), idempotency_key="k")

    assert response.status == PATHS[path], response.body
    [presigned] = sent_urls(api)
    assert "X-Amz-Expires=3600" in presigned
    assert requests.get(presigned, timeout=5).content == png()
    assert "X-Amz" not in json.dumps(api.cloud.items())
    again = api.create(order(named), idempotency_key="k")
    assert (again.status, again.json["input"]["image_urls"]) == (200, [named])


def test_result_may_be_a_mask(api: Api) -> None:
    named = f"task:{finished_with_image(api).task_id}/0"
    masked = {"prompt": "a moon", "image_urls": ["https://example.com/a.png"], "mask_url": named}

    response = api.create({"model": "gpt-image-2.5-flare", "input": masked})

    assert response.status == 202, response.body
    sent = json.loads(api.poyo.requests[-1].partition(b"\r\n\r\n")[2])["input"]
    assert "X-Amz-Expires=3600" in sent["mask_url"]


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes"])
@pytest.mark.parametrize("caller", [{"key": OTHER_SERVER_KEY}, {"x_owner": "ada"}])
def test_result_of_another_owners_task_is_no_reference(
    api: Api, path: str, caller: dict[str, str]
) -> None:
    """The answer is that of a task which does not exist."""
    foreign = f"task:{finished_with_image(api).task_id}/0"
    unknown = f"task:{derive_task_id('owner', 'unknown')}/0"

    def refused(url: str) -> Any:
        response = api.request("POST", path, order(url), idempotency_key="k", **caller)
        return assert_problem(response, 422, "invalid_order")["errors"]

    assert refused(foreign) == refused(unknown)
    assert [each["pointer"] for each in refused(foreign)] == ["/input/image_urls/0"]
    assert api.poyo.requests == []


def test_token_of_a_user_names_only_results_of_that_user(api: Api) -> None:
    keys = f"task:{finished_with_image(api).task_id}/0"
    own = api.put_finished(key="own", owner="owner/ada", owner_key="owner/ada")
    token = mint(api, "ada")["token"]

    assert_problem(api.create(order(keys), key=token), 422, "invalid_order")
    assert api.create(order(f"task:{own.task_id}/0"), key=token).status == 202


def unusable(api: Api) -> dict[str, str]:
    """Addresses of this service that name no image, or one that is gone."""
    source = finished_with_image(api)
    deleted = api.put_finished(key="deleted", deleted_at=5, file_url_key="", files=())
    running = api.put(key="running", state="running")
    expired = api.put_finished(key="expired", finished_at=EXPIRED_AT)
    unknown = replace(source, task_id=derive_task_id("owner", "unknown"))
    return {
        "forged": file_url(replace(source, file_url_key="b2" * 20)),
        "another number": file_url(source, 1),
        "unknown task": file_url(unknown),
        "deleted task": file_url(replace(deleted, file_url_key="a1" * 20)),
        "unfinished task": file_url(running),
        "expired image": file_url(expired),
        "path with a key": f"{BASE_URL}/v1/tasks/{source.task_id}/files/0",
        "another path": f"{BASE_URL}/openapi.json",
        "fragment": f"{file_url(source)}#x",
        "another number of a task": f"task:{source.task_id}/1",
        "unknown task by its id": f"task:{unknown.task_id}/0",
        "deleted task by its id": f"task:{deleted.task_id}/0",
        "unfinished task by its id": f"task:{running.task_id}/0",
        "expired image of a task": f"task:{expired.task_id}/0",
        "malformed reference": f"task:{source.task_id}",
    }


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes"])
def test_unusable_address_of_this_service_is_named_by_its_pointer(path: str) -> None:
    with loaded_api(IMAGE_RETENTION_DAYS="1") as api:
        bad = unusable(api)
        for name, url in bad.items():
            problem = assert_problem(
                api.request("POST", path, order("https://example.com/", url), idempotency_key=name),
                422,
                "invalid_order",
            )
            assert [each["pointer"] for each in problem["errors"]] == ["/input/image_urls/1"], name
        assert api.poyo.requests == []


def test_quote_accepts_an_image_of_this_service(api: Api) -> None:
    source = finished_with_image(api)

    response = api.request("POST", "/v1/quotes", order(file_url(source), file_url(source)))

    assert response.status == 200, response.body


def test_address_like_ours_of_another_host_is_any_public_url(api: Api) -> None:
    source = finished_with_image(api)
    similar = file_url(source, base_url="https://img.example.org")

    assert api.create(order(similar)).status == 202
    assert sent_urls(api) == [similar]
