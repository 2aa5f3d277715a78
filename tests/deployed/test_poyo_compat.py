"""Two places, one client: what PoYo answers and what we answer in its place."""

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

from imagetasks.poyo.models import MODELS
from local.settings import SIMULATOR_KEY
from local.system import System
from tests.support.environment import aws
from tests.support.lambdas import http_event, invoke, load_handler, request_headers
from tests.support.scripted_server import responding, scripted_server

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
ENDED = ("finished", "failed")
INPUT = {"prompt": "A lighthouse", "quality": "low", "size": "3:2", "resolution": "1K"}
ORDER = {"model": "gpt-image-2", "input": INPUT}
UNSAID = {"format", "content_type", "file_name", "file_size"}  # optional at PoYo, always there here


def shape(value: object) -> object:
    """Keys and types, all the way down; of a list, the shapes that occur in it."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


@dataclass(frozen=True)
class Place:
    """Where a client of PoYo is pointed at."""

    base_url: str
    key: str | None

    def ask(self, method: str, path: str, **further: Any) -> requests.Response:
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        headers |= further.pop("headers", {})
        url = self.base_url + path
        return requests.request(method, url, headers=headers, timeout=30, **further)

    def submit(self, body: object) -> requests.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self.ask("POST", "/api/generate/submit", data=content, headers=headers)

    def ordered(self, prompt: str = "A lighthouse") -> str:
        answer = self.submit({"model": "gpt-image-2", "input": INPUT | {"prompt": prompt}})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["task_id"])

    def status(self, task_id: str) -> Any:
        return self.ask("GET", f"/api/generate/status/{task_id}").json()

    def until(self, task_id: str, *statuses: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while (body := self.status(task_id))["data"]["status"] not in statuses:
            assert time.monotonic() < deadline, body
            time.sleep(0.2)
        return body


@dataclass(frozen=True)
class Both:
    """The simulated PoYo and us, asked the same."""

    poyo: Place
    ours: Place

    def __call__[T](self, ask: Callable[[Place], T]) -> tuple[T, T]:
        return ask(self.poyo), ask(self.ours)

    def keyed(self, key: str | None) -> Both:
        return Both(Place(self.poyo.base_url, key), Place(self.ours.base_url, key))


@pytest.fixture
def both(stack: System) -> Both:
    return Both(Place(stack.poyo_url, SIMULATOR_KEY), Place(stack.url, stack.api_key))


# What goes well


def test_a_submit_is_answered_in_the_same_shape(both: Both) -> None:
    theirs, ours = both(lambda place: place.submit(ORDER))

    assert theirs.status_code == ours.status_code == 200
    assert theirs.headers["Content-Type"].split(";")[0] == ours.headers["Content-Type"]
    assert shape(theirs.json()) == shape(ours.json())
    assert ours.json()["data"]["status"] in ("not_started", "running")


def test_a_finished_task_is_told_in_the_same_shape_and_with_more_of_its_file(both: Both) -> None:
    theirs, ours = both(lambda place: place.until(place.ordered(), *ENDED))

    [file] = ours["data"]["files"]
    assert ours["data"]["status"] == theirs["data"]["status"] == "finished"
    assert file["file_url"].startswith(f"{both.ours.base_url}/files/")
    assert set(file) - UNSAID == set(theirs["data"]["files"][0])
    ours["data"]["files"] = [{key: file[key] for key in set(file) - UNSAID}]
    assert shape(ours) == shape(theirs)
    assert ours["data"]["credits_amount"] == theirs["data"]["credits_amount"] == 2.0
    assert ours["data"]["progress"] == theirs["data"]["progress"] == 100.0
    for instant in (ours["data"]["created_time"], theirs["data"]["created_time"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", instant)


def test_a_failed_task_is_told_in_the_same_shape(both: Both) -> None:
    prompt = "[[fault:fail-moderation]] A lighthouse"

    theirs, ours = both(lambda place: place.until(place.ordered(prompt), *ENDED))

    assert ours["data"]["status"] == theirs["data"]["status"] == "failed"
    assert shape(ours) == shape(theirs)
    assert ours["data"]["files"] == theirs["data"]["files"] == []


@pytest.fixture
def stuck(both: Both) -> Iterator[str]:
    """A prompt whose task runs until the test is over."""
    mark = f"A lighthouse {uuid.uuid4()}"
    yield f"[[fault:stuck-running]] {mark}"
    control = f"{both.poyo.base_url}/control/tasks"
    for each in requests.get(control, timeout=30).json()["tasks"]:
        if each["state"] in ("not_started", "running"):
            requests.post(f"{control}/{each['task_id']}/finish", timeout=30)


def test_a_running_task_is_told_in_the_same_shape(both: Both, stuck: str) -> None:
    theirs, ours = both(lambda place: place.until(place.ordered(stuck), "running"))

    assert shape(ours) == shape(theirs)
    assert ours["data"]["credits_amount"] is None


def test_the_balance_is_told_in_the_same_shape(both: Both) -> None:
    theirs, ours = both(lambda place: place.ask("GET", "/api/user/balance"))

    assert theirs.status_code == ours.status_code == 200
    assert shape(theirs.json()) == shape(ours.json())
    assert ours.json()["data"]["credits_amount"] > 0


def test_the_balance_is_poyos_and_asked_for_once_a_minute_at_most() -> None:
    told = {"code": 200, "data": {"email": "operator@example.com", "credits_amount": "9765.5"}}
    now, path = [100.0], "/api/user/balance"
    with (
        aws() as cloud,
        scripted_server(responding("200 OK", json.dumps(told).encode())) as poyo,
        load_handler("api", cloud, POYO_BASE_URL=poyo.url) as door,
    ):
        door.dependencies.balance.clock = lambda: now[0]
        for seconds, asked in ((0.0, 1), (1.0, 1), (58.9, 1), (0.2, 2), (59.9, 2)):
            now[0] += seconds
            answer = invoke(door, http_event("GET", path, headers=request_headers()))

            assert answer.json == {"code": 200, "data": {"email": "", "credits_amount": 9765.5}}
            assert sum(b"GET /api/user/balance " in each for each in poyo.requests) == asked


def test_a_balance_that_could_not_be_learned_is_not_remembered() -> None:
    told = json.dumps({"code": 200, "data": {"credits_amount": 7}}).encode()
    away, well = responding("502 Bad Gateway", b"<html>"), responding("200 OK", told)
    with (
        aws() as cloud,
        scripted_server(away, well) as poyo,
        load_handler("api", cloud, POYO_BASE_URL=poyo.url) as door,
    ):
        stranger = invoke(
            door, http_event("GET", "/api/user/balance", headers=request_headers("no-key"))
        )
        assert (stranger.status, poyo.requests) == (401, [])

        first, second = (
            invoke(door, http_event("GET", "/api/user/balance", headers=request_headers()))
            for _ in range(2)
        )

    assert (first.status, first.json["code"]) == (503, 503)
    assert first.json["error"]["type"] == "server_error"
    assert second.json["data"]["credits_amount"] == 7.0


# What does not

WRONG: dict[str, object] = {
    "an unknown model": ORDER | {"model": "gpt-image-9"},
    "no input": {"model": "gpt-image-2"},
    "no prompt": {"model": "gpt-image-2", "input": {"quality": "low"}},
    "a blank prompt": {"model": "gpt-image-2", "input": {"prompt": " \n"}},
    "a prompt that is no text": {"model": "gpt-image-2", "input": {"prompt": 5}},
    "an unknown quality": ORDER | {"input": INPUT | {"quality": "ultra"}},
    "an unknown size": ORDER | {"input": INPUT | {"size": "7:5"}},
    "an unknown resolution": ORDER | {"input": INPUT | {"resolution": "8K"}},
    "a custom size at 1K": ORDER | {"input": INPUT | {"size": "1024x1024"}},
    "a custom size that is odd": ORDER | {"input": INPUT | {"size": "999x999", "resolution": "2K"}},
    "a picture in the order": ORDER
    | {"input": INPUT | {"image_urls": ["data:image/png;base64,iVBORw0KGgo="]}},
    "an edit of nothing": {"model": "gpt-image-2-edit", "input": INPUT},
    "too many pictures": ORDER
    | {"input": INPUT | {"image_urls": ["https://images.example.com/a.png"] * 17}},
    "a callback to no address": ORDER | {"callback_url": "ftp://example.com/"},
    "half an object": b'{"model": "gpt-image-2", "inp',
    "a list": [ORDER],
    "nothing": b"",
    "no text at all": b"\xff\xfe\x00",
}


def same_error(theirs: requests.Response, ours: requests.Response) -> None:
    """HTTP status, body, `code` and `error.type` are the same; the words are each one's own."""
    told, said = theirs.json(), ours.json()
    assert theirs.status_code == ours.status_code, (told, said)
    assert shape(told) == shape(said)
    assert said["code"] == told["code"] == ours.status_code
    assert said["error"]["type"] == told["error"]["type"], (told, said)
    assert said["error"]["message"]
    assert ours.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_order_gets_the_same_error(both: Both, case: str) -> None:
    theirs, ours = both(lambda place: place.submit(WRONG[case]))

    assert 400 <= ours.status_code < 500
    same_error(theirs, ours)


