"""What a browser token cannot do: each attempt is answered with a problem and changes nothing.

A token is edited here with the key that signs tokens, as nobody outside could: what its item says counts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from imagetasks.api.routes import ROUTES
from imagetasks.aws.secrets import server_key_id
from imagetasks.tasks.caller import SCOPES
from imagetasks.tasks.task import derive_task_id
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.browser_tokens import (
    REMOVED,
    change_item,
    decoded,
    encoded,
    forged,
    mint,
    put_secret,
    remove_item,
    send,
)
from tests.support.emulated_aws import OTHER_SERVER_KEY, TOKEN_KEYS
from tests.support.lambdas import HandlerResponse, recorded_aws_calls

ORIGIN = "https://shop.example"


def edit_of(reference: str) -> dict[str, Any]:
    return {"model": "gpt-image-2-edit", "input": {"prompt": "x", "image_urls": [reference]}}


EDIT = edit_of("https://example.com/a.png")


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


# A token that is not valid

Forgery = Callable[[str], str]


def now_s() -> int:
    return int(time.time())


def header(**fields: Any) -> Forgery:
    return lambda token: forged(token, header=fields)


def claims(**changed: Any) -> Forgery:
    return lambda token: forged(token, **changed)


def cut(token: str) -> str:
    """The token without its signature."""
    return token.rpartition(".")[0] + "."


def nested(_: str) -> str:
    """A header that a parser does not come back from."""
    text = b'{"a":' + b"[" * 2900
    return base64.urlsafe_b64encode(text).decode().rstrip("=") + ".e30.e30"


def with_public_key_confusion(token: str) -> str:
    """A header that brings its own key."""
    own = {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).decode()}
    return forged(token, header={"jwk": own, "jku": "https://evil.example/keys"}, key="k" * 32)


FORGERIES: dict[str, Forgery] = {
    "algorithm none": header(alg="none"),
    "algorithm None": header(alg="None"),
    "no algorithm": header(alg=REMOVED),
    "RS256 with our secret": header(alg="RS256"),
    "HS512 with our secret": header(alg="HS512"),
    "no signature": cut,
    "another key": lambda token: forged(token, key="x" * 40),
    "an empty key": lambda token: forged(token, key="", header={"kid": "k9"}),
    "a key that the token brings": with_public_key_confusion,
    "a swapped kid": header(kid="k2"),
    "an unknown kid": header(kid="k9"),
    "a kid that names a setting": header(kid="current"),
    "a kid that is a path": header(kid="../../dev/null"),
    "a kid that is a number": header(kid=1),
    "a kid that is null": header(kid=None),
    "no kid": header(kid=REMOVED),
    "another type": header(typ="JWT"),
    "no type": header(typ=REMOVED),
    "a critical extension": header(crit=["exp"]),
    "a detached payload": header(b64=False, crit=["b64"]),
    "no issuer": claims(iss=REMOVED),
    "no audience": claims(aud=REMOVED),
    "no subject": claims(sub=REMOVED),
    "no end": claims(exp=REMOVED),
    "no beginning": claims(iat=REMOVED),
    "no id": claims(jti=REMOVED),
    "no scope": claims(scope=REMOVED),
    "no credits": claims(max_credits=REMOVED),
    "an end that is text": claims(exp="never"),
    "an end that is no number": claims(exp=float("inf")),
    "expired": lambda token: forged(token, exp=now_s() - 31),
    "issued in the future": lambda token: forged(token, iat=now_s() + 600),
    "not yet valid": lambda token: forged(token, nbf=now_s() + 600),
    "another audience": claims(aud="another"),
    "several audiences": claims(aud=["imagetasks", "another"]),
    "another issuer": claims(iss="https://evil.example"),
    "an issuer that begins as ours": claims(iss="https://img.example.evil"),
    "an edited subject": claims(sub="owner/bob"),
    "the subject of the server key itself": claims(sub="owner"),
    "an id that is a number": claims(jti=7),
    "the id of no token": claims(jti="0" * 32),
    "an id that is the key of another item": claims(jti="../task#" + derive_task_id("owner", "k")),
    "claims that are a list": lambda token: encoded(decoded(token)[0], []),  # type: ignore[arg-type]
    "a deeply nested header": nested,
    "a token with a fourth part": lambda token: token + ".e30",
    "two tokens": lambda token: f"{token},{token}",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_token_is_refused(api: Api, name: str) -> None:
    token = mint(api)["token"]
    items = api.cloud.items()

    for method, path, body in (("GET", "/v1/tasks", None), ("POST", "/v1/tasks", ORDER)):
        response = send(api, FORGERIES[name](token), method, path, body, idempotency_key="key")
        problem = assert_problem(response, 401, response.json["code"])
        assert problem["code"] in ("invalid_token", "unauthorized")
        expected = (
            'Bearer error="invalid_token"' if problem["code"] == "invalid_token" else "Bearer"
        )
        assert response.headers["www-authenticate"] == expected
        assert token.rpartition(".")[2] not in response.body
    assert (api.cloud.items(), api.poyo.requests) == (items, [])
    assert send(api, token, "GET", "/v1/tasks").status == 200


def test_forged_token_costs_no_call_of_aws(api: Api) -> None:
    token = mint(api)["token"]
    clients = api.handler_module.clients
    calls = recorded_aws_calls(clients.repository.table.client, clients.api_keys.secret.client)

    for name in ("algorithm none", "another key", "an unknown kid", "expired"):
        assert send(api, FORGERIES[name](token), "GET", "/v1/tasks").status == 401
    assert calls == []


# A token that was valid

Event = Callable[[Api, str], None]


def revoke(api: Api, token_id: str) -> None:
    assert api.request("DELETE", f"/v1/tokens/{token_id}").status == 204


def api_secret(api: Api) -> dict[str, Any]:
    client = api.cloud.client("secretsmanager")
    found: dict[str, Any] = json.loads(
        client.get_secret_value(SecretId=api.cloud.api_secret)["SecretString"]
    )
    return found


def remove_issuing_key(api: Api, _: str) -> None:
    values = api_secret(api)
    del values["server_keys"]["owner"]
    put_secret(api, api.cloud.api_secret, values)


def replace_issuing_key(api: Api, _: str) -> None:
    """What an operator does when the key leaked: another one under the same name."""
    values = api_secret(api)
    values["server_keys"]["owner"] = hashlib.sha256(b"it_sk_new").hexdigest()
    put_secret(api, api.cloud.api_secret, values)


def empty_issuing_key(api: Api, _: str) -> None:
    values = api_secret(api)
    values["server_keys"]["owner"] = []
    put_secret(api, api.cloud.api_secret, values)


def retire_kid(api: Api, _: str) -> None:
    put_secret(api, api.cloud.token_secret, {"current": "k2", "k2": TOKEN_KEYS["k2"]})


EVENTS: dict[str, Event] = {
    "it was revoked": revoke,
    "its item is missing": remove_item,
    "its server key was removed": remove_issuing_key,
    "its server key was replaced": replace_issuing_key,
    "its server key has no value": empty_issuing_key,
    "its kid was retired": retire_kid,
    "its item has another owner": lambda api, each: change_item(api, each, owner="owner/bob"),
    "its item is of another server key": lambda api, each: change_item(
        api, each, key="other", key_id=server_key_id(OTHER_SERVER_KEY)
    ),
    "its item has ended": lambda api, each: change_item(api, each, ends_at=(now_s() - 31) * 1000),
}


@pytest.mark.parametrize("name", EVENTS)
def test_token_works_no_longer_after(api: Api, name: str) -> None:
    body = mint(api)
    token = body["token"]
    assert send(api, token, "POST", "/v1/tasks", ORDER, idempotency_key="key").status == 202

    EVENTS[name](api, body["token_id"])

    for method, path in (("GET", "/v1/tasks"), ("POST", "/v1/tasks"), ("POST", "/v1/uploads")):
        response = send(api, token, method, path, ORDER, idempotency_key="key")
        assert_problem(response, 401, "invalid_token")
    assert api.submit_count() == 1


def test_token_works_up_to_thirty_seconds_after_its_end(api: Api) -> None:
    body = mint(api)
    change_item(api, body["token_id"], ends_at=(now_s() - 20) * 1000)

    inside = forged(body["token"], exp=now_s() - 20)

    assert send(api, inside, "GET", "/v1/tasks").status == 200


def test_token_works_as_long_as_the_server_key_that_issued_it(api: Api) -> None:
    values = api_secret(api)
    old, new = values["server_keys"]["owner"], hashlib.sha256(b"it_sk_new").hexdigest()
    values["server_keys"]["owner"] = [old, new]
    put_secret(api, api.cloud.api_secret, values)
    tokens = [mint(api)["token"], mint(api, key="it_sk_new")["token"]]

    assert [send(api, each, "GET", "/v1/tasks").status for each in tokens] == [200, 200]
    values["server_keys"]["owner"] = new
    put_secret(api, api.cloud.api_secret, values)
    assert [send(api, each, "GET", "/v1/tasks").status for each in tokens] == [401, 200]


def test_token_keeps_working_while_its_key_is_rotated(api: Api) -> None:
    old = mint(api)["token"]
    put_secret(api, api.cloud.token_secret, TOKEN_KEYS | {"current": "k2"})

    new = mint(api)["token"]

    assert decoded(new)[0]["kid"] == "k2"
    for token in (old, new):
        assert send(api, token, "GET", "/v1/tasks").status == 200
    retire_kid(api, "")
    assert send(api, old, "GET", "/v1/tasks").status == 401
    assert send(api, new, "GET", "/v1/tasks").status == 200


@pytest.mark.parametrize("value", ["", None, 7, "short", "x" * 31])
def test_value_that_is_no_long_key_signs_and_verifies_nothing(api: Api, value: object) -> None:
    token = mint(api)["token"]
    put_secret(api, api.cloud.token_secret, {"current": "k1", "k1": value})

    for key in ("None", "7", str(value)):
        response = send(api, forged(token, key=key), "GET", "/v1/tasks")
        assert_problem(response, 401, "invalid_token")
    wanted = {"owner": "ann", "max_credits": 1}
    problem = assert_problem(
        api.request("POST", "/v1/tokens", wanted), 503, "not_configured", charged=None
    )
    assert problem["retry"] == "same_key"
    assert len(api.cloud.items()) == 1


# The item wins


def test_edited_scope_gives_a_token_no_right(api: Api) -> None:
    token = mint(api, scopes=["tasks:read"])["token"]

    edited = forged(token, scope=" ".join(SCOPES))

    response = send(api, edited, "POST", "/v1/tasks", ORDER, idempotency_key="key")
    assert_problem(response, 403, "insufficient_scope")


def test_edited_models_and_origin_lift_no_restriction(api: Api) -> None:
    token = mint(api, models=["gpt-image-2"])["token"]
    of_a_page = mint(api, origin=ORIGIN)["token"]

    edited = forged(token, models=REMOVED)
    response = send(api, edited, "POST", "/v1/tasks", EDIT, idempotency_key="key")
    assert_problem(response, 403, "model_not_allowed")
    elsewhere = forged(of_a_page, origin="https://evil.example")
    response = send(api, elsewhere, "GET", "/v1/tasks", origin="https://evil.example")
    assert_problem(response, 403, "origin_not_allowed")


def test_edited_credits_buy_nothing(api: Api) -> None:
    token = mint(api, max_credits=1)["token"]

    edited = forged(token, max_credits="1000000")

    response = send(api, edited, "POST", "/v1/tasks", ORDER, idempotency_key="key")
    assert_problem(response, 402, "budget_exhausted")
    assert api.poyo.requests == []


# What a route needs

ACCESS: dict[tuple[str, str], str] = {  # the scope, or `server key`
    ("POST", "/v1/tasks"): "tasks:write",
    ("GET", "/v1/tasks"): "tasks:read",
    ("GET", "/v1/tasks/<task_id>"): "tasks:read",
    ("DELETE", "/v1/tasks/<task_id>"): "tasks:write",
    ("GET", "/v1/tasks/<task_id>/files/<n>"): "tasks:read",
    ("POST", "/v1/uploads"): "uploads:write",
    ("POST", "/v1/quotes"): "quotes",
    ("POST", "/v1/tokens"): "server key",
    ("GET", "/v1/tokens/<token_id>"): "server key",
    ("DELETE", "/v1/tokens/<token_id>"): "server key",
    ("GET", "/v1/usage"): "tasks:read",
    ("GET", "/v1/budgets/<scope>"): "server key",
    ("PUT", "/v1/budgets/<scope>"): "server key",
    ("DELETE", "/v1/budgets/<scope>"): "server key",
    ("POST", "/api/generate/submit"): "tasks:write",
    ("GET", "/api/generate/status/<task_id>"): "tasks:read",
    ("GET", "/api/user/balance"): "server key",
}
PUBLIC = {
    "/files/<task_id>/<n>/<mac>",
    "/v1/catalog/models",
    "/v1/catalog/models/<model>",
    "/openapi.json",
    "/health",
}


def test_every_route_that_is_not_public_has_its_row_here() -> None:
    routes = {(method, rule) for method, rule, _ in ROUTES if method != "HEAD"}

    assert {each for each in routes if each[1] not in PUBLIC} == set(ACCESS)


@dataclass
class Page:
    """A user's page: a token with every scope, and a finished task of the same user."""

    api: Api
    token: str
    token_id: str
    task_id: str

    def request(self, method: str, rule: str, token: str = "", **headers: Any) -> HandlerResponse:
        parts = {"task_id": self.task_id, "token_id": self.token_id, "n": "0", "scope": "key"}
        path = re.sub(r"<(\w+)>", lambda found: parts[found[1]], rule)
        bodies: dict[str, Any] = {
            "/v1/uploads": {"content_type": "image/png"},
            "/v1/tokens": {"owner": "ann", "max_credits": 1},
            "/v1/budgets/<scope>": {"max_credits": 1_000_000},
        }
        body = bodies.get(rule, ORDER) if method in ("POST", "PUT") else None
        sent = {"idempotency_key": "a-key"} | headers
        response: HandlerResponse = send(self.api, token or self.token, method, path, body, **sent)
        return response


