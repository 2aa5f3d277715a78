"""Orders: taken once for each Idempotency-Key, refused before they cost anything, quoted for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.tasks.task import derive_task_id
from tests.support.fakes import POYO_ID, POYO_KEY, PROMPT
from tests.support.lambdas import (
    ORDER,
    OTHER_SERVER_KEY,
    Api,
    assert_problem,
    http_event,
    invoke,
    loaded_api,
    request_headers,
)
from tests.support.scripted_server import Behaviour, closed_port, resetting, responding, sending_raw

ACCEPTED = json.dumps({"code": 200, "data": {"task_id": POYO_ID}}).encode()
IN_4K = {"model": "gpt-image-2", "input": {"prompt": "x", "size": "1:1", "resolution": "4K"}}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def test_an_order_is_accepted_with_the_whole_task(api: Api) -> None:
    response = api.create(ORDER | {"metadata": {"album": "birds"}})

    task_id = derive_task_id("owner", "key")
    assert response.status == 202
    assert response.headers["location"] == f"/v1/tasks/{task_id}"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["retry-after"] == "5"
    assert "idempotent-replayed" not in response.headers
    shown = response.json
    assert (shown["task_id"], shown["status"]) == (task_id, "running")
    assert shown["model"] == "gpt-image-2"
    defaults = {"quality": "low", "size": "auto", "resolution": "1K"}
    assert shown["input"] == {"prompt": PROMPT, **defaults}
    assert shown["metadata"] == {"album": "birds"}
    assert shown["credits"] == {"estimated": 2, "charged": None}
    assert (shown["files"], shown["error"], shown["finished_at"]) == ([], None, None)
    assert shown["warnings"] == []
    assert [line["event"] for line in shown["history"]] == ["accepted", "submitted"]
    [sent] = api.poyo.requests
    assert f"Authorization: Bearer {POYO_KEY}".encode() in sent


def test_the_same_request_again_is_a_replay_and_no_second_post(api: Api) -> None:
    first, again = api.create(), api.create()

    assert (again.status, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json == first.json
    assert again.headers["location"] == first.headers["location"]
    assert api.submit_count() == 1


def test_a_replay_of_an_ended_task_asks_nobody_to_come_again(api: Api) -> None:
    task_id = api.create().json["task_id"]
    api.put_finished(
        fingerprint=api.handler_module.dependencies.tasks.get("owner", task_id).fingerprint
    )

    again = api.create()

    assert (again.status, again.json["status"]) == (200, "finished")
    assert "retry-after" not in again.headers


def test_a_replay_may_spell_its_body_differently(api: Api) -> None:
    api.create()
    same = '{"input": {"size": "auto", "prompt": "%s"},\n "model": "gpt-image-2"}' % PROMPT  # noqa: UP031

    assert api.create(same).status == 200
    assert api.create(json.dumps(ORDER).encode()).status == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"input": {"prompt": "x"}},
        {"input": {"prompt": PROMPT, "quality": "high"}},
        {"metadata": {"a": "b"}},
        {"callback_url": "https://shop.example/done"},
    ],
    ids=str,
)
def test_another_body_under_the_same_key_is_refused(api: Api, changed: dict[str, object]) -> None:
    api.create()

    assert_problem(api.create(ORDER | changed), 422, "idempotency_key_reused")
    assert api.submit_count() == 1


@pytest.mark.parametrize("key", ["", "  "])
def test_without_an_idempotency_key_nothing_is_ordered(api: Api, key: str) -> None:
    assert_problem(api.create(idempotency_key=key), 400, "idempotency_key_required")
    assert_problem(api.request("POST", "/v1/tasks", ORDER), 400, "idempotency_key_required")

    assert api.has_no_side_effects()


@pytest.mark.parametrize("key", ["é", "x" * 256, "a\tb", "a\nb", "a\x7f", "\ud83d"])
def test_an_unusable_idempotency_key_orders_nothing(api: Api, key: str) -> None:
    assert_problem(api.create(idempotency_key=key), 400, "invalid_idempotency_key")

    assert api.has_no_side_effects()


@pytest.mark.parametrize("key", ["x" * 255, "a/b", "..", "{}", "a b", '"quoted"'])
def test_an_idempotency_key_may_be_long_and_odd(api: Api, key: str) -> None:
    assert api.create(idempotency_key=key).status == 202
    assert api.create(idempotency_key=f" {key} ").status == 200


def test_another_owner_with_the_same_key_gets_a_task_of_its_own(api: Api) -> None:
    mine, theirs = api.create(), api.create(key=OTHER_SERVER_KEY)

    assert theirs.status == 202
    assert mine.json["task_id"] != theirs.json["task_id"]


BAD: dict[str, tuple[object, str]] = {
    "no JSON": ("{", ""),
    "empty": ("", ""),
    "a list": ([], ""),
    "a number": ("7", ""),
    "not UTF-8": (b'{"model":"\xff"}', ""),
    "deep": ("[" * 100_000, ""),
    "no model": ({"input": {"prompt": "x"}}, "/model"),
    "no input": ({"model": "gpt-image-2"}, "/input"),
    "no prompt": ({"model": "gpt-image-2", "input": {}}, "/input/prompt"),
    "unknown model": ({"model": "dall-e", "input": {"prompt": "x"}}, "/model"),
    "blank prompt": ({"model": "gpt-image-2", "input": {"prompt": "  "}}, "/input/prompt"),
    "unknown field": ({**ORDER, "colour": 1}, "/colour"),
    "aspect_ratio": (
        {"model": "gpt-image-2", "input": {"prompt": "x", "aspect_ratio": "1:1"}},
        "/input/aspect_ratio",
    ),
    "a slash in a name": ({**ORDER, "a/b~c": 1}, "/a~1b~0c"),
    "too dear": ({**ORDER, "max_credits": 1.99}, "/max_credits"),
}


@pytest.mark.parametrize(("body", "pointer"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes"])
def test_an_order_that_is_wrong_costs_nothing_and_points_at_why(
    api: Api, path: str, body: object, pointer: str
) -> None:
    said = assert_problem(
        api.request("POST", path, body, idempotency_key="key"), 422, "invalid_order"
    )

    assert [each["pointer"] for each in said["errors"]] == [pointer]
    assert all(each["detail"] for each in said["errors"])
    assert api.has_no_side_effects()


def test_a_body_that_was_packed_wrongly_is_no_order(api: Api) -> None:
    headers = request_headers(idempotency_key="key")
    for body in ("é", "not base64!"):
        request = http_event("POST", "/v1/tasks", headers=headers)
        packed = request | {"body": body, "isBase64Encoded": True}
        assert_problem(invoke(api.handler_module, packed), 422, "invalid_order")
    assert_problem(api.create(None), 422, "invalid_order")


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes", "/v1/uploads"])
def test_a_body_beyond_256_kib_is_not_even_read(api: Api, path: str) -> None:
    body = json.dumps(ORDER).encode()
    fitting, over = body.ljust(256 * 1024), body.ljust(256 * 1024 + 1)

    said = api.request("POST", path, over, idempotency_key="key")

    assert_problem(said, 413, "body_too_large")
    assert api.has_no_side_effects()
    assert api.request("POST", path, fitting, idempotency_key="key").status != 413


def _poyo_says(status: str, code: int, message: str = "no", kind: str = "") -> Behaviour:
    body = {"code": code, "error": {"message": message, "type": kind}}
    return responding(status, json.dumps(body).encode())


# What PoYo did: its response, then ours (status, code or shown status), then what a replay gets.
POST: dict[str, tuple[Behaviour | None, int, str]] = {
    "accepted": (responding("200 OK", ACCEPTED), 202, "running"),
    "accepted, unwrapped": (responding("200 OK", b'{"task_id":"ABC"}'), 202, "running"),
    "nobody there": (None, 202, "not_started"),
    "429": (_poyo_says("429 Slow", 429), 202, "not_started"),
    "429 on 200": (_poyo_says("200 OK", 429), 202, "not_started"),
    "400": (_poyo_says("400 Bad", 400), 422, "rejected"),
    "400 on 200": (_poyo_says("200 OK", 400), 422, "rejected"),
    "404": (_poyo_says("404 No", 404), 422, "rejected"),
    "413": (_poyo_says("413 Large", 413), 422, "rejected"),
    "422": (responding("422 No", b'{"detail":[]}'), 422, "rejected"),
    "moderated": (_poyo_says("400 Bad", 400, kind="content_moderation_error"), 422, "moderated"),
    "401": (_poyo_says("401 No", 401), 503, "unavailable"),
    "403": (_poyo_says("403 No", 403), 503, "unavailable"),
    "402": (_poyo_says("402 Pay", 402), 402, "insufficient_credits"),
    "408": (responding("408 Late"), 202, "not_started"),
    "500": (_poyo_says("500 Oh", 500), 202, "not_started"),
    "502 in html": (responding("502 Bad", b"<html>"), 202, "not_started"),
    "redirect": (responding("302 Found", Location="/elsewhere"), 202, "not_started"),
    "reset": (resetting(), 202, "not_started"),
    "closed": (sending_raw(b""), 202, "not_started"),
    "garbage": (sending_raw(b"\x00\xff\r\n\r\n"), 202, "not_started"),
    "no id": (responding("200 OK", b'{"code":200,"data":{}}'), 202, "not_started"),
    "html on 200": (responding("200 OK", b"<html>"), 202, "not_started"),
    "an unknown code": (_poyo_says("200 OK", 777), 202, "not_started"),
    "too long": (responding("200 OK", b" " * 70_000), 202, "not_started"),
}


@pytest.mark.parametrize(("behaviour", "status", "shown"), POST.values(), ids=POST)
def test_each_outcome_of_the_one_post_has_its_answer(
    behaviour: Behaviour | None, status: int, shown: str
) -> None:
    elsewhere = {} if behaviour else {"POYO_BASE_URL": f"http://127.0.0.1:{closed_port()}"}
    with loaded_api(behaviour or sending_raw(b""), **elsewhere) as api:
        first, again = api.create(), api.create()
        kept = api.get(f"/v1/tasks/{derive_task_id('owner', 'key')}")

    assert api.submit_count() == (1 if behaviour else 0)
    assert kept.status == 200
    if status == 202:
        assert (first.status, first.json["status"]) == (202, shown)
        assert (again.status, again.json["status"]) == (200, shown)
        assert kept.json == first.json
    else:
        said = assert_problem(first, status, shown)
        assert again.json == first.json
        assert said["task_id"] == kept.json["task_id"]
        assert kept.json["error"]["code"] == shown
        assert kept.json["status"] == "failed"


# Callbacks of the caller's own


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/done",
        "https://127.0.0.1/done",
        "https://localhost/done",
        "https://shop.example:8443/done",
        "https://user@shop.example/done",
        "ftp://shop.example/",
        "shop.example",
        "",
        "https://shop.example/" + "x" * 2048,
    ],
)
def test_a_callback_that_may_not_be_called_is_refused_with_the_order(api: Api, url: str) -> None:
    said = assert_problem(api.create({**ORDER, "callback_url": url}), 422, "invalid_order")

    assert [each["pointer"] for each in said["errors"]] == ["/callback_url"]
    assert api.has_no_side_effects()


def test_a_callback_is_kept_for_later_and_not_told_to_poyo(api: Api) -> None:
    response = api.create({**ORDER, "callback_url": "https://shop.example/done?order=7"})

    task = api.handler_module.dependencies.tasks.get("owner", response.json["task_id"])
    assert response.status == 202
    assert task.notification_url == "https://shop.example/done?order=7"
    [sent] = api.poyo.requests
    assert b"shop.example" not in sent
    assert b"https://img.example/callbacks/poyo/" in sent


def test_where_nobody_may_be_called_no_callback_is_taken() -> None:
    with loaded_api(NOTIFICATION_HOSTS="") as api:
        response = api.create({**ORDER, "callback_url": "https://shop.example/done"})

        assert_problem(response, 422, "invalid_order")


# Quotes and warnings


@pytest.mark.parametrize(
    ("wish", "price", "billed", "warned"),
    [
        ({}, 2, "1K", False),
        ({"quality": "medium", "resolution": "1K", "size": "1:1"}, 8.48, "1K", False),
        ({"quality": "low", "resolution": "2K", "size": "1:1"}, 4, "2K", False),
        ({"quality": "low", "resolution": "2K"}, 2, "1K", True),
        ({"quality": "high", "resolution": "4K", "size": "1:1"}, 35.52, "2K", True),
        ({"quality": "high", "resolution": "4K", "size": "16:9"}, 64.16, "4K", False),
        ({"quality": "high", "resolution": "4K", "size": "3840x2160"}, 64.16, "4K", False),
    ],
)
def test_a_quote_says_what_an_order_would_cost_and_sends_nothing(
    api: Api, wish: dict[str, Any], price: float, billed: str, warned: bool
) -> None:
    order = {"model": "gpt-image-2", "input": {"prompt": "x", **wish}}

    response = api.request("POST", "/v1/quotes", order)

    assert response.status == 200
    said = response.json
    assert (said["model"], said["credits"]) == ("gpt-image-2", price)
    assert said["billed_resolution"] == billed
    assert [each["pointer"] for each in said["warnings"]] == ["/input/resolution"] * warned
    assert api.has_no_side_effects()


def test_a_quote_and_its_order_say_the_same(api: Api) -> None:
    quoted, ordered = api.request("POST", "/v1/quotes", IN_4K).json, api.create(IN_4K).json

    assert ordered["warnings"] == quoted["warnings"]
    assert ordered["credits"]["estimated"] == quoted["credits"]
    assert quoted["warnings"][0]["detail"] == "PoYo makes and bills this size at 2K, not at 4K"
    assert api.get(f"/v1/tasks/{ordered['task_id']}").json["warnings"] == quoted["warnings"]


def test_an_order_may_cost_exactly_its_limit(api: Api) -> None:
    dear = {**IN_4K, "max_credits": 3.99}

    for path in ("/v1/tasks", "/v1/quotes"):
        said = assert_problem(
            api.request("POST", path, dear, idempotency_key="key"), 422, "invalid_order"
        )
        assert [each["pointer"] for each in said["errors"]] == ["/max_credits"]
    assert api.has_no_side_effects()
    assert api.create(dear | {"max_credits": 4}).status == 202
