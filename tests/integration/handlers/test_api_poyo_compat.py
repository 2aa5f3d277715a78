"""The routes in PoYo's shape: its bodies and errors, with our idempotency, owners and signed URLs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.poyo.model_catalog import allowed, models
from imagetasks.tasks import signed_urls
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import derive_task_id
from tests.support.api import BALANCE, ORDER, Api, assert_problem, loaded_api
from tests.support.emulated_aws import OTHER_SERVER_KEY
from tests.support.fakes import START, client_error
from tests.support.lambdas import HandlerResponse
from tests.support.scripted_server import Behaviour, closed_port, responding

SUBMIT = "/api/generate/submit"
NAIVE_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def data(response: HandlerResponse) -> Any:
    """The data of a success, after a check of its envelope."""
    assert (response.status, response.headers["content-type"]) == (200, "application/json"), (
        response.body
    )
    assert (set(response.json), response.json["code"]) == ({"code", "data"}, 200)
    return response.json["data"]


def assert_error(response: HandlerResponse, status: int, error_type: str) -> str:
    """Check that the response is an error in PoYo's shape; return its message."""
    assert (response.status, response.headers["content-type"]) == (status, "application/json")
    body = response.json
    assert (set(body), body["code"]) == ({"code", "error"}, status)
    assert (set(body["error"]), body["error"]["type"]) == ({"message", "type"}, error_type)
    return str(body["error"]["message"])


def test_submit_gets_a_response_in_poyos_shape(api: Api) -> None:
    body = data(api.request("POST", SUBMIT, ORDER))

    assert set(body) == {"task_id", "status", "created_time"}
    assert body["status"] == "running"
    assert NAIVE_TIMESTAMP.fullmatch(body["created_time"])
    assert api.get(f"/v1/tasks/{body['task_id']}").json["status"] == "running"


def test_each_submit_without_an_idempotency_key_is_a_new_task(api: Api) -> None:
    first, second = (data(api.request("POST", SUBMIT, ORDER))["task_id"] for _ in range(2))

    assert first != second
    assert api.submit_count() == 2


def test_submits_with_one_idempotency_key_are_one_task_on_both_routes(api: Api) -> None:
    first = api.request("POST", SUBMIT, ORDER, idempotency_key="key")
    again = api.request("POST", SUBMIT, ORDER, idempotency_key="key")

    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert data(again) == data(first)
    assert api.create().status == 200
    assert api.submit_count() == 1


def test_finished_task_has_poyos_fields_and_signed_urls(api: Api) -> None:
    finished = api.put_finished(
        charged_credits=Decimal("8.48"), progress=Decimal(100), created_at=START
    )

    body = data(api.get(f"/api/generate/status/{finished.task_id}"))

    path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)
    assert body == {
        "task_id": finished.task_id,
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
                "file_name": f"{finished.task_id}-0.png",
                "file_size": 7,
            }
        ],
    }


def test_running_task_has_neither_credits_nor_an_error(api: Api) -> None:
    running = api.put(state="running", progress=Decimal("33.5"))

    body = data(api.get(f"/api/generate/status/{running.task_id}"))

    assert (body["status"], body["progress"], body["files"]) == ("running", 33.5, [])
    assert body.get("credits_amount") is None
    assert "error_message" not in body


@pytest.mark.parametrize("reason", REASONS)
def test_failed_task_has_our_message(api: Api, reason: str) -> None:
    failed = api.put(state="failed", reason=reason, detail="raw text")

    body = data(api.get(f"/api/generate/status/{failed.task_id}"))

    assert (body["status"], body["error_message"]) == ("failed", REASONS[reason].message)


def poyo_error(status: str, code: int, error_type: str = "") -> Behaviour:
    body = {"code": code, "error": {"message": "no", "type": error_type}}
    return responding(status, json.dumps(body).encode())


REJECTED = {
    "rejected": (poyo_error("400 Bad", 400), 400, "validation_error"),
    "moderated": (
        poyo_error("400 Bad", 400, "content_moderation_error"),
        400,
        "content_moderation_error",
    ),
    "insufficient_credits": (poyo_error("402 Pay", 402), 402, "insufficient_credits_error"),
    "unavailable": (poyo_error("401 No", 401), 503, "server_error"),
}