@pytest.fixture
def page(api: Api) -> Page:
    finished = api.put_finished(owner="owner/ann", owner_key="owner/ann")
    body = mint(api)
    return Page(api, body["token"], body["token_id"], finished.task_id)


@pytest.mark.parametrize(("method", "rule"), ACCESS)
def test_token_may_use_a_route_exactly_with_its_scope(page: Page, method: str, rule: str) -> None:
    needed = ACCESS[method, rule]
    others = [scope for scope in SCOPES if scope != needed]
    without = mint(page.api, scopes=others)["token"]

    allowed, refused = page.request(method, rule), page.request(method, rule, without)

    assert (allowed.status == 403) is (needed == "server key"), allowed.body
    assert allowed.status < 400 or needed == "server key"
    assert refused.status == 403
    if rule.startswith("/api/"):
        assert refused.json["error"]["type"] == "permission_denied_error"
    elif needed == "server key":
        assert_problem(refused, 403, "server_key_required")
    else:
        problem = assert_problem(refused, 403, "insufficient_scope")
        assert f"`{needed}`" in problem["detail"]
    if needed != "server key":
        challenge = f'Bearer error="insufficient_scope", scope="{needed}"'
        assert refused.headers["www-authenticate"] == challenge


@pytest.mark.parametrize(("method", "rule"), ACCESS)
def test_x_owner_of_another_user_is_refused(page: Page, method: str, rule: str) -> None:
    for other in ("bob", "Ann", "owner"):
        response = page.request(method, rule, x_owner=other)
        assert response.status == 403
        if not rule.startswith("/api/"):
            assert_problem(response, 403, "owner_not_allowed")
    if ACCESS[method, rule] != "server key":
        assert page.request(method, rule, x_owner="ann").status < 400


