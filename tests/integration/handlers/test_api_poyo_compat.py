"""PoYo's own routes: its shapes, its errors, our promises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import derive_task_id
from tests.support.fakes import START
from tests.support.lambdas import (
    BALANCE,
    ORDER,
    OTHER_SERVER_KEY,
    Api,
    HandlerResponse,
    assert_problem,
    loaded_api,
)
from tests.support.scripted_server import Behaviour, closed_port, responding

SUBMIT = "/api/generate/submit"
NAIVE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def data(response: HandlerResponse) -> Any:
    """What is wrapped."""
    assert (response.status, response.headers["content-type"]) == (200, "application/json"), (
        response.body
    )
    assert (set(response.json), response.json["code"]) == ({"code", "data"}, 200)
    return response.json["data"]


def refused(response: HandlerResponse, status: int, kind: str) -> str:
    """PoYo's message, once it is certain to be an error as PoYo writes it."""
    assert (response.status, response.headers["content-type"]) == (status, "application/json")
    said = response.json
    assert (set(said), said["code"]) == ({"code", "error"}, status)
    assert (set(said["error"]), said["error"]["type"]) == ({"message", "type"}, kind)
    return str(said["error"]["message"])


def test_a_submit_is_answered_as_poyo_does(api: Api) -> None:
    said = data(api.request("POST", SUBMIT, ORDER))

    assert set(said) == {"task_id", "status", "created_time"}
    assert said["status"] == "running"
    assert NAIVE.fullmatch(said["created_time"])
    assert api.get(f"/v1/tasks/{said['task_id']}").json["status"] == "running"


def test_without_a_key_each_submit_is_an_order_of_its_own(api: Api) -> None:
    first, second = (data(api.request("POST", SUBMIT, ORDER))["task_id"] for _ in range(2))

    assert first != second
    assert api.submit_count() == 2


def test_with_a_key_it_is_ordered_once_whichever_way_it_comes(api: Api) -> None:
    first = api.request("POST", SUBMIT, ORDER, idempotency_key="key")
    again = api.request("POST", SUBMIT, ORDER, idempotency_key="key")

    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert data(again) == data(first)
    assert api.create().status == 200
    assert api.submit_count() == 1


def test_a_finished_task_has_poyos_fields_and_our_links(api: Api) -> None:
    made = api.put_finished(
        charged_credits=Decimal("8.48"), progress=Decimal(100), created_at=START
    )

    said = data(api.get(f"/api/generate/status/{made.task_id}"))

    path = signed_urls.file_path(made.file_url_key, made.task_id, 0)
    assert said == {
        "task_id": made.task_id,
        "status": "finished",
        "progress": 100.0,
        "credits_amount": 8.48,
        "created_time": "2026-09-21T14:13:20",
        "files": [
            {
                "file_url": f"https://img.example{path}",
                "file_type": "image",
                "format": "png",
                "content_type": "image/png",
                "file_name": f"{made.task_id}-0.png",
                "file_size": 7,
            }
        ],
    }


def test_an_open_task_says_nothing_of_credits_or_errors(api: Api) -> None:
    made = api.put(state="running", progress=Decimal("33.5"))

    said = data(api.get(f"/api/generate/status/{made.task_id}"))

    assert (said["status"], said["progress"], said["files"]) == ("running", 33.5, [])
    assert said.get("credits_amount") is None
    assert "error_message" not in said


@pytest.mark.parametrize("reason", REASONS)
def test_a_failed_task_has_a_message_of_ours(api: Api, reason: str) -> None:
    made = api.put(state="failed", reason=reason, detail="raw words")

    said = data(api.get(f"/api/generate/status/{made.task_id}"))

    assert (said["status"], said["error_message"]) == ("failed", REASONS[reason].message)


def _poyo_says(status: str, code: int, kind: str = "") -> Behaviour:
    body = {"code": code, "error": {"message": "no", "type": kind}}
    return responding(status, json.dumps(body).encode())


REFUSED = {
    "rejected": (_poyo_says("400 Bad", 400), 400, "validation_error"),
    "moderated": (
        _poyo_says("400 Bad", 400, "content_moderation_error"),
        400,
        "content_moderation_error",
    ),
    "insufficient_credits": (_poyo_says("402 Pay", 402), 402, "insufficient_credits_error"),
    "unavailable": (_poyo_says("401 No", 401), 503, "server_error"),
}


@pytest.mark.parametrize(("behaviour", "status", "kind"), REFUSED.values(), ids=REFUSED)
def test_what_poyo_refuses_is_refused_as_poyo_would(
    behaviour: Behaviour, status: int, kind: str
) -> None:
    with loaded_api(behaviour) as api:
        assert refused(api.request("POST", SUBMIT, ORDER), status, kind)


