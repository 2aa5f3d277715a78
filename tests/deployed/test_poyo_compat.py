"""The routes in PoYo's format: the same requests to the simulated PoYo and to this API."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from imagetasks.api.routes import GET_AND_OTHERS
from imagetasks.poyo.model_catalog import models
from local.settings import SIMULATOR_KEY
from local.system import System
from openapi.offered import MODELS
from tests.support.emulated_aws import aws
from tests.support.lambdas import http_event, invoke, load_handler, request_headers
from tests.support.scripted_server import responding, scripted_server

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120
ENDED = ("finished", "failed")
INPUT = {"prompt": "A lighthouse", "quality": "low", "size": "3:2", "resolution": "1K"}
ORDER = {"model": "gpt-image-2", "input": INPUT}
EXTRA_FILE_KEYS = {"format", "content_type", "file_name", "file_size"}  # optional at PoYo


def shape(value: object) -> object:
    """The keys and types of a JSON value at every depth; of a list, those of its first element."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


@dataclass(frozen=True)
class Server:
    """A server that a client of PoYo calls."""

    base_url: str
    key: str | None

    def request(self, method: str, path: str, **further: Any) -> requests.Response:
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        headers |= further.pop("headers", {})
        url = self.base_url + path
        return requests.request(method, url, headers=headers, timeout=30, **further)

    def submit(self, body: object) -> requests.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self.request("POST", "/api/generate/submit", data=content, headers=headers)

    def place(self, prompt: str = "A lighthouse") -> str:
        response = self.submit({"model": "gpt-image-2", "input": INPUT | {"prompt": prompt}})
        assert response.status_code == 200, response.text
        return str(response.json()["data"]["task_id"])

    def status(self, task_id: str) -> Any:
        return self.request("GET", f"/api/generate/status/{task_id}").json()

    def wait_for(self, task_id: str, *statuses: str) -> Any:
        deadline = time.monotonic() + TIMEOUT_S
        while (body := self.status(task_id))["data"]["status"] not in statuses:
            assert time.monotonic() < deadline, body
            time.sleep(0.2)
        return body


@dataclass(frozen=True)
class Both:
    """The simulated PoYo and this API, which get the same requests."""

    poyo: Server
    ours: Server

    def __call__[T](self, act: Callable[[Server], T]) -> tuple[T, T]:
        return act(self.poyo), act(self.ours)

    def with_key(self, key: str | None) -> Both:
        return Both(Server(self.poyo.base_url, key), Server(self.ours.base_url, key))


@pytest.fixture
def both(stack: System) -> Both:
    return Both(Server(stack.poyo_url, SIMULATOR_KEY), Server(stack.url, stack.api_key))


# Success


def test_submit_has_the_same_response_shape(both: Both) -> None:
    theirs, ours = both(lambda server: server.submit(ORDER))

    assert theirs.status_code == ours.status_code == 200
    assert theirs.headers["Content-Type"].split(";")[0] == ours.headers["Content-Type"]
    assert shape(theirs.json()) == shape(ours.json())
    assert ours.json()["data"]["status"] in ("not_started", "running")


