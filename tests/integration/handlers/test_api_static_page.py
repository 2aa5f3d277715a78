"""The page's files: served where `Playground` is true, with headers that let it do what it needs and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import make_page
from tests.support.api import Api, assert_problem, loaded_api

MOST_BYTES = 120_000


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api(PLAYGROUND="true") as api:
        yield api


def test_bundle_is_up_to_date_and_small() -> None:
    assert make_page.BUNDLE.read_text("utf-8") == make_page.bundle()
    files = json.loads(make_page.BUNDLE.read_bytes()).values()
    assert sum(len(file["text"].encode()) for file in files) < MOST_BYTES


def test_page_needs_no_key_and_allows_its_own_code_and_the_bucket_only(api: Api) -> None:
    response = api.get("/", key=None)
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    form = api.request("POST", "/v1/uploads", {"content_type": "image/png"}).json["upload"]
    bucket = "/".join(form["url"].split("/")[:3])
    assert bucket in policy["connect-src"].split()
    assert bucket in policy["img-src"].split()
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"


def test_every_file_that_the_page_names_is_served(api: Api) -> None:
    sources = [*make_page.SOURCES[""].iterdir(), *make_page.SOURCES["client/"].glob("*.js")]
    named = {path.name for path in sources} - make_page.LEFT_OUT - {"index.html"}
    client = {path.name for path in Path(make_page.SOURCES["client/"]).glob("*.js")}
    for name in sorted(named):
        path = f"/page/client/{name}" if name in client - {"app.js"} else f"/page/{name}"
        response = api.get(path, key=None)
        assert response.status == 200, path
        assert response.headers["content-type"] == make_page.TYPES[Path(name).suffix]


def test_browser_that_has_a_file_gets_no_second_copy(api: Api) -> None:
    first = api.get("/page/app.js", key=None)
    again = api.get("/page/app.js", key=None, if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, "")
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", ["/page/none.js", "/page/client/none.js", "/page/..", "/page/"])
def test_unknown_file_is_a_404(api: Api, path: str) -> None:
    assert_problem(api.get(path, key=None), 404, "no_such_route")


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/client/index.js"])
def test_nothing_is_served_unless_the_operator_wants_it(path: str) -> None:
    with loaded_api() as api:
        assert_problem(api.get(path, key=None), 404, "no_such_route")