def test_wrong_orders_are_refused_as_poyo_would(api: Api) -> None:
    wish: dict[str, Any] = {"prompt": "x", "aspect_ratio": "1:1"}
    said = refused(
        api.request("POST", SUBMIT, {"model": "gpt-image-2", "input": wish}),
        400,
        "validation_error",
    )

    assert "/input/aspect_ratio: unknown field" in said
    assert said.endswith("did you mean size?")
    for model in ("dall-e", ""):
        unknown = api.request("POST", SUBMIT, {"model": model, "input": {"prompt": "x"}})
        refused(unknown, 404, "resource_not_found_error")
    both = api.request("POST", SUBMIT, {"model": "dall-e", "input": {"prompt": "x", "n": 1}})
    refused(both, 400, "validation_error")
    big = json.dumps(ORDER).encode().ljust(256 * 1024 + 1)
    refused(api.request("POST", SUBMIT, big), 400, "validation_error")
    refused(api.request("POST", SUBMIT, "{"), 400, "validation_error")
    assert api.has_no_side_effects()


def test_a_key_for_another_body_is_refused(api: Api) -> None:
    api.create()
    other = {"model": "gpt-image-2", "input": {"prompt": "other"}}

    response = api.request("POST", SUBMIT, other, idempotency_key="key")

    refused(response, 400, "validation_error")
    refused(api.request("POST", SUBMIT, ORDER, idempotency_key="é"), 400, "validation_error")
    assert api.submit_count() == 1


def test_strangers_are_refused_as_poyo_would(api: Api) -> None:
    made = api.put_finished()
    path = f"/api/generate/status/{made.task_id}"

    assert refused(api.get(path, key="wrong"), 401, "authentication_error")
    for said in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}):
        refused(api.request("GET", path, **said), 404, "resource_not_found_error")
    nobodys = f"/api/generate/status/{derive_task_id('nobody', 'key')}"
    refused(api.get(nobodys), 404, "resource_not_found_error")
    refused(api.get("/api/nothing"), 404, "resource_not_found_error")
    refused(api.request("DELETE", path), 405, "validation_error")
    refused(api.get(path, x_owner="a b"), 400, "validation_error")


def test_a_balance_is_poyos_and_asked_for_once_a_minute(api: Api) -> None:
    for _ in range(3):
        assert data(api.get("/api/user/balance")) == {"email": "", "credits_amount": BALANCE}
    assert len(api.poyo.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [_poyo_says("401 No", 401), _poyo_says("500 Oh", 500), responding("200 OK", b"<html>"), None],
    ids=["401", "500", "html", "nobody"],
)
def test_a_balance_that_poyo_does_not_tell_is_worth_another_try(
    behaviour: Behaviour | None,
) -> None:
    away = {} if behaviour else {"POYO_BASE_URL": f"http://127.0.0.1:{closed_port()}"}
    with loaded_api(behaviour, **away) as api:
        response = api.get("/api/user/balance")

        refused(response, 503, "server_error")
        assert response.headers["retry-after"] == "5"


# The catalogue, for everybody


def test_the_catalogue_is_public_and_is_paged(api: Api) -> None:
    both = data(api.get("/v1/catalog/models", key=None))
    first = data(api.get("/v1/catalog/models?limit=1", key=None))
    second = data(api.get(f"/v1/catalog/models?limit=1&cursor={first['next_cursor']}", key=None))

    assert [each["model_id"] for each in both["items"]] == ["gpt-image-2", "gpt-image-2-edit"]
    assert (both["has_more"], first["has_more"], second["has_more"]) == (False, True, False)
    assert first["items"] + second["items"] == both["items"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=2-edit", ["gpt-image-2-edit"]),
        ("q=2-EDIT", ["gpt-image-2-edit"]),
        ("tags=text-to-image", ["gpt-image-2"]),
        ("tags=text-to-image,image-to-image", []),
        ("category=video", []),
        ("category=image&service_type=generate", ["gpt-image-2", "gpt-image-2-edit"]),
        ("cursor=7", []),
    ],
)
def test_the_catalogue_is_searched(api: Api, query: str, found: list[str]) -> None:
    page = data(api.get(f"/v1/catalog/models?{query}", key=None))

    assert [each["model_id"] for each in page["items"]] == found


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=-1", "limit=999999", "model=x"])
def test_a_catalogue_page_that_is_none_is_refused(api: Api, query: str) -> None:
    response = api.get(f"/v1/catalog/models?{query}", key=None)

    refused(response, 400, "validation_error")


def test_a_model_is_shown_to_everybody_and_not_twice(api: Api) -> None:
    for path in ("/v1/catalog/models/gpt-image-2-edit", "/v1/catalog/models"):
        first = api.get(path, key=None)
        same = api.get(path, key=None, if_none_match=first.headers["etag"])

        assert data(first)
        assert (same.status, same.body) == (304, "")
    refused(api.get("/v1/catalog/models/dall-e", key=None), 404, "resource_not_found_error")


def test_what_is_not_poyos_is_refused_in_our_shape(api: Api) -> None:
    assert_problem(api.get("/apis"), 404, "no_such_route")
    assert_problem(api.get("/v1/catalogue"), 404, "no_such_route")