def test_finished_task_has_the_same_shape_and_more_keys_for_its_file(both: Both) -> None:
    theirs, ours = both(lambda server: server.wait_for(server.place(), *ENDED))

    [file] = ours["data"]["files"]
    assert ours["data"]["status"] == theirs["data"]["status"] == "finished"
    assert file["file_url"].startswith(f"{both.ours.base_url}/files/")
    assert set(file) - EXTRA_FILE_KEYS == set(theirs["data"]["files"][0])
    ours["data"]["files"] = [{key: file[key] for key in set(file) - EXTRA_FILE_KEYS}]
    assert shape(ours) == shape(theirs)
    assert ours["data"]["credits_amount"] == theirs["data"]["credits_amount"] == 2.0
    assert ours["data"]["progress"] == theirs["data"]["progress"] == 100.0
    for instant in (ours["data"]["created_time"], theirs["data"]["created_time"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", instant)


def test_failed_task_has_the_same_shape(both: Both) -> None:
    prompt = "[[fault:fail-moderation]] A lighthouse"

    theirs, ours = both(lambda server: server.wait_for(server.place(prompt), *ENDED))

    assert ours["data"]["status"] == theirs["data"]["status"] == "failed"
    assert shape(ours) == shape(theirs)
    assert ours["data"]["files"] == theirs["data"]["files"] == []


@pytest.fixture
def stuck(both: Both) -> Iterator[str]:
    """A prompt whose task runs until the test ends."""
    mark = f"A lighthouse {uuid.uuid4()}"
    yield f"[[fault:stuck-running]] {mark}"
    control = f"{both.poyo.base_url}/control/tasks"
    for each in requests.get(control, timeout=30).json()["tasks"]:
        if each["state"] in ("not_started", "running"):
            requests.post(f"{control}/{each['task_id']}/finish", timeout=30)


def test_running_task_has_the_same_shape(both: Both, stuck: str) -> None:
    theirs, ours = both(lambda server: server.wait_for(server.place(stuck), "running"))

    assert shape(ours) == shape(theirs)
    assert ours["data"]["credits_amount"] is None


def test_balance_has_the_same_shape(both: Both) -> None:
    theirs, ours = both(lambda server: server.request("GET", "/api/user/balance"))

    assert theirs.status_code == ours.status_code == 200
    assert shape(theirs.json()) == shape(ours.json())
    assert ours.json()["data"]["credits_amount"] > 0


def test_balance_comes_from_poyo_and_is_cached_for_a_minute() -> None:
    balance = {"code": 200, "data": {"email": "operator@example.com", "credits_amount": "9765.5"}}
    now, path = [100.0], "/api/user/balance"
    with (
        aws() as cloud,
        scripted_server(responding("200 OK", json.dumps(balance).encode())) as poyo,
        load_handler("api", cloud, POYO_BASE_URL=poyo.url) as handler,
    ):
        handler.dependencies.balance.clock = lambda: now[0]
        for seconds, requests_to_poyo in ((0.0, 1), (1.0, 1), (58.9, 1), (0.2, 2), (59.9, 2)):
            now[0] += seconds
            response = invoke(handler, http_event("GET", path, headers=request_headers()))

            assert response.json == {"code": 200, "data": {"email": "", "credits_amount": 9765.5}}
            assert (
                sum(b"GET /api/user/balance " in each for each in poyo.requests) == requests_to_poyo
            )


def test_failed_balance_request_is_not_cached() -> None:
    balance = json.dumps({"code": 200, "data": {"credits_amount": 7}}).encode()
    unavailable, available = responding("502 Bad Gateway", b"<html>"), responding("200 OK", balance)
    with (
        aws() as cloud,
        scripted_server(unavailable, available) as poyo,
        load_handler("api", cloud, POYO_BASE_URL=poyo.url) as handler,
    ):
        unauthenticated = invoke(
            handler, http_event("GET", "/api/user/balance", headers=request_headers("no-key"))
        )
        assert (unauthenticated.status, poyo.requests) == (401, [])

        first, second = (
            invoke(handler, http_event("GET", "/api/user/balance", headers=request_headers()))
            for _ in range(2)
        )

    assert (first.status, first.json["code"]) == (503, 503)
    assert first.json["error"]["type"] == "server_error"
    assert second.json["data"]["credits_amount"] == 7.0


# Errors

WRONG: dict[str, object] = {
    "an unknown model": ORDER | {"model": "gpt-image-9"},
    "no input": {"model": "gpt-image-2"},
    "no prompt": {"model": "gpt-image-2", "input": {"quality": "low"}},
    "a blank prompt": {"model": "gpt-image-2", "input": {"prompt": " \n"}},
    "a prompt that is a number": {"model": "gpt-image-2", "input": {"prompt": 5}},
    "an unknown quality": ORDER | {"input": INPUT | {"quality": "ultra"}},
    "an unknown size": ORDER | {"input": INPUT | {"size": "7:5"}},
    "an unknown resolution": ORDER | {"input": INPUT | {"resolution": "8K"}},
    "a custom size at 1K": ORDER | {"input": INPUT | {"size": "1024x1024"}},
    "a custom size that is odd": ORDER | {"input": INPUT | {"size": "999x999", "resolution": "2K"}},
    "an image inside the order": ORDER
    | {"input": INPUT | {"image_urls": ["data:image/png;base64,iVBORw0KGgo="]}},
    "no model": {"input": INPUT},
    "an edit without an image": {"model": "gpt-image-2-edit", "input": INPUT},
    "too many images": ORDER
    | {"input": INPUT | {"image_urls": ["https://images.example.com/a.png"] * 17}},
    "a callback URL with another scheme": ORDER | {"callback_url": "ftp://example.com/"},
    "half an object": b'{"model": "gpt-image-2", "inp',
    "a list": [ORDER],
    "an empty body": b"",
    "bytes that are not UTF-8": b"\xff\xfe\x00",
}


def assert_same_error(theirs: requests.Response, ours: requests.Response) -> None:
    """Assert the same HTTP status, shape, `code` and `error.type`; the messages may differ."""
    expected, actual = theirs.json(), ours.json()
    assert theirs.status_code == ours.status_code, (expected, actual)
    assert shape(expected) == shape(actual)
    assert actual["code"] == expected["code"] == ours.status_code
    assert actual["error"]["type"] == expected["error"]["type"], (expected, actual)
    assert actual["error"]["message"]
    assert ours.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("case", WRONG)
def test_invalid_order_gets_the_same_error(both: Both, case: str) -> None:
    theirs, ours = both(lambda server: server.submit(WRONG[case]))

    assert 400 <= ours.status_code < 500
    assert_same_error(theirs, ours)


@pytest.mark.parametrize("key", [None, "", "sk-wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/generate/submit"),
        ("GET", "/api/generate/status/aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("GET", "/api/user/balance"),
    ],
)
def test_unauthenticated_caller_gets_the_same_error(
    both: Both, key: str | None, method: str, path: str
) -> None:
    theirs, ours = both.with_key(key)(lambda server: server.request(method, path))

    assert ours.status_code == 401
    assert_same_error(theirs, ours)


@pytest.mark.parametrize("task_id", ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "BFJI1885TB0ROHQM", "x"])
def test_unknown_task_gets_the_same_error(both: Both, task_id: str) -> None:
    theirs, ours = both(lambda server: server.request("GET", f"/api/generate/status/{task_id}"))

    assert ours.status_code == 404
    assert_same_error(theirs, ours)


# The catalog


def test_catalog_has_the_same_models_and_prices(both: Both) -> None:
    theirs, ours = both.with_key(None)(
        lambda server: server.request("GET", "/v1/catalog/models?limit=100").json()
    )

    sold = theirs["data"]["items"]
    assert {item["model_id"] for item in sold} == set(models())
    theirs["data"]["items"] = [item for item in sold if item["model_id"] in MODELS]
    for page in (theirs, ours):
        assert {item["model_id"] for item in page["data"]["items"]} == set(MODELS)
        page["data"]["items"].sort(key=lambda item: item["model_id"])
        for item in page["data"]["items"]:
            for key in ("input_schema", "output_schema", "description"):  # their texts differ
                assert item.pop(key)
    assert theirs == ours


@pytest.mark.parametrize("model", MODELS)
def test_one_model_equals_its_entry_in_the_list_and_has_an_etag(both: Both, model: str) -> None:
    path = f"/v1/catalog/models/{model}"
    for server in (both.poyo, both.ours):
        page = server.request("GET", "/v1/catalog/models?limit=100").json()["data"]["items"]
        first = server.request("GET", path)
        again = server.request("GET", path, headers={"If-None-Match": first.headers["ETag"]})

        assert first.json()["data"] in page
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=99",
        "category=video",
        "category=image&service_type=generate",
        "tags=image-to-image",
        "tags=text-to-image,image-to-image",
        "q=EDIT",
        "q=no-such-thing",
    ],
)
def test_catalog_has_the_same_pages_and_filters(both: Both, query: str) -> None:
    def found(server: Server) -> Any:
        path = f"/v1/catalog/models?limit=100&{query}"
        data = server.request("GET", path).json()["data"]
        names = [item["model_id"] for item in data.pop("items")]
        return [each for each in names if each in MODELS], data

    theirs, ours = both(found)

    assert theirs == ours