@pytest.mark.parametrize(("behaviour", "status", "error_type"), REJECTED.values(), ids=REJECTED)
def test_submit_that_poyo_rejects_gets_an_error_in_poyos_shape(
    behaviour: Behaviour, status: int, error_type: str
) -> None:
    with loaded_api(behaviour) as api:
        assert assert_error(api.request("POST", SUBMIT, ORDER), status, error_type)


def test_invalid_order_gets_an_error_in_poyos_shape(api: Api) -> None:
    image_input: dict[str, Any] = {"prompt": "x", "aspect_ratio": "1:1"}
    message = assert_error(
        api.request("POST", SUBMIT, {"model": "gpt-image-2", "input": image_input}),
        400,
        "validation_error",
    )

    assert "/input/aspect_ratio: unknown field" in message
    assert message.endswith("did you mean size?")
    for model in ("dall-e", ""):
        unknown = api.request("POST", SUBMIT, {"model": model, "input": {"prompt": "x"}})
        assert_error(unknown, 404, "resource_not_found_error")
    unknown_model_and_field = api.request(
        "POST", SUBMIT, {"model": "dall-e", "input": {"prompt": "x"}, "n": 1}
    )
    assert_error(unknown_model_and_field, 400, "validation_error")
    for model in ("", '"model": 5,', '"model": "gpt-image-2", "model": "gpt-image-2",'):
        body = f'{{{model} "input": {{"prompt": "x"}}}}'
        assert_error(api.request("POST", SUBMIT, body), 400, "validation_error")
    too_large = json.dumps(ORDER).encode().ljust(256 * 1024 + 1)
    assert_error(api.request("POST", SUBMIT, too_large), 400, "validation_error")
    for body, told in {
        "{": "body: the body is not JSON",
        "[]": "body: must be a JSON object",
    }.items():
        assert told in assert_error(api.request("POST", SUBMIT, body), 400, "validation_error")
    assert api.has_no_side_effects()


def test_idempotency_key_with_another_body_gets_an_error_in_poyos_shape(api: Api) -> None:
    api.create()
    other = {"model": "gpt-image-2", "input": {"prompt": "other"}}

    response = api.request("POST", SUBMIT, other, idempotency_key="key")

    assert_error(response, 400, "validation_error")
    assert_error(api.request("POST", SUBMIT, ORDER, idempotency_key="é"), 400, "validation_error")
    assert api.submit_count() == 1


def test_unauthenticated_callers_and_other_owners_get_an_error_in_poyos_shape(api: Api) -> None:
    finished = api.put_finished()
    path = f"/api/generate/status/{finished.task_id}"

    assert assert_error(api.get(path, key="wrong"), 401, "authentication_error")
    for headers in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}):
        assert_error(api.request("GET", path, **headers), 404, "resource_not_found_error")
    unknown = f"/api/generate/status/{derive_task_id('unknown', 'key')}"
    assert_error(api.get(unknown), 404, "resource_not_found_error")
    assert_error(api.get("/api/nothing"), 404, "resource_not_found_error")
    assert_error(api.request("DELETE", path), 405, "validation_error")
    assert_error(api.get(path, x_owner="a b"), 400, "validation_error")


def test_balance_is_poyos_and_requested_once_a_minute(api: Api) -> None:
    for _ in range(3):
        assert data(api.get("/api/user/balance")) == {"email": "", "credits_amount": BALANCE}
    assert len(api.poyo.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [poyo_error("401 No", 401), poyo_error("500 Oh", 500), responding("200 OK", b"<html>"), None],
    ids=["401", "500", "html", "no connection"],
)
def test_balance_gets_503_with_retry_after_while_poyo_is_unavailable(
    behaviour: Behaviour | None,
) -> None:
    environment = {} if behaviour else {"POYO_BASE_URL": f"http://127.0.0.1:{closed_port()}"}
    with loaded_api(behaviour, **environment) as api:
        response = api.get("/api/user/balance")

        assert_error(response, 503, "server_error")
        assert response.headers["retry-after"] == "5"