@pytest.mark.parametrize(("method", "rule"), ACCESS)
def test_token_of_a_page_works_on_pages_of_its_origin_alone(
    page: Page, method: str, rule: str
) -> None:
    token = mint(page.api, origin=ORIGIN)["token"]

    assert page.request(method, rule, token).status == 403  # no Origin
    for other in (
        "https://evil.example",
        f"{ORIGIN}.evil",
        f"{ORIGIN}:444",
        "null",
        "",
        ORIGIN.upper(),
    ):
        response = page.request(method, rule, token, origin=other)
        assert response.status == 403
        if not rule.startswith("/api/"):
            assert_problem(response, 403, "origin_not_allowed")
    if ACCESS[method, rule] != "server key":
        assert page.request(method, rule, token, origin=ORIGIN).status < 400


def test_token_of_any_page_works_with_and_without_an_origin(page: Page) -> None:
    assert page.request("GET", "/v1/tasks").status == 200
    assert page.request("GET", "/v1/tasks", origin="https://any.example").status == 200


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit", "/v1/quotes"])
def test_model_outside_of_the_tokens_models_is_refused(api: Api, path: str) -> None:
    token = mint(api, models=["gpt-image-2"])["token"]

    refused = send(api, token, "POST", path, EDIT, idempotency_key="refused")

    assert refused.status == 403
    if not path.startswith("/api/"):
        assert_problem(refused, 403, "model_not_allowed")
    assert api.poyo.requests == []
    assert send(api, token, "POST", path, ORDER, idempotency_key="allowed").status < 300