@pytest.mark.parametrize("path", ["/v1/catalog/models/none", "/v1/catalog/models?limit=many"])
def test_unknown_model_and_invalid_limit_get_the_same_error(both: Both, path: str) -> None:
    assert_same_error(*both(lambda server: server.request("GET", path)))


# The differences in docs/compatibility.md


def test_page_lists_every_route_in_poyos_format() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    paths = [path for _, path, _ in GET_AND_OTHERS]

    found = [path for path in paths if path.startswith(("/api/", "/v1/catalog/"))]

    assert len(found) == 5
    assert [path for path in found if path.replace("<", "{").replace(">", "}") not in page] == []


def test_poyo_accepts_an_unknown_field_and_we_reject_it(both: Both) -> None:
    order = ORDER | {"input": {"prompt": "A lighthouse", "aspect_ratio": "3:2"}}

    theirs, ours = both(lambda server: server.submit(order))

    assert theirs.status_code == 200
    assert ours.status_code == 400
    assert "/input/aspect_ratio: " in ours.json()["error"]["message"]
    assert "did you mean size?" in ours.json()["error"]["message"]


def test_only_we_support_an_idempotency_key(both: Both) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    def place_twice(server: Server) -> set[str]:
        responses = [
            server.request("POST", "/api/generate/submit", json=ORDER, headers=headers)
            for _ in range(2)
        ]
        return {str(response.json()["data"]["task_id"]) for response in responses}

    theirs, ours = both(place_twice)

    assert (len(theirs), len(ours)) == (2, 1)


