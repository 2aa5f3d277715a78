"""`/v1/tokens`: a server key issues, reads and revokes browser tokens for its users."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.tasks.caller import SCOPES, token_pk
from tests.support.api import Api, assert_problem, loaded_api
from tests.support.browser_tokens import decoded, mint, stored
from tests.support.emulated_aws import OTHER_SERVER_KEY, SERVER_KEY
from tests.support.lambdas import captured_logs

WANTED: dict[str, Any] = {"owner": "ann", "max_credits": 10}


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def test_new_token_names_its_owner_its_end_and_its_limits(api: Api) -> None:
    before = int(time.time())

    response = api.request("POST", "/v1/tokens", WANTED)

    body = response.json
    assert response.status == 201
    assert response.headers["location"] == f"/v1/tokens/{body['token_id']}"
    assert response.headers["cache-control"] == "no-store"
    header, claims = decoded(body["token"])
    assert header == {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}
    assert before <= claims["iat"] <= int(time.time())
    assert claims == {
        "iss": "https://img.example",
        "aud": "imagetasks",
        "sub": "owner/ann",
        "iat": claims["iat"],
        "exp": claims["iat"] + 900,
        "jti": body["token_id"],
        "scope": "tasks:write tasks:read uploads:write quotes",
        "max_credits": "10",
    }
    assert (body["owner"], body["max_credits"], body["scopes"]) == ("ann", 10, list(SCOPES))
    ends = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(claims["exp"]))
    assert body["expires_at"] == ends


def test_item_of_a_new_token_has_spent_nothing_and_is_removed_eight_days_after_its_end(
    api: Api,
) -> None:
    token_id = mint(api)["token_id"]

    [item] = api.cloud.items()
    assert item["pk"] == {"S": token_pk(token_id)}
    numbers = ("tasks", "estimated", "reserved", "charged", "committed")
    assert {item[name]["N"] for name in numbers} == {"0"}
    assert int(item["removed_at"]["N"]) == int(item["ends_at"]["N"]) // 1000 + 8 * 86_400
    assert not {"owner_key", "owner_status_key", "due_shard", "revoked_at"} & set(item)
    assert hashlib.sha256(SERVER_KEY.encode()).hexdigest()[:8] not in json.dumps(item)


def test_every_restriction_is_kept_in_the_item_in_the_claims_and_in_the_answer(api: Api) -> None:
    restricted: dict[str, Any] = {
        "ttl_s": 60,
        "scopes": ["tasks:read", "quotes"],
        "max_tasks": 3,
        "models": ["gpt-image-2"],
        "origin": "https://shop.example",
    }

    body = mint(api, max_credits=64.16, **restricted)

    _, claims = decoded(body["token"])
    assert claims["exp"] - claims["iat"] == 60
    assert claims["max_credits"] == "64.16"
    assert (claims["scope"], claims["models"]) == ("tasks:read quotes", ["gpt-image-2"])
    assert claims["origin"] == "https://shop.example"
    token = stored(api, body["token_id"])
    assert token
    assert (token.max_credits, token.max_tasks) == (Decimal("64.16"), 3)
    read = api.get(f"/v1/tokens/{body['token_id']}").json
    assert read == {
        "token_id": body["token_id"],
        "owner": "ann",
        "scopes": ["tasks:read", "quotes"],
        "expires_at": body["expires_at"],
        "revoked": False,
        "max_credits": 64.16,
        "spent": 0,
        "reserved": 0,
        "left": 64.16,
        "tasks": 0,
        "max_tasks": 3,
        "models": ["gpt-image-2"],
        "origin": "https://shop.example",
    }


@pytest.mark.parametrize("ttl_s", [60, 60.0, 3600])
def test_ends_of_the_range_of_a_tokens_life_are_allowed(api: Api, ttl_s: float) -> None:
    _, claims = decoded(mint(api, ttl_s=ttl_s)["token"])

    assert claims["exp"] - claims["iat"] == ttl_s


@pytest.mark.parametrize("amount", [0.0001, 1, 12.3456, 999_999_999.9999, 1_000_000_000])
def test_credits_are_kept_exactly(api: Api, amount: float) -> None:
    token = stored(api, mint(api, max_credits=amount)["token_id"])

    assert token
    assert token.max_credits == Decimal(str(amount))


TOO_MANY_DECIMALS = {
    "more than a double has": "12.34560000000000000001",
    "more than a Decimal keeps": "12.3456" + "0" * 30 + "1",
    "more than DynamoDB takes": "12." + "0" * 60 + "1",
    "an exponent of a text of a gigabyte": "1e-999999999",
}


@pytest.mark.parametrize("name", TOO_MANY_DECIMALS)
def test_decimals_beyond_the_fourth_are_not_rounded_away(api: Api, name: str) -> None:
    body = f'{{"owner": "ann", "max_credits": {TOO_MANY_DECIMALS[name]}}}'

    response = api.request("POST", "/v1/tokens", body)

    [error] = assert_problem(response, 422, "invalid_request")["errors"]
    assert "too many decimals" in error["detail"]


@pytest.mark.parametrize("amount", ["12.3456" + "0" * 60, "123456e-4", "0.00123456e4"])
def test_credits_are_the_same_however_they_are_written(api: Api, amount: str) -> None:
    response = api.request("POST", "/v1/tokens", f'{{"owner": "ann", "max_credits": {amount}}}')

    assert response.json["max_credits"] == 12.3456
    assert decoded(response.json["token"])[1]["max_credits"] == "12.3456"


MANY_MODELS = ["gpt-image-2"] * 51
INVALID: list[tuple[dict[str, Any], str, str]] = [
    ({"owner": ""}, "/owner", "is empty"),
    ({"owner": None}, "/owner", "is missing"),
    ({"owner": "a b"}, "/owner", "is not valid"),
    ({"owner": "a/b"}, "/owner", "is not valid"),
    ({"owner": "x" * 129}, "/owner", "is not valid"),
    ({"owner": 7}, "/owner", "is a number"),
    ({"max_credits": None}, "/max_credits", "is missing"),
    ({"max_credits": -1}, "/max_credits", "is too small"),
    ({"max_credits": 0}, "/max_credits", "is too small"),
    ({"max_credits": 1_000_000_000.1}, "/max_credits", "is too large"),
    ({"max_credits": 1.00001}, "/max_credits", "has too many decimals"),
    ({"max_credits": 1e-7}, "/max_credits", "has too many decimals"),
    ({"max_credits": "10"}, "/max_credits", "is a string"),
    ({"max_credits": True}, "/max_credits", "is a boolean"),
    ({"max_credits": float("nan")}, "/max_credits", "not a finite number"),
    ({"max_credits": float("inf")}, "/max_credits", "not a finite number"),
    ({"ttl_s": 59}, "/ttl_s", "is too small"),
    ({"ttl_s": 3601}, "/ttl_s", "is too large"),
    ({"ttl_s": 90.5}, "/ttl_s", "is not a whole number"),
    ({"ttl_s": "900"}, "/ttl_s", "is a string"),
    ({"scopes": []}, "/scopes", "is empty"),
    ({"scopes": "quotes"}, "/scopes", "is a string"),
    ({"scopes": ["tokens:write"]}, "/scopes/0", "is not known"),
    ({"scopes": ["quotes", 7]}, "/scopes/1", "is not known"),
    ({"scopes": ["quotes", "quotes"]}, "/scopes/1", "is there twice"),
    ({"max_tasks": 0}, "/max_tasks", "is too small"),
    ({"max_tasks": 1_000_001}, "/max_tasks", "is too large"),
    ({"models": []}, "/models", "is empty"),
    ({"models": ["gpt-image-1"]}, "/models/0", "is not known"),
    ({"models": [["gpt-image-2"]]}, "/models/0", "is not known"),
    ({"models": MANY_MODELS}, "/models", "has 51 entries"),
    ({"origin": "https://shop.example/"}, "/origin", "is not valid"),
    ({"origin": "https://shop.example/path"}, "/origin", "is not valid"),
    ({"origin": "https://Shop.example"}, "/origin", "is not valid"),
    ({"origin": "https://shop.example:443"}, "/origin", "is not valid"),
    ({"origin": "https://user@shop.example"}, "/origin", "is not valid"),
    ({"origin": "shop.example"}, "/origin", "is not valid"),
    ({"origin": "null"}, "/origin", "is not valid"),
    ({"origin": "*"}, "/origin", "is not valid"),
    ({"origin": "https://shop.example\n"}, "/origin", "is not valid"),
    ({"origin": 7}, "/origin", "is a number"),
    ({"budget": 10}, "/budget", "unknown field"),
    ({"token_id": "0" * 32}, "/token_id", "unknown field"),
]


@pytest.mark.parametrize(("changed", "pointer", "detail"), INVALID)
def test_invalid_field_is_refused_by_its_name(
    api: Api, changed: dict[str, Any], pointer: str, detail: str
) -> None:
    response = api.request("POST", "/v1/tokens", WANTED | changed)

    [error] = assert_problem(response, 422, "invalid_request")["errors"]
    assert error["pointer"] == pointer
    assert detail in error["detail"]
    assert api.has_no_side_effects()


def test_every_invalid_field_is_named_at_once(api: Api) -> None:
    response = api.request("POST", "/v1/tokens", {"ttl_s": 1, "budget": 1})

    errors = assert_problem(response, 422, "invalid_request")["errors"]
    pointers = {each["pointer"] for each in errors}
    assert pointers == {"/owner", "/max_credits", "/ttl_s", "/budget"}


@pytest.mark.parametrize("body", ["", "[]", "{", '{"owner": "a", "owner": "b"}'])
def test_body_that_is_no_object_is_refused(api: Api, body: str) -> None:
    assert_problem(api.request("POST", "/v1/tokens", body), 422, "invalid_request")
    assert api.has_no_side_effects()


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example",
        "http://localhost:3000",
        "https://shop.example:8443",
        "http://[::1]:5173",
        "http://127.0.0.1",
    ],
)
def test_origins_as_browsers_send_them_are_allowed(api: Api, origin: str) -> None:
    assert decoded(mint(api, origin=origin)["token"])[1]["origin"] == origin


def test_x_owner_beside_the_owner_agrees_or_is_absent(api: Api) -> None:
    assert mint(api, x_owner="ann")["owner"] == "ann"
    response = api.request("POST", "/v1/tokens", WANTED, x_owner="bob")

    [error] = assert_problem(response, 422, "invalid_request")["errors"]
    assert error["pointer"] == "/owner"
    assert len(api.cloud.items()) == 1


def test_token_is_known_only_to_the_server_key_that_issued_it(api: Api) -> None:
    token_id = mint(api)["token_id"]

    for path, headers in (
        (token_id, {"key": OTHER_SERVER_KEY}),
        (token_id, {"x_owner": "bob"}),
        ("0" * 32, {}),
        ("x", {}),
        (token_id.upper() + "0", {}),
    ):
        for method in ("GET", "DELETE"):
            response = api.request(method, f"/v1/tokens/{path}", **headers)
            assert_problem(response, 404, "no_such_token")
    token = stored(api, token_id)
    assert token
    assert token.revoked_at is None
    assert api.get(f"/v1/tokens/{token_id}", x_owner="ann").status == 200


def test_deleted_token_is_revoked_for_good_and_a_second_delete_changes_nothing(api: Api) -> None:
    token_id = mint(api)["token_id"]

    assert api.request("DELETE", f"/v1/tokens/{token_id}").status == 204
    first = stored(api, token_id)
    assert api.request("DELETE", f"/v1/tokens/{token_id}").status == 204

    assert first
    assert first.revoked_at
    assert stored(api, token_id) == first
    assert api.get(f"/v1/tokens/{token_id}").json["revoked"] is True


def test_unknown_query_parameter_is_refused(api: Api) -> None:
    token_id = mint(api)["token_id"]

    for method, path, body in (
        ("POST", "/v1/tokens", WANTED),
        ("GET", f"/v1/tokens/{token_id}", None),
        ("DELETE", f"/v1/tokens/{token_id}", None),
    ):
        response = api.request(method, f"{path}?force=1", body)
        assert_problem(response, 400, "invalid_parameter")
    assert len(api.cloud.items()) == 1


def test_logs_contain_nothing_of_a_token(api: Api) -> None:
    with captured_logs() as logs:
        body = mint(api, user="canary-user")
        api.create(key=body["token"])
        api.get("/v1/tasks", key=body["token"] + "x")
        api.get("/v1/tasks", key=body["token"], x_owner="bob")
        api.request("DELETE", f"/v1/tokens/{body['token_id']}")
        api.get("/v1/tasks", key=body["token"])
        api.request("POST", "/v1/tokens", {"owner": "canary-user", "max_credits": "canary-amount"})

    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    rejected = [line["reason"] for line in lines if line["message"] == "token_rejected"]
    assert rejected == ["InvalidSignatureError", "revoked"]
    assert "canary" not in logs.getvalue()
    for part in (*body["token"].split("."), body["token_id"]):
        assert part not in logs.getvalue()