OTHERS = pytest.mark.parametrize("user", ["", "bob", "an", "anna"])
UNKNOWN = "a" * 26
READS = [  # and the delete: what names a task in its address
    ("GET", "/v1/tasks/{}"),
    ("HEAD", "/v1/tasks/{}"),
    ("GET", "/v1/tasks/{}?wait=1"),
    ("GET", "/v1/tasks/{}/files/0"),
    ("DELETE", "/v1/tasks/{}"),
    ("GET", "/v1/tasks?task_ids={}"),
    ("GET", "/v1/tasks?task_ids={}&wait=1"),
    ("GET", "/api/generate/status/{}"),
    ("GET", "/files/{}/0/guessed"),
]
ORDERS = ["/v1/tasks", "/v1/quotes", "/api/generate/submit"]


@OTHERS
def test_task_of_another_user_is_answered_like_one_that_does_not_exist(api: Api, user: str) -> None:
    owner = f"owner/{user}" if user else "owner"
    task = api.put_finished(owner=owner, owner_key=owner)
    token = mint(api)["token"]

    def answer(task_id: str, method: str, path: str, body: object = None) -> tuple[int, str]:
        key = f"key-{task_id}"
        response = send(api, token, method, path.format(task_id), body, idempotency_key=key)
        return response.status, response.body.replace(task_id, "")

    for method, path in READS:
        assert answer(task.task_id, method, path) == answer(UNKNOWN, method, path)
    for path in ORDERS:
        theirs, unknown = (
            answer(each, "POST", path, edit_of(f"task:{each}/0"))
            for each in (task.task_id, UNKNOWN)
        )
        assert theirs == unknown
        assert theirs[0] in (400, 422)
    assert api.get(f"/v1/tasks/{task.task_id}", **({"x_owner": user} if user else {})).status == 200