def test_each_submit_without_an_idempotency_key_is_a_new_order(both: Both) -> None:
    for server in (both.poyo, both.ours):
        assert server.place() != server.place()


def test_signed_url_needs_no_key_and_ends_with_its_task(both: Both) -> None:
    task_id = both.ours.place()
    [file] = both.ours.wait_for(task_id, *ENDED)["data"]["files"]
    image = requests.get(file["file_url"], timeout=30)
    assert image.status_code == 200
    assert len(image.content) == file["file_size"]
    assert image.headers["Content-Type"] == file["content_type"] == "image/png"

    deleted = both.ours.request("DELETE", f"/v1/tasks/{task_id}")

    assert deleted.status_code == 204
    assert requests.get(file["file_url"], timeout=30).status_code == 404
    assert both.ours.request("GET", f"/api/generate/status/{task_id}").status_code == 404


def test_task_of_another_owner_is_not_found(both: Both) -> None:
    task_id = both.ours.place()
    headers = {"X-Owner": "ann"}

    response = both.ours.request("GET", f"/api/generate/status/{task_id}", headers=headers)

    assert (response.status_code, response.json()["code"]) == (404, 404)


@pytest.mark.parametrize(
    "case",
    ["http://images.example.com/a.png", "https://203.0.113.7/a.png", "https://u@example.com/a.png"],
)
def test_we_reject_image_urls_that_are_not_public_https(both: Both, case: str) -> None:
    response = both.ours.submit(ORDER | {"input": INPUT | {"image_urls": [case]}})

    assert response.status_code == 400
    assert "/input/image_urls/0: " in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "their_error", "our_error"),
    [
        (
            ORDER | {"input": {"prompt": "x" * 20_001}},
            (400, "content_too_long_error"),
            (400, "validation_error"),
        ),
    ],
    ids=["a prompt that is too long"],
)
def test_error_with_another_type(
    both: Both, body: object, their_error: tuple[int, str], our_error: tuple[int, str]
) -> None:
    theirs, ours = both(lambda server: server.submit(body))

    for response, error in ((theirs, their_error), (ours, our_error)):
        assert (response.status_code, response.json()["error"]["type"]) == error


def test_null_is_an_absent_field_in_both(both: Both) -> None:
    theirs, ours = both(lambda server: server.submit(ORDER | {"input": INPUT | {"quality": None}}))

    assert (theirs.status_code, ours.status_code) == (200, 200)
