"""Unknown input is refused wherever money may be spent: it is probably a mistake, and it would cost."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.lambdas import http_event, invoke, request_headers

POSTS = {
    "/v1/tasks": ORDER,
    "/v1/quotes": ORDER,
    "/v1/uploads": {"content_type": "image/png"},
    "/api/generate/submit": ORDER,
}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("query", ["dry_run=true", "dry_run", "dry_run=", "wait=20", "a=1&a=2"])
def test_query_parameter_is_refused_and_named(api: Api, path: str, query: str) -> None:
    response = api.request("POST", f"{path}?{query}", POSTS[path], idempotency_key="key")

    name = query.partition("=")[0]
    told = f"{name}: unknown parameter; this route takes none"
    if path == "/api/generate/submit":
        assert response.status == 400
        assert told in response.json["error"]["message"]
    else:
        [error] = assert_problem(response, 400, "invalid_parameter")["errors"]
        assert f"{error['parameter']}: {error['detail']}" == told
    assert api.has_no_side_effects()


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
def test_repeated_idempotency_key_is_refused(api: Api, path: str) -> None:
    response = api.request("POST", path, ORDER, idempotency_key="first,second")

    assert response.status == 400
    assert "no comma" in response.body
    assert api.has_no_side_effects()


@pytest.mark.parametrize("key", ["", " ", "\t "])
@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
def test_blank_idempotency_key_is_refused_and_not_taken_for_none(
    api: Api, path: str, key: str
) -> None:
    response = api.request("POST", path, ORDER, idempotency_key=key)

    assert response.status == 400
    assert "1 to 255 printable ASCII characters" in response.body
    assert api.has_no_side_effects()


@pytest.mark.parametrize("path", POSTS)
def test_repeated_owner_is_refused(api: Api, path: str) -> None:
    response = api.request("POST", path, POSTS[path], idempotency_key="key", x_owner="ada,bob")

    assert response.status == 400
    assert api.has_no_side_effects()


AMBIGUOUS = {
    "a name twice": (
        '{"model": "gpt-image-2", "model": "gpt-image-2", "input": {"prompt": "x"}}',
        "/model",
    ),
    "a prompt twice": (
        '{"model": "gpt-image-2", "input": {"prompt": "x", "prompt": "y"}}',
        "/input/prompt",
    ),
    "metadata twice": (
        '{"model": "gpt-image-2", "input": {"prompt": "x"}, "metadata": {"a": "1", "a": "2"}}',
        "/metadata/a",
    ),
    "NaN": (
        '{"model": "gpt-image-2", "input": {"prompt": "x"}, "max_credits": NaN}',
        "/max_credits",
    ),
    "Infinity": (
        '{"model": "gpt-image-2", "input": {"prompt": "x"}, "max_credits": Infinity}',
        "/max_credits",
    ),
    "an invisible prompt": (
        '{"model": "gpt-image-2", "input": {"prompt": "\\u200b"}}',
        "/input/prompt",
    ),
}


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes"])
@pytest.mark.parametrize(("body", "pointer"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_body_is_refused_with_a_pointer(
    api: Api, path: str, body: str, pointer: str
) -> None:
    response = api.request("POST", path, body, idempotency_key="key")

    problem = assert_problem(response, 422, "invalid_order")
    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert api.has_no_side_effects()


@pytest.mark.parametrize("path", POSTS)
def test_name_of_any_field_may_be_unknown(api: Api, path: str) -> None:
    for name in ("[key]", "", "__proto__", "a/b~c", "x" * 65, "\0"):
        response = api.request("POST", path, {**POSTS[path], name: 1}, idempotency_key="key")

        assert response.status == (400 if path == "/api/generate/submit" else 422), name
        assert "unknown field" in response.body
    assert api.has_no_side_effects()


def test_problem_names_the_request_of_the_log_and_of_the_header(api: Api) -> None:
    event = http_event("POST", "/v1/tasks", headers=request_headers(), body=json.dumps(ORDER))
    event["requestContext"]["requestId"] = "WKYkBhbFjoEEPJg="

    assert invoke(api.handler_module, event).json["request_id"] == "WKYkBhbFjoEEPJg="