@OTHERS
def test_uploads_and_lists_of_other_users_do_not_exist(api: Api, user: str) -> None:
    owner = f"owner/{user}" if user else "owner"
    api.put_finished(owner=owner, owner_key=owner)
    sender = {"x_owner": user} if user else {}
    uploaded = api.request("POST", "/v1/uploads", {"content_type": "image/png"}, **sender).json
    token = mint(api)["token"]

    assert send(api, token, "GET", "/v1/tasks").json["tasks"] == []
    order = edit_of(uploaded["file_url"])
    response = send(api, token, "POST", "/v1/tasks", order, idempotency_key="key")
    [error] = assert_problem(response, 422, "invalid_order")["errors"]
    assert "upload not found" in error["detail"]


def test_token_and_its_server_key_see_the_same_tasks_of_the_user(api: Api) -> None:
    token = mint(api)["token"]

    created = send(api, token, "POST", "/v1/tasks", ORDER, idempotency_key="key")

    assert created.status == 202
    path = f"/v1/tasks/{created.json['task_id']}"
    assert api.get(path, x_owner="ann").json["task_id"] == created.json["task_id"]
    assert api.get(path).status == 404
    replayed = api.create(x_owner="ann")
    assert (replayed.status, replayed.headers["idempotent-replayed"]) == (200, "true")
    assert api.submit_count() == 1


def test_server_key_in_the_form_of_a_token_is_a_server_key(api: Api) -> None:
    key = encoded({"alg": "HS256"}, {"sub": "owner"})
    values = api_secret(api)
    values["server_keys"]["jwt"] = hashlib.sha256(key.encode()).hexdigest()
    put_secret(api, api.cloud.api_secret, values)

    assert api.get("/v1/tasks", key=key).status == 200
