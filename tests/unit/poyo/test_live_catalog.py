"""PoYo's catalogue, read page by page: everything or a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.poyo.live_catalog import MAX_PAGES, PAGE_MODELS, CatalogUnreadable, live_items
from imagetasks.poyo.transport import HttpResponse
from tests.support.transport import FakeTransport, SentRequest

BASE = "https://api.poyo.ai"
MODEL = {"model_id": "painter-1", "category": "text2img", "input_schema": {}, "billing": {}}


class Poyo(FakeTransport):
    """Answers each request with the next of its responses, and keeps the URLs."""

    def __init__(self, *responses: Any) -> None:
        self.urls: list[str] = []
        self.headers: Mapping[str, str] = {}
        self._responses = list(responses)

    def respond(self, request: SentRequest) -> HttpResponse:
        assert (request.method, request.body) == ("GET", None)
        self.urls.append(request.url)
        self.headers = request.headers
        response = self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]
        if isinstance(response, Exception):
            raise response
        if isinstance(response, HttpResponse):
            return response
        return HttpResponse(200, json.dumps(response).encode())


def page(*items: Any, following: Any = None, **envelope: Any) -> dict[str, Any]:
    data = {"items": [*items], "next_cursor": following, "has_more": following is not None}
    return {"code": 200, "data": data, **envelope}


def reason(*responses: Any) -> str:
    with pytest.raises(CatalogUnreadable) as error:
        live_items(Poyo(*responses), BASE)
    return str(error.value)


def test_pages_are_read_until_there_are_no_more() -> None:
    other = MODEL | {"model_id": "painter-2"}
    poyo = Poyo(page(MODEL, following="a b&c"), page(other))

    assert live_items(poyo, BASE) == [MODEL, other]
    assert poyo.urls == [
        f"{BASE}/v1/catalog/models?limit={PAGE_MODELS}",
        f"{BASE}/v1/catalog/models?limit={PAGE_MODELS}&cursor=a+b%26c",
    ]
    assert "Authorization" not in poyo.headers


@pytest.mark.parametrize("category", ["text2video", None, 7, ["image"]])
def test_a_model_of_another_category_needs_no_schema(category: Any) -> None:
    video = {"model_id": "film-1", "category": category}

    assert live_items(Poyo(page(video)), BASE) == [video]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (RequestNotSent("no address"), "no response: "),
        (ResponseLost("longer than 1 MiB"), "no response: "),
        (HttpResponse(503, b"<html>"), "the response is 503"),
        (HttpResponse(200, b"<html>"), "without a catalogue"),
        (HttpResponse(200, b""), "without a catalogue"),
        (page(MODEL, code=500), "the response is 500"),
        ({"code": 200, "data": {"items": {}}}, "it has no list of models"),
        ({"code": 200, "data": {"models": []}}, "it has no list of models"),
        (page(MODEL | {"description": "\ud800"}), "painter-1 has a text that is not Unicode"),
        (page("painter-1"), "without a usable id"),
        (page({"category": "text2img"}), "without a usable id"),
        (page(MODEL | {"model_id": "\x1b[2J"}), "without a usable id"),
        (page(MODEL | {"input_schema": None}), "painter-1 has no input_schema"),
        (page(MODEL | {"billing": []}), "painter-1 has no billing"),
        (page(MODEL, following="again"), f"more than {MAX_PAGES} pages"),
    ],
)
def test_anything_else_is_a_reason(response: Any, expected: str) -> None:
    assert expected in reason(response)


def test_a_page_that_is_lost_leaves_no_part_of_the_catalogue() -> None:
    assert "no response" in reason(page(MODEL, following="2"), ResponseLost("timeout"))
