"""Files: a redirect to the image, with a server key or by a signed URL that works until the task is deleted
or the image has expired."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
from tests.fixtures.images import png
from tests.support.api import Api, assert_problem, loaded_api
from tests.support.emulated_aws import OTHER_SERVER_KEY
from tests.support.lambdas import HandlerResponse, recorded_aws_calls

DAY_S = 24 * 60 * 60
INVALID_NUMBERS = [
    "2",
    "-1",
    "00",
    "01",
    "00001",
    "0.0",
    "1e0",
    "٠",
    "²",
    "x",
    "0 ",
    "+0",
    "9" * 50,
]


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def assert_redirect(response: HandlerResponse, n: int, *, cached: bool) -> None:
    assert (response.status, response.body) == (302, "")
    assert f"/t/{n}?" in response.headers["location"]
    cache = "private, max-age=3600" if cached else "no-store"
    assert response.headers["cache-control"] == cache
    assert response.headers.get("vary") == ("Origin" if cached else None)
    assert response.headers["x-content-type-options"] == "nosniff"


def test_file_with_a_server_key_redirects_to_a_new_presigned_url(api: Api) -> None:
    finished = api.put_finished(2)

    for n in (0, 1):
        assert_redirect(api.get(f"/v1/tasks/{finished.task_id}/files/{n}"), n, cached=False)


def test_signed_url_redirects_without_a_server_key(api: Api) -> None:
    finished = api.put_finished(2)
    files = api.get(f"/v1/tasks/{finished.task_id}").json["files"]

    for n, file in enumerate(files):
        path = file["file_url"].removeprefix("https://img.example")
        for key in (None, "wrong", OTHER_SERVER_KEY):
            assert_redirect(api.get(path, key=key), n, cached=True)


def test_redirect_leads_to_the_image(api: Api) -> None:
    finished = api.put_finished()
    api.cloud.client("s3").put_object(Bucket=api.cloud.bucket, Key="images/t/0", Body=png())

    location = api.get(f"/v1/tasks/{finished.task_id}/files/0").headers["location"]

    assert requests.get(location, timeout=5).content == png()


def locations(api: Api, *paths: str, **headers: str) -> set[str]:
    return {api.get(path, **headers).headers["location"] for path in paths}


def test_every_visit_in_an_hour_leads_to_the_same_presigned_url(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = api.put_finished()
    paths = [
        f"/v1/tasks/{finished.task_id}/files/0",
        signed_urls.file_path(finished.file_url_key, finished.task_id, 0),
    ]
    found = set()
    for minute in (0, 1, 59):
        now = datetime(2026, 11, 28, 5, minute, 7, tzinfo=UTC)
        for module in ("signers", "auth"):
            monkeypatch.setattr(
                f"botocore.{module}.get_current_datetime", lambda *_, now=now, **__: now
            )
        found |= locations(api, *paths)

    assert len(found) == 1


def test_request_with_an_origin_leads_to_another_url_than_one_without(api: Api) -> None:
    finished = api.put_finished()
    path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)

    plain, cors = locations(api, path), locations(api, path, origin="https://a.example")

    assert plain.isdisjoint(cors)
    assert cors == locations(api, path, origin="https://b.example")


def test_image_is_shown_or_saved_under_its_name(api: Api) -> None:
    finished = api.put_finished()
    path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)
    for each in (path, f"/v1/tasks/{finished.task_id}/files/0"):
        [saved] = locations(api, f"{each}?download=1")
        assert "response-content-disposition=attachment%3B%20filename%3D%22t-0.png%22" in saved
        assert "disposition" not in "".join(locations(api, each, f"{each}?download=0"))


def test_head_leads_to_the_headers_of_the_image(api: Api) -> None:
    finished = api.put_finished()
    path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)
    api.cloud.client("s3").put_object(Bucket=api.cloud.bucket, Key="images/t/0", Body=png())

    head, get = api.request("HEAD", path), api.get(path)

    assert head.status == 302
    assert head.headers["location"] != get.headers["location"]  # its signature covers the method
    response = requests.head(head.headers["location"], timeout=5, stream=True)
    assert (response.status_code, response.headers["Content-Length"]) == (200, str(len(png())))


@pytest.mark.parametrize("query", ["download=2", "download=", "download=yes", "v=7", "width=9"])
def test_other_query_parameters_are_rejected(api: Api, query: str) -> None:
    finished = api.put_finished()
    path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)

    for each in (path, f"/v1/tasks/{finished.task_id}/files/0"):
        assert_problem(api.get(f"{each}?{query}"), 400, "invalid_parameter")


@pytest.mark.parametrize(("age_s", "expired"), [(2 * DAY_S - 60, False), (2 * DAY_S, True)])
def test_image_that_its_retention_removed_is_gone_and_its_task_says_when(
    age_s: int, expired: bool
) -> None:
    finished_at = int(time.time() - age_s) * 1000
    with loaded_api(IMAGE_RETENTION_DAYS="2") as api:
        finished = api.put_finished(finished_at=finished_at)
        task = api.get(f"/v1/tasks/{finished.task_id}").json
        path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)
        for each in (path, f"/v1/tasks/{finished.task_id}/files/0"):
            response = api.get(each)
            if expired:
                assert_problem(response, 410, "file_expired")
            else:
                assert_redirect(response, 0, cached=each == path)
        forged = signed_urls.file_path("b2" * 20, finished.task_id, 0)
        assert_problem(api.get(forged), 404, "no_such_task")

    expires_at = datetime.fromisoformat(task["files"][0]["expires_at"]).timestamp()
    assert expires_at == finished_at / 1000 + 2 * DAY_S


@pytest.mark.parametrize("n", INVALID_NUMBERS)
def test_invalid_file_number_gets_404(api: Api, n: str) -> None:
    finished = api.put_finished(2)

    assert_problem(api.get(f"/v1/tasks/{finished.task_id}/files/{n}"), 404, "no_such_file")


@pytest.mark.parametrize("n", INVALID_NUMBERS)
def test_signed_url_with_an_invalid_file_number_gets_404(api: Api, n: str) -> None:
    finished = api.put_finished(2)
    tokens = [signed_urls.file_token(finished.file_url_key, number) for number in (0, 1, 2)]

    for token in tokens:
        assert_problem(
            api.get(f"/files/{finished.task_id}/{n}/{token}", key=None), 404, "no_such_task"
        )


def forged_paths(path: str) -> dict[str, str]:
    """Paths that differ a little from the signed one."""
    start, n, token = re.split(r"/(?=[^/]+(?:/[^/]+)?$)", path)
    other = signed_urls.file_token("b2" * 20, 0)
    return {
        "another number": f"{start}/1/{token}",
        "the token of another task": f"{start}/{n}/{other}",
        "the token of a callback": f"{start}/{n}/{signed_urls.callback_token('a1' * 20, start)}",
        "the last character changed": f"{start}/{n}/{token[:-1]}{'B' if token[-1] != 'B' else 'C'}",
        "one character less": f"{start}/{n}/{token[:-1]}",
        "one character more": f"{start}/{n}/{token}A",
        "another case": f"{start}/{n}/{token.swapcase()}",
        "not ASCII": f"{start}/{n}/{'é' * 43}",
        "no token": f"{start}/{n}/-",
        "another task": f"/files/{derive_task_id('owner', 'other')}/{n}/{token}",
    }


@pytest.mark.parametrize("forgery", forged_paths("/files/x/0/AAA"))
def test_forged_path_gets_the_response_of_an_unknown_task(api: Api, forgery: str) -> None:
    finished = api.put_finished(2)
    api.put_finished(2, key="other", file_url_key="c3" * 20)
    path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)

    forged = api.get(forged_paths(path)[forgery], key=None)
    unknown = api.get(f"/files/{derive_task_id('unknown', 'key')}/0/AAA", key=None)

    assert_problem(forged, 404, "no_such_task")
    assert (forged.body, forged.headers) == (unknown.body, unknown.headers)


def test_task_without_a_file_url_key_has_no_signed_urls(api: Api) -> None:
    finished = api.put_finished(file_url_key="")

    path = signed_urls.file_path("", finished.task_id, 0)

    assert_problem(api.get(path, key=None), 404, "no_such_task")


def test_unfinished_task_has_no_file(api: Api) -> None:
    running = api.put(state="running")

    assert_problem(api.get(f"/v1/tasks/{running.task_id}/files/0"), 404, "no_such_file")
    path = signed_urls.file_path(running.file_url_key, running.task_id, 0)
    assert_problem(api.get(path, key=None), 404, "no_such_task")


def test_signed_url_costs_one_read_of_the_table_and_no_call_of_s3(api: Api) -> None:
    finished = api.put_finished()
    calls = recorded_aws_calls(
        api.handler_module.clients.repository.table.client, api.handler_module.clients.images.client
    )

    api.get(signed_urls.file_path(finished.file_url_key, finished.task_id, 0), key=None)

    assert calls == ["DynamoDB.GetItem"]


@pytest.mark.parametrize("route", ["/v1/tasks/{}", "/v1/tasks/{}/files/0", "/v1/tasks/{}/files/9"])
def test_task_of_another_owner_gets_the_response_of_an_unknown_task(api: Api, route: str) -> None:
    existing = route.format(api.put_finished().task_id)
    unknown = route.format(derive_task_id("unknown", "key"))

    for headers in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}):
        first = api.request("GET", existing, **headers)
        second = api.request("GET", unknown, **headers)
        assert_problem(first, 404, "no_such_task")
        assert (first.body, first.headers) == (second.body, second.headers)
