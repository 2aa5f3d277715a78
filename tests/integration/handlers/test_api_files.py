"""Files: the way to an image by key, or by a link that works in `<img src>` and dies with its task."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
from tests.fixtures.images import png
from tests.support.lambdas import (
    OTHER_SERVER_KEY,
    Api,
    HandlerResponse,
    assert_problem,
    loaded_api,
    recorded_aws_calls,
)

NOT_NUMBERS = ["2", "-1", "00", "01", "00001", "0.0", "1e0", "٠", "²", "x", "0 ", "+0", "9" * 50]


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def is_the_way(response: HandlerResponse, n: int) -> None:
    assert (response.status, response.body) == (302, "")
    assert f"/t/{n}?" in response.headers["location"]
    assert "X-Amz-Expires=300" in response.headers["location"]
    assert response.headers["cache-control"] == "private, max-age=60"


def test_a_file_is_found_by_key_through_a_fresh_link(api: Api) -> None:
    made = api.put_finished(2)

    for n in (0, 1):
        is_the_way(api.get(f"/v1/tasks/{made.task_id}/files/{n}"), n)


def test_a_file_is_found_by_its_link_without_a_key(api: Api) -> None:
    made = api.put_finished(2)
    shown = api.get(f"/v1/tasks/{made.task_id}").json["files"]

    for n, file in enumerate(shown):
        path = file["file_url"].removeprefix("https://img.example")
        for key in (None, "wrong", OTHER_SERVER_KEY):
            is_the_way(api.get(path, key=key), n)


def test_the_way_leads_to_the_image(api: Api) -> None:
    made = api.put_finished()
    api.cloud.client("s3").put_object(Bucket=api.cloud.bucket, Key="images/t/0", Body=png())

    location = api.get(f"/v1/tasks/{made.task_id}/files/0").headers["location"]

    assert requests.get(location, timeout=5).content == png()


@pytest.mark.parametrize("n", NOT_NUMBERS)
def test_a_number_that_names_no_file_finds_none(api: Api, n: str) -> None:
    made = api.put_finished(2)

    assert_problem(api.get(f"/v1/tasks/{made.task_id}/files/{n}"), 404, "no_such_file")


@pytest.mark.parametrize("n", NOT_NUMBERS)
def test_a_link_with_such_a_number_opens_nothing(api: Api, n: str) -> None:
    made = api.put_finished(2)
    macs = [signed_urls.file_token(made.file_url_key, number) for number in (0, 1, 2)]

    for mac in macs:
        assert_problem(api.get(f"/files/{made.task_id}/{n}/{mac}", key=None), 404, "no_such_task")


def forged(link: str) -> dict[str, str]:
    """Links that are almost the right one."""
    start, n, mac = re.split(r"/(?=[^/]+(?:/[^/]+)?$)", link)
    other = signed_urls.file_token("b2" * 20, 0)
    return {
        "another number": f"{start}/1/{mac}",
        "the mac of another task": f"{start}/{n}/{other}",
        "the mac of a callback": f"{start}/{n}/{signed_urls.callback_token('a1' * 20, start)}",
        "the last character changed": f"{start}/{n}/{mac[:-1]}{'B' if mac[-1] != 'B' else 'C'}",
        "one character less": f"{start}/{n}/{mac[:-1]}",
        "one character more": f"{start}/{n}/{mac}A",
        "another case": f"{start}/{n}/{mac.swapcase()}",
        "not ASCII": f"{start}/{n}/{'é' * 43}",
        "nothing": f"{start}/{n}/-",
        "another task": f"/files/{derive_task_id('owner', 'other')}/{n}/{mac}",
    }


@pytest.mark.parametrize("forgery", forged("/files/x/0/AAA"))
def test_a_link_that_is_almost_right_opens_nothing(api: Api, forgery: str) -> None:
    made = api.put_finished(2)
    api.put_finished(2, key="other", file_url_key="c3" * 20)
    link = signed_urls.file_path(made.file_url_key, made.task_id, 0)

    none = api.get(forged(link)[forgery], key=None)
    nobodys = api.get(f"/files/{derive_task_id('nobody', 'key')}/0/AAA", key=None)

    assert_problem(none, 404, "no_such_task")
    assert (none.body, none.headers) == (nobodys.body, nobodys.headers)


def test_a_task_without_a_link_key_has_no_links(api: Api) -> None:
    made = api.put_finished(file_url_key="")

    path = signed_urls.file_path("", made.task_id, 0)

    assert_problem(api.get(path, key=None), 404, "no_such_task")


def test_a_task_that_is_not_finished_has_no_file(api: Api) -> None:
    made = api.put(state="running")

    assert_problem(api.get(f"/v1/tasks/{made.task_id}/files/0"), 404, "no_such_file")
    path = signed_urls.file_path(made.file_url_key, made.task_id, 0)
    assert_problem(api.get(path, key=None), 404, "no_such_task")


def test_a_link_costs_one_read_and_asks_s3_for_nothing(api: Api) -> None:
    made = api.put_finished()
    seen = recorded_aws_calls(
        api.handler_module.clients.repository.table.client, api.handler_module.clients.images.client
    )

    api.get(signed_urls.file_path(made.file_url_key, made.task_id, 0), key=None)

    assert seen == ["DynamoDB.GetItem"]


@pytest.mark.parametrize("route", ["/v1/tasks/{}", "/v1/tasks/{}/files/0", "/v1/tasks/{}/files/9"])
def test_another_owners_task_is_like_none_at_all(api: Api, route: str) -> None:
    mine = route.format(api.put_finished().task_id)
    none = route.format(derive_task_id("nobody", "key"))

    for said in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}):
        theirs, nobodys = api.request("GET", mine, **said), api.request("GET", none, **said)
        assert_problem(theirs, 404, "no_such_task")
        assert (theirs.body, theirs.headers) == (nobodys.body, nobodys.headers)