@pytest.mark.parametrize("key", [None, "", "sk-wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/generate/submit"),
        ("GET", "/api/generate/status/aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("GET", "/api/user/balance"),
    ],
)
def test_a_stranger_gets_the_same_error(
    both: Both, key: str | None, method: str, path: str
) -> None:
    theirs, ours = both.keyed(key)(lambda place: place.ask(method, path))

    assert ours.status_code == 401
    same_error(theirs, ours)


@pytest.mark.parametrize("task_id", ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "BFJI1885TB0ROHQM", "x"])
def test_an_unknown_task_gets_the_same_error(both: Both, task_id: str) -> None:
    theirs, ours = both(lambda place: place.ask("GET", f"/api/generate/status/{task_id}"))

    assert ours.status_code == 404
    same_error(theirs, ours)


# The catalogue


def test_the_catalogue_has_the_same_models_at_the_same_prices(both: Both) -> None:
    theirs, ours = both.keyed(None)(lambda place: place.ask("GET", "/v1/catalog/models").json())

    for page in (theirs, ours):
        assert {item["model_id"] for item in page["data"]["items"]} == set(MODELS)
        page["data"]["items"].sort(key=lambda item: item["model_id"])
        for item in page["data"]["items"]:
            for own in ("input_schema", "output_schema", "description"):  # the words are our own
                assert item.pop(own)
    assert theirs == ours


