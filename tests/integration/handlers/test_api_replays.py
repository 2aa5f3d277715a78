"""Replays: the task of an Idempotency-Key answers before any rule that may have changed since its order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.errors import SecretInvalid
from imagetasks.poyo import model_catalog
from imagetasks.poyo.model_catalog import Model
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.lambdas import HandlerResponse

ROUTES = ("/v1/tasks", "/api/generate/submit")
FULL: dict[str, Any] = {
    "model": "gpt-image-2-edit",
    "input": {
        "prompt": "A paper boat",
        "quality": "medium",
        "size": "3:2",
        "resolution": "2K",
        "image_urls": ["https://example.com/a.png"],
    },
    "metadata": {"album": "boats"},
    "max_credits": 100,
    "callback_url": "https://shop.example/done",
}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


@pytest.fixture(params=ROUTES)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def first(api: Api, path: str) -> HandlerResponse:
    """The order before anything has changed."""
    return order(api, path)


def order(api: Api, path: str, body: object = FULL) -> HandlerResponse:
    return api.request("POST", path, body, idempotency_key="key")


def task_id(response: HandlerResponse) -> str:
    body = response.json
    return str(body.get("data", body)["task_id"])


def sell(monkeypatch: pytest.MonkeyPatch, *models: Model) -> None:
    """Bundle these models and no others."""
    left = {each.model_id: each for each in models}
    monkeypatch.setattr(model_catalog, "models", lambda: left)


def assert_replayed(api: Api, path: str, first: HandlerResponse, body: object = FULL) -> None:
    again = order(api, path, body)

    assert (again.status, again.headers.get("idempotent-replayed")) == (200, "true"), again.body
    assert task_id(again) == task_id(first)
    assert api.submit_count() == 1


def assert_only_replayed(api: Api, path: str, first: HandlerResponse) -> None:
    """The replay is answered, and the same order under another key is invalid by now."""
    assert_replayed(api, path, first)
    assert api.request("POST", path, FULL, idempotency_key="other").status in (400, 422)


@pytest.mark.parametrize("limit", [0.01, 0, -1, None, "much"])
def test_replay_with_another_limit_is_the_same_order(
    api: Api, path: str, first: HandlerResponse, limit: object
) -> None:
    assert_replayed(api, path, first, FULL | {"max_credits": limit})
    without = {name: value for name, value in FULL.items() if name != "max_credits"}
    assert_replayed(api, path, first, without)


def test_replay_is_answered_after_a_price_rose(
    api: Api, path: str, first: HandlerResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    billing = {"formula": "credits", "credits": Decimal(1000)}
    sell(monkeypatch, replace(model_catalog.model("gpt-image-2-edit"), billing=billing))

    assert_only_replayed(api, path, first)


def test_replay_is_answered_after_its_model_or_its_values_were_withdrawn(
    api: Api, path: str, first: HandlerResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = model_catalog.model("gpt-image-2-edit")
    only_low = {**edit.fields, "quality": {"type": "string", "enum": ["low"]}}
    narrower = replace(edit, input_schema={**edit.input_schema, "properties": only_low})
    for left in (model_catalog.model("gpt-image-2"), narrower):
        with monkeypatch.context() as patched:
            sell(patched, left)
            assert_replayed(api, path, first)
            refused = api.request("POST", path, FULL, idempotency_key="other")
            assert refused.status in (400, 404, 422)


def test_replay_is_answered_after_the_callback_hosts_changed(
    api: Api, path: str, first: HandlerResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement = api.handler_module.dependencies.placement
    monkeypatch.setattr(type(placement.notifications), "allows", lambda *_: False)

    assert_only_replayed(api, path, first)


def test_replay_needs_no_key_of_poyo_and_no_callback_key(
    api: Api, path: str, first: HandlerResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement = api.handler_module.dependencies.placement

    def missing(_: object) -> None:
        raise SecretInvalid("no key")

    monkeypatch.setattr(type(placement.submitter), "require_credentials", missing)

    assert_replayed(api, path, first)
    assert api.request("POST", path, FULL, idempotency_key="other").status == 503


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "gpt-image-2"},
        {"model": "withdrawn"},
        {"metadata": {"album": "planes"}},
        {"callback_url": "https://other.example/"},
        {"callback_url": None},
        {"input": FULL["input"] | {"quality": "low"}},
        {"input": FULL["input"] | {"image_urls": ["http://10.0.0.1/"]}},
        {"input": {}},
        {"surprise": 1},
    ],
    ids=str,
)
def test_other_body_is_told_so_even_if_it_is_invalid(
    api: Api, path: str, changed: dict[str, Any]
) -> None:
    order(api, path)

    other = order(api, path, FULL | changed)

    assert other.status == (422 if path == "/v1/tasks" else 400)
    assert "was used with another body" in other.body
    assert api.submit_count() == 1


def test_replay_of_a_deleted_task_is_told_so_whatever_has_changed(
    api: Api, path: str, first: HandlerResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.request("DELETE", f"/v1/tasks/{task_id(first)}")
    sell(monkeypatch)

    again = order(api, path, FULL | {"max_credits": 0.1})

    assert again.status == (410 if path == "/v1/tasks" else 404)
    assert "was deleted" in again.body


UNREADABLE: dict[str, object] = {
    "truncated": '{"model": "gpt-im',
    "empty": "",
    "a list": "[]",
    "a name twice": '{"model": "gpt-image-2", "model": "gpt-image-2", "input": {"prompt": "x"}}',
    "NaN": '{"model": "gpt-image-2", "input": {"prompt": "x"}, "max_credits": NaN}',
    "not UTF-8": b'{"model": "\xff"}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_body_under_a_used_key_does_not_deny_the_charge(api: Api, body: object) -> None:
    first = order(api, "/v1/tasks")

    problem = assert_problem(order(api, "/v1/tasks", body), 422, "invalid_order", charged=None)

    assert problem["task_id"] == task_id(first)
    unused = api.request("POST", "/v1/tasks", body, idempotency_key="unused")
    assert "task_id" not in assert_problem(unused, 422, "invalid_order")
    assert api.submit_count() == 1


def test_too_large_body_or_unknown_parameter_under_a_used_key_does_not_deny_the_charge(
    api: Api,
) -> None:
    order(api, "/v1/tasks")

    too_large = order(api, "/v1/tasks", json.dumps(FULL).encode().ljust(300_000))
    dry_run = order(api, "/v1/tasks?dry_run=true")

    assert_problem(too_large, 413, "body_too_large", charged=None)
    assert_problem(dry_run, 400, "invalid_parameter", charged=None)


def test_replay_of_a_finished_task_shows_what_it_cost(api: Api) -> None:
    first = order(api, "/v1/tasks", ORDER)
    stored = api.handler_module.dependencies.tasks.get("owner", task_id(first))
    api.put_finished(fingerprint=stored.fingerprint, charged_credits=Decimal(2))

    again = order(api, "/v1/tasks", ORDER | {"max_credits": 1})

    assert (again.status, again.json["credits"]["charged"]) == (200, 2)
