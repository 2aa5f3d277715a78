"""Orders and quotes: one submit for each Idempotency-Key, and invalid orders are rejected free of charge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.tasks.task import derive_task_id
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.emulated_aws import OTHER_SERVER_KEY
from tests.support.fakes import POYO_ID, POYO_KEY, PROMPT
from tests.support.lambdas import http_event, invoke, request_headers
from tests.support.scripted_server import Behaviour, closed_port, resetting, responding, sending_raw

ACCEPTED = json.dumps({"code": 200, "data": {"task_id": POYO_ID}}).encode()
IN_4K = {"model": "gpt-image-2", "input": {"prompt": "x", "size": "1:1", "resolution": "4K"}}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def test_accepted_order_gets_202_with_the_complete_task(api: Api) -> None:
    response = api.create(ORDER | {"metadata": {"album": "birds"}})

    task_id = derive_task_id("owner", "key")
    assert response.status == 202
    assert response.headers["location"] == f"/v1/tasks/{task_id}"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["retry-after"] == "5"
    assert "idempotent-replayed" not in response.headers
    body = response.json
    assert (body["task_id"], body["status"]) == (task_id, "running")
    assert body["model"] == "gpt-image-2"
    defaults = {"quality": "low", "size": "auto", "resolution": "1K"}
    assert body["input"] == {"prompt": PROMPT, **defaults}
    assert body["metadata"] == {"album": "birds"}
    assert body["credits"] == {"estimated": 2, "exact": True, "charged": None}
    assert (body["files"], body["error"], body["finished_at"]) == ([], None, None)
    assert body["warnings"] == []
    assert [line["event"] for line in body["history"]] == ["accepted", "submitted"]
    [sent] = api.poyo.requests
    assert f"Authorization: Bearer {POYO_KEY}".encode() in sent


def test_same_request_again_is_a_replay_without_a_second_submit(api: Api) -> None:
    first, again = api.create(), api.create()

    assert (again.status, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json == first.json
    assert again.headers["location"] == first.headers["location"]
    assert api.submit_count() == 1


def test_replay_of_a_finished_task_has_no_retry_after(api: Api) -> None:
    task_id = api.create().json["task_id"]
    api.put_finished(
        fingerprint=api.handler_module.dependencies.tasks.get("owner", task_id).fingerprint
    )

    again = api.create()

    assert (again.status, again.json["status"]) == (200, "finished")
    assert "retry-after" not in again.headers


def test_replay_may_format_its_body_differently(api: Api) -> None:
    api.create()
    same = '{"input": {"size": null, "prompt": "%s"},\n "model": "gpt-image-2"}' % PROMPT  # noqa: UP031

    assert api.create(same).status == 200
    assert api.create({**ORDER, "metadata": None, "max_credits": 7}).status == 200
    assert api.create(json.dumps(ORDER).encode()).status == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"input": {"prompt": "x"}},
        {"input": {"prompt": PROMPT, "quality": "high"}},
        {"input": {"prompt": PROMPT, "quality": "low"}},  # a default of today, not of every day
        {"metadata": {"a": "b"}},
        {"callback_url": "https://shop.example/done"},
    ],
    ids=str,
)
def test_other_body_with_the_same_key_is_rejected(api: Api, changed: dict[str, object]) -> None:
    task_id = api.create().json["task_id"]

    problem = assert_problem(api.create(ORDER | changed), 422, "idempotency_key_reused")
    assert problem["task_id"] == task_id
    assert api.submit_count() == 1


@pytest.mark.parametrize("key", ["", "  "])
def test_order_without_an_idempotency_key_is_rejected(api: Api, key: str) -> None:
    assert_problem(api.create(idempotency_key=key), 400, "idempotency_key_required")
    assert_problem(api.request("POST", "/v1/tasks", ORDER), 400, "idempotency_key_required")

    assert api.has_no_side_effects()


@pytest.mark.parametrize(
    "key", ["é", "x" * 256, "a\tb", "a\nb", "a\x7f", "\ud83d", "a,b", "key, key", ","]
)
def test_invalid_idempotency_key_is_rejected(api: Api, key: str) -> None:
    assert_problem(api.create(idempotency_key=key), 400, "invalid_idempotency_key")

    assert api.has_no_side_effects()


@pytest.mark.parametrize("key", ["x" * 255, "a/b", "..", "{}", "a b", '"quoted"'])
def test_every_printable_idempotency_key_is_accepted(api: Api, key: str) -> None:
    assert api.create(idempotency_key=key).status == 202
    assert api.create(idempotency_key=f" {key} ").status == 200


def test_same_key_of_another_owner_is_a_separate_task(api: Api) -> None:
    own, other = api.create(), api.create(key=OTHER_SERVER_KEY)

    assert other.status == 202
    assert own.json["task_id"] != other.json["task_id"]


INVALID_ORDERS: dict[str, tuple[object, str]] = {
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
    "more than max_credits": ({**ORDER, "max_credits": 1.99}, "/max_credits"),
}


@pytest.mark.parametrize(("body", "pointer"), INVALID_ORDERS.values(), ids=INVALID_ORDERS)
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes"])
def test_invalid_order_is_rejected_with_a_pointer_and_without_side_effects(
    api: Api, path: str, body: object, pointer: str
) -> None:
    problem = assert_problem(
        api.request("POST", path, body, idempotency_key="key"), 422, "invalid_order"
    )

    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert all(each["detail"] for each in problem["errors"])
    assert api.has_no_side_effects()


def test_body_with_invalid_base64_is_rejected(api: Api) -> None:
    headers = request_headers(idempotency_key="key")
    for body in ("é", "not base64!"):
        event = http_event("POST", "/v1/tasks", headers=headers)
        event |= {"body": body, "isBase64Encoded": True}
        assert_problem(invoke(api.handler_module, event), 422, "invalid_order")
    assert_problem(api.create(None), 422, "invalid_order")


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes", "/v1/uploads"])
def test_body_over_256_kib_is_rejected_unread(api: Api, path: str) -> None:
    body = json.dumps(ORDER).encode()
    fitting, too_large = body.ljust(256 * 1024), body.ljust(256 * 1024 + 1)

    response = api.request("POST", path, too_large, idempotency_key="key")

    problem = assert_problem(response, 413, "body_too_large")
    assert "POST /v1/uploads" in problem["detail"]  # a data: URL is why a body is that long
    assert api.has_no_side_effects()
    assert api.request("POST", path, fitting, idempotency_key="key").status != 413


def poyo_error(status: str, code: int, error_type: str = "") -> Behaviour:
    body = {"code": code, "error": {"message": "no", "type": error_type}}
    return responding(status, json.dumps(body).encode())


# Responses of PoYo to a submit (None: no connection), and ours: HTTP status, and task status or code.
SUBMIT_OUTCOMES: dict[str, tuple[Behaviour | None, int, str]] = {
    "accepted": (responding("200 OK", ACCEPTED), 202, "running"),
    "accepted, without envelope": (responding("200 OK", b'{"task_id":"ABC"}'), 202, "running"),
    "no connection": (None, 202, "not_started"),
    "429": (poyo_error("429 Slow", 429), 202, "not_started"),
    "429 on 200": (poyo_error("200 OK", 429), 202, "not_started"),
    "400": (poyo_error("400 Bad", 400), 422, "rejected"),
    "400 on 200": (poyo_error("200 OK", 400), 422, "rejected"),
    "404": (poyo_error("404 No", 404), 422, "rejected"),
    "413": (poyo_error("413 Large", 413), 422, "rejected"),
    "422": (responding("422 No", b'{"detail":[]}'), 422, "rejected"),
    "moderated": (poyo_error("400 Bad", 400, "content_moderation_error"), 422, "moderated"),
    "401": (poyo_error("401 No", 401), 503, "unavailable"),
    "403": (poyo_error("403 No", 403), 503, "unavailable"),
    "402": (poyo_error("402 Pay", 402), 402, "insufficient_credits"),
    "408": (responding("408 Late"), 202, "not_started"),
    "500": (poyo_error("500 Oh", 500), 202, "not_started"),
    "502 in html": (responding("502 Bad", b"<html>"), 202, "not_started"),
    "redirect": (responding("302 Found", Location="/elsewhere"), 202, "not_started"),
    "reset": (resetting(), 202, "not_started"),
    "closed": (sending_raw(b""), 202, "not_started"),
    "garbage": (sending_raw(b"\x00\xff\r\n\r\n"), 202, "not_started"),
    "no id": (responding("200 OK", b'{"code":200,"data":{}}'), 202, "not_started"),
    "html on 200": (responding("200 OK", b"<html>"), 202, "not_started"),
    "an unknown code": (poyo_error("200 OK", 777), 202, "not_started"),
    "longer than 1 MiB": (responding("200 OK", b" " * 1_100_000), 202, "not_started"),
}


@pytest.mark.parametrize(
    ("behaviour", "status", "expected"), SUBMIT_OUTCOMES.values(), ids=SUBMIT_OUTCOMES
)
def test_each_outcome_of_a_submit_has_its_response_and_the_same_replay(
    behaviour: Behaviour | None, status: int, expected: str
) -> None:
    environment = {} if behaviour else {"POYO_BASE_URL": f"http://127.0.0.1:{closed_port()}"}
    with loaded_api(behaviour or sending_raw(b""), **environment) as api:
        first, again = api.create(), api.create()
        task = api.get(f"/v1/tasks/{derive_task_id('owner', 'key')}")

    assert api.submit_count() == (1 if behaviour else 0)
    assert task.status == 200
    if status == 202:
        assert (first.status, first.json["status"]) == (202, expected)
        assert (again.status, again.json["status"]) == (200, expected)
        assert task.json == first.json
    else:
        problem = assert_problem(first, status, expected)
        assert again.json == first.json
        assert problem["task_id"] == task.json["task_id"]
        assert task.json["error"]["code"] == expected
        assert task.json["status"] == "failed"


# The caller's callback_url


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
def test_order_with_a_forbidden_callback_url_is_rejected(api: Api, url: str) -> None:
    problem = assert_problem(api.create({**ORDER, "callback_url": url}), 422, "invalid_order")

    assert [each["pointer"] for each in problem["errors"]] == ["/callback_url"]
    assert api.has_no_side_effects()


def test_callback_url_is_stored_and_not_sent_to_poyo(api: Api) -> None:
    response = api.create({**ORDER, "callback_url": "https://shop.example/done?order=7"})

    task = api.handler_module.dependencies.tasks.get("owner", response.json["task_id"])
    assert response.status == 202
    assert task.notification_url == "https://shop.example/done?order=7"
    [sent] = api.poyo.requests
    assert b"shop.example" not in sent
    assert b"https://img.example/callbacks/poyo/" in sent


def test_callback_url_is_rejected_without_allowed_hosts() -> None:
    with loaded_api(NOTIFICATION_HOSTS="") as api:
        response = api.create({**ORDER, "callback_url": "https://shop.example/done"})

        assert_problem(response, 422, "invalid_order")


# Quotes and warnings


@pytest.mark.parametrize(
    ("image_input", "price", "billed", "warned"),
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
def test_quote_has_the_price_of_an_order_and_no_side_effects(
    api: Api, image_input: dict[str, Any], price: float, billed: str, warned: bool
) -> None:
    order = {"model": "gpt-image-2", "input": {"prompt": "x", **image_input}}

    response = api.request("POST", "/v1/quotes", order)

    assert response.status == 200
    body = response.json
    assert (body["model"], body["credits"]) == ("gpt-image-2", price)
    assert body["billed_resolution"] == billed
    assert [each["pointer"] for each in body["warnings"]] == ["/input/resolution"] * warned
    assert api.has_no_side_effects()


def test_quote_and_order_have_the_same_credits_and_warnings(api: Api) -> None:
    quoted, ordered = api.request("POST", "/v1/quotes", IN_4K).json, api.create(IN_4K).json

    assert ordered["warnings"] == quoted["warnings"]
    assert ordered["credits"]["estimated"] == quoted["credits"]
    assert ordered["usd"] == {"estimated": quoted["usd"], "charged": None}
    assert quoted["usd"] == pytest.approx(quoted["credits"] * 0.005)
    assert ordered["typical_seconds"] == quoted["typical_seconds"] > 0
    assert quoted["warnings"][0]["detail"] == "PoYo makes and bills this size at 2K, not at 4K"
    assert api.get(f"/v1/tasks/{ordered['task_id']}").json["warnings"] == quoted["warnings"]


def test_order_may_cost_exactly_its_max_credits(api: Api) -> None:
    limited = {**IN_4K, "max_credits": 3.99}

    for path in ("/v1/tasks", "/v1/quotes"):
        problem = assert_problem(
            api.request("POST", path, limited, idempotency_key="key"), 422, "invalid_order"
        )
        assert [each["pointer"] for each in problem["errors"]] == ["/max_credits"]
    assert api.has_no_side_effects()
    assert api.create(limited | {"max_credits": 4}).status == 202