@pytest.mark.parametrize("model", MODELS)
def test_one_model_is_told_as_on_the_page_and_not_again_to_who_knows_it(
    both: Both, model: str
) -> None:
    path = f"/v1/catalog/models/{model}"
    for place in (both.poyo, both.ours):
        page = place.ask("GET", "/v1/catalog/models").json()["data"]["items"]
        first = place.ask("GET", path)
        again = place.ask("GET", path, headers={"If-None-Match": first.headers["ETag"]})

        assert first.json()["data"] in page
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=1",
        "limit=1&cursor=1",
        "cursor=7",
        "category=video",
        "category=image&service_type=generate",
        "tags=image-to-image",
        "tags=text-to-image,image-to-image",
        "q=EDIT",
        "q=no-such-thing",
    ],
)
def test_the_catalogue_is_paged_and_filtered_alike(both: Both, query: str) -> None:
    def found(place: Place) -> Any:
        data = place.ask("GET", f"/v1/catalog/models?{query}").json()["data"]
        return [item["model_id"] for item in data.pop("items")], data

    theirs, ours = both(found)

    assert theirs == ours


@pytest.mark.parametrize("path", ["/v1/catalog/models/none", "/v1/catalog/models?limit=many"])
def test_what_the_catalogue_does_not_have_gets_the_same_error(both: Both, path: str) -> None:
    same_error(*both(lambda place: place.ask("GET", path)))


