"""Which responses of the API may be stored by a browser or a proxy, which find them by their URL alone."""

import time
from collections.abc import Iterator

import pytest

from tests.support.api import Api, loaded_api

DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api(IMAGE_RETENTION_DAYS="1", PLAYGROUND="true") as api:
        yield api


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/tasks", 200),
        ("/v1/tasks/{task_id}", 200),
        ("/v1/tasks?task_ids={task_id}", 200),
        ("/v1/tasks/{task_id}/files/0", 302),
        ("/v1/tasks/{task_id}/files/7", 404),
        ("/v1/usage", 200),
        ("/v1/budgets/stack", 200),
        ("/api/generate/status/{task_id}", 200),
        ("/api/user/balance", 200),
    ],
)
@pytest.mark.parametrize("key", ["known", "unknown"])
def test_what_depends_on_the_caller_is_stored_by_no_cache(
    api: Api, path: str, status: int, key: str
) -> None:
    finished = api.put_finished(finished_at=time.time_ns() // 1_000_000)
    sent = {} if key == "known" else {"key": "unknown"}

    response = api.get(path.format(task_id=finished.task_id), **sent)

    assert response.status == (status if key == "known" else 401)
    assert response.headers["cache-control"] == "no-store"


def test_unchanged_task_is_stored_by_no_cache_either(api: Api) -> None:
    path = f"/v1/tasks/{api.put_finished().task_id}"
    etag = api.get(path).headers["etag"]

    response = api.get(path, If_None_Match=etag)

    assert (response.status, response.headers["cache-control"]) == (304, "no-store")


def test_expired_image_is_not_gone_for_good(api: Api) -> None:
    """Browsers store a response 410 for ever unless it says otherwise, but the operator may keep images
    for longer."""
    now = time.time_ns() // 1_000_000
    expired = api.put_finished(finished_at=now - 2 * DAY_MS)
    file_url = api.get(f"/v1/tasks/{expired.task_id}").json["files"][0]["file_url"]

    for path in (f"/v1/tasks/{expired.task_id}/files/0", file_url.partition("example")[2]):
        response = api.get(path)
        assert (response.status, response.headers["cache-control"]) == (410, "no-store")


def test_what_is_the_same_for_everybody_may_be_stored(api: Api) -> None:
    finished = api.put_finished(finished_at=time.time_ns() // 1_000_000)
    file_url = api.get(f"/v1/tasks/{finished.task_id}").json["files"][0]["file_url"]

    image, page = api.get(file_url.partition("example")[2], key=None), api.get("/", key=None)

    assert (image.status, image.headers["cache-control"]) == (302, "private, max-age=3600")
    assert (page.status, page.headers["cache-control"]) == (200, "no-cache")