@pytest.mark.parametrize("service", ["dynamodb", "secretsmanager", "callback secret"])
def test_keyless_submit_is_never_invited_to_a_repetition(service: str) -> None:
    with loaded_api(None, {service: client_error("ThrottlingException")}) as api:
        keyless = api.request("POST", SUBMIT, ORDER)
        keyed = api.request("POST", SUBMIT, ORDER, idempotency_key="key")

    message = assert_error(keyless, 503, "server_error")
    assert "retry-after" not in keyless.headers
    assert "again" not in message
    assert "Without an Idempotency-Key each request is an order of its own" in message
    assert keyed.headers["retry-after"] == "5"


def test_keyless_submit_is_not_invited_to_a_repetition_after_a_defect_of_ours(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement = api.handler_module.dependencies.placement
    monkeypatch.setattr(type(placement), "place", lambda *_: 1 / 0)

    keyless = api.request("POST", SUBMIT, ORDER)

    message = assert_error(keyless, 500, "server_error")
    assert "retry-after" not in keyless.headers
    assert "not known whether the order was accepted" in message


# The public catalog


@pytest.fixture
def seller_of_two() -> Iterator[Api]:
    """A deployment that offers two models."""
    with loaded_api(MODELS="gpt-image-2, gpt-image-2-edit") as api:
        yield api


@pytest.mark.parametrize("patterns", ["gpt-image-*", "z-image", "z-image, gpt-image-2*", "*"])
def test_catalog_has_every_model_that_orders_may_name(patterns: str) -> None:
    offered = list(allowed(patterns))
    with loaded_api(MODELS=patterns) as api:
        listed = data(api.get("/v1/catalog/models?limit=100", key=None))["items"]
        found = [each for each in models() if api.get(f"/v1/catalog/models/{each}").status == 200]

    assert [each["model_id"] for each in listed] == offered == found


def test_catalog_is_public_and_has_pages(seller_of_two: Api) -> None:
    api = seller_of_two
    all_models = data(api.get("/v1/catalog/models", key=None))
    first = data(api.get("/v1/catalog/models?limit=1", key=None))
    second = data(api.get(f"/v1/catalog/models?limit=1&cursor={first['next_cursor']}", key=None))

    assert [each["model_id"] for each in all_models["items"]] == ["gpt-image-2", "gpt-image-2-edit"]
    assert (all_models["has_more"], first["has_more"], second["has_more"]) == (False, True, False)
    assert first["items"] + second["items"] == all_models["items"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=2-edit", ["gpt-image-2-edit"]),
        ("q=2-EDIT", ["gpt-image-2-edit"]),
        ("tags=text-to-image", ["gpt-image-2"]),
        ("tags=text-to-image,image-to-image", ["gpt-image-2"]),
        ("tags=text-to-image,inpainting", []),
        ("category=video", []),
        ("category=img2img&service_type=generate", ["gpt-image-2", "gpt-image-2-edit"]),
        ("cursor=7", []),
    ],
)
def test_catalog_is_filtered_by_its_query(
    seller_of_two: Api, query: str, expected: list[str]
) -> None:
    page = data(seller_of_two.get(f"/v1/catalog/models?{query}", key=None))

    assert [each["model_id"] for each in page["items"]] == expected


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=-1", "limit=999999", "model=x"])
def test_invalid_parameter_of_the_catalog_gets_an_error_in_poyos_shape(
    api: Api, query: str
) -> None:
    response = api.get(f"/v1/catalog/models?{query}", key=None)

    message = assert_error(response, 400, "validation_error")
    assert f" {query.partition('=')[0]}: " in message


def test_model_is_public_and_has_an_etag(api: Api) -> None:
    for path in ("/v1/catalog/models/gpt-image-2-edit", "/v1/catalog/models"):
        first = api.get(path, key=None)
        etag = first.headers["etag"]
        assert data(first)
        for matching in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            same = api.get(path, key=None, if_none_match=matching)
            assert (same.status, same.body) == (304, "")
        assert api.get(path, key=None, if_none_match='"other"').status == 200
    assert_error(api.get("/v1/catalog/models/dall-e", key=None), 404, "resource_not_found_error")


def test_other_unknown_path_gets_a_problem_in_our_shape(api: Api) -> None:
    assert_problem(api.get("/apis"), 404, "no_such_route")
    assert_problem(api.get("/v1/catalogue"), 404, "no_such_route")