# What differs, as docs/compatibility.md says


def test_every_address_of_poyos_that_we_answer_at_is_on_the_page() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    routes = (ROOT / "functions" / "api.py").read_text()

    found = re.findall(r'\("[A-Z]+", "([^"]+)", poyo\.', routes)

    assert len(found) == 5
    assert [path for path in found if path.replace("<", "{").replace(">", "}") not in page] == []


def test_an_unknown_field_is_charged_for_by_poyo_and_refused_by_us(both: Both) -> None:
    meant = ORDER | {"input": {"prompt": "A lighthouse", "aspect_ratio": "3:2"}}

    theirs, ours = both(lambda place: place.submit(meant))

    assert theirs.status_code == 200
    assert ours.status_code == 400
    assert "/input/aspect_ratio: " in ours.json()["error"]["message"]
    assert "did you mean size?" in ours.json()["error"]["message"]


def test_an_idempotency_key_is_honoured_by_us(both: Both) -> None:
    once = {"Idempotency-Key": str(uuid.uuid4())}

    def ordered_twice(place: Place) -> set[str]:
        answers = [
            place.ask("POST", "/api/generate/submit", json=ORDER, headers=once) for _ in range(2)
        ]
        return {str(answer.json()["data"]["task_id"]) for answer in answers}

    theirs, ours = both(ordered_twice)

    assert (len(theirs), len(ours)) == (2, 1)


def test_without_an_idempotency_key_each_submit_is_an_order(both: Both) -> None:
    for place in (both.poyo, both.ours):
        assert place.ordered() != place.ordered()


def test_a_link_needs_no_key_and_dies_with_its_task(both: Both) -> None:
    task_id = both.ours.ordered()
    [file] = both.ours.until(task_id, *ENDED)["data"]["files"]
    image = requests.get(file["file_url"], timeout=30)
    assert image.status_code == 200
    assert len(image.content) == file["file_size"]
    assert image.headers["Content-Type"] == file["content_type"] == "image/png"

    deleted = both.ours.ask("DELETE", f"/v1/tasks/{task_id}")

    assert deleted.status_code == 204
    assert requests.get(file["file_url"], timeout=30).status_code == 404
    assert both.ours.ask("GET", f"/api/generate/status/{task_id}").status_code == 404


def test_another_keys_task_is_like_none_at_all(both: Both) -> None:
    task_id = both.ours.ordered()
    mine = {"X-Owner": "ann"}

    answer = both.ours.ask("GET", f"/api/generate/status/{task_id}", headers=mine)

    assert (answer.status_code, answer.json()["code"]) == (404, 404)


@pytest.mark.parametrize(
    "case",
    ["http://images.example.com/a.png", "https://203.0.113.7/a.png", "https://u@example.com/a.png"],
)
def test_an_image_that_not_everybody_can_fetch_in_private_is_refused_by_us(
    both: Both, case: str
) -> None:
    answer = both.ours.submit(ORDER | {"input": INPUT | {"image_urls": [case]}})

    assert answer.status_code == 400
    assert "/input/image_urls/0: " in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "theirs_says", "ours_says"),
    [
        (
            ORDER | {"input": {"prompt": "x" * 20_001}},
            (400, "content_too_long_error"),
            (400, "validation_error"),
        ),
        ({"input": INPUT}, (400, "validation_error"), (404, "resource_not_found_error")),
    ],
    ids=["a prompt that is too long", "no model"],
)
def test_an_error_that_is_called_another_name(
    both: Both, body: object, theirs_says: tuple[int, str], ours_says: tuple[int, str]
) -> None:
    theirs, ours = both(lambda place: place.submit(body))

    for answer, says in ((theirs, theirs_says), (ours, ours_says)):
        assert (answer.status_code, answer.json()["error"]["type"]) == says


def test_a_null_is_left_out_by_poyo_and_refused_by_us(both: Both) -> None:
    theirs, ours = both(lambda place: place.submit(ORDER | {"input": INPUT | {"quality": None}}))

    assert (theirs.status_code, ours.status_code) == (200, 400)
