"""The API's door as a whole: every route in the table of contents, strangers at each, and its edges."""

from __future__ import annotations

import gc
import json
import re
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
from tests.support.environment import CALLBACK_KEY, SERVER_KEY, Cloud, aws, properties
from tests.support.fakes import POYO_KEY, PROMPT
from tests.support.lambdas import (
    ORDER,
    OTHER_SERVER_KEY,
    Api,
    Context,
    HandlerResponse,
    assert_problem,
    captured_logs,
    http_event,
    invoke,
    load_handler,
    loaded_api,
    recorded_aws_calls,
    request_headers,
)

PUBLIC = {
    ("GET", "/files/<task_id>/<n>/<mac>"),
    ("GET", "/v1/catalog/models"),
    ("GET", "/v1/catalog/models/<model>"),
    ("GET", "/openapi.json"),
    ("GET", "/health"),
}
BODIES: dict[str, object] = {"/v1/uploads": {"content_type": "image/png"}}
POYOS = ("/api/", "/v1/catalog/")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def routes() -> list[tuple[str, str]]:
    """Method and rule of every route in the table of contents, read from the door itself."""
    with aws() as made, load_handler("api", made) as door:
        return [(method, rule) for method, rule, _ in door.ROUTES]


ROUTES = routes()
KEYED = [each for each in ROUTES if each not in PUBLIC]
OF_A_TASK = [each for each in ROUTES if "<task_id>" in each[1]]


def address(rule: str, task_id: str = derive_task_id("owner", "key")) -> str:
    """An address that this rule takes."""
    parts = {"task_id": task_id, "n": "0", "mac": signed_urls.file_token("a1" * 20, 0)}
    return re.sub(r"<(\w+)>", lambda found: {**parts, "model": "gpt-image-2"}[found[1]], rule)


def ask(api: Api, method: str, rule: str, **said: Any) -> HandlerResponse:
    """A request that this route would response well."""
    body = BODIES.get(rule, ORDER) if method == "POST" else None
    path = address(rule, said.pop("task_id", derive_task_id("owner", "key")))
    return api.request(method, path, body, **{"idempotency_key": "key"} | said)


def code(response: HandlerResponse, path: str) -> str:
    """What kind of refusal this is, in the shape that belongs to the path."""
    if path.startswith(POYOS):
        assert response.headers["content-type"] == "application/json"
        return str(response.json["error"]["type"])
    return str(assert_problem(response, response.status, response.json["code"])["code"])


def test_the_template_and_the_table_of_contents_name_the_same_routes() -> None:
    events = properties("ApiFunction")["Events"].values()
    declared = {(each["Properties"]["Method"], each["Properties"]["Path"]) for each in events}

    served = {(method, re.sub(r"<(\w+)>", r"{\1}", rule)) for method, rule in ROUTES}

    assert declared == served | {("ANY", "$default")}


@pytest.mark.parametrize(("method", "rule"), ROUTES)
def test_every_route_answers_whom_it_is_for(api: Api, method: str, rule: str) -> None:
    api.put_finished()

    response = ask(api, method, rule, idempotency_key="new")

    assert response.status in (200, 201, 202, 204, 302), response.body


STRANGERS: list[dict[str, str]] = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": f"Basic {SERVER_KEY}"},
    {"authorization": SERVER_KEY},
    {"authorization": "Bearer wrong"},
    {"authorization": f"Bearer {SERVER_KEY}x"},
    {"authorization": f"Bearer {SERVER_KEY.upper()}"},
    {"authorization": "Bearer owner"},
    {"authorization": "Bearer é\ud83d"},
    {"authorization": "Bearer wrong", "x-owner": "owner"},
    {"x-api-key": SERVER_KEY},
]


@pytest.mark.parametrize(("method", "rule"), KEYED)
def test_a_stranger_gets_in_nowhere(api: Api, method: str, rule: str) -> None:
    api.put_finished()
    clients = api.handler_module.clients
    made = recorded_aws_calls(clients.repository.table.client, clients.images.client)
    body = json.dumps(BODIES.get(rule, ORDER)) if method == "POST" else None
    kind = "authentication_error" if rule.startswith(POYOS) else "unauthorized"

    for headers in STRANGERS:
        said = {"idempotency-key": "key"} | headers
        response = invoke(
            api.handler_module, http_event(method, address(rule), headers=said, body=body)
        )
        assert (response.status, code(response, rule)) == (401, kind), headers
        assert response.headers["www-authenticate"] == "Bearer"

    assert (made, api.poyo.requests) == ([], [])


@pytest.mark.parametrize(("method", "rule"), sorted(PUBLIC))
def test_what_is_public_asks_for_no_key(api: Api, method: str, rule: str) -> None:
    api.put_finished()

    known, nobody = ask(api, method, rule), ask(api, method, rule, key=None)

    assert nobody.status in (200, 302)
    assert nobody.body == known.body


@pytest.mark.parametrize(("method", "rule"), KEYED)
def test_nobody_acts_for_what_is_no_name(api: Api, method: str, rule: str) -> None:
    api.put_finished()
    clients = api.handler_module.clients
    made = recorded_aws_calls(clients.repository.table.client, clients.images.client)

    kind = "validation_error" if rule.startswith(POYOS) else "invalid_owner"

    for owner in ("", " ", "a b", "a/b", "é", "x" * 129, "a\n", "a,b", "#", "a\0"):
        response = ask(api, method, rule, x_owner=owner)
        assert (response.status, code(response, rule)) == (400, kind), owner

    assert (made, api.poyo.requests) == ([], [])


@pytest.mark.parametrize(("method", "rule"), [each for each in OF_A_TASK if each in KEYED])
def test_another_owners_task_is_like_none_at_all(api: Api, method: str, rule: str) -> None:
    api.put_finished()
    theirs = {"owner": "stranger", "key": "theirs", "owner_key": "stranger"}
    api.put(**theirs)

    for said in ({"key": OTHER_SERVER_KEY}, {"x_owner": "user"}, {"x_owner": "owner"}):
        mine = ask(api, method, rule, **said)
        none = ask(api, method, rule, task_id=derive_task_id("nobody", "key"), **said)
        assert mine.status == 404
        assert (mine.body, mine.headers) == (none.body, none.headers)
    assert ask(api, method, rule).status in (200, 204, 302)


@pytest.mark.parametrize(("method", "rule"), OF_A_TASK)
def test_a_deleted_task_is_like_none_at_all(api: Api, method: str, rule: str) -> None:
    made = api.put_finished()
    assert api.request("DELETE", f"/v1/tasks/{made.task_id}").status == 204

    gone = ask(api, method, rule)
    none = ask(api, method, rule, task_id=derive_task_id("nobody", "key"))

    if method == "DELETE":
        assert (gone.status, none.status) == (204, 404)
    else:
        assert gone.status == 404
        assert (gone.body, gone.headers) == (none.body, none.headers)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_spelt_as_one_likes(api: Api, scheme: str) -> None:
    headers = {"authorization": f"{scheme}  {SERVER_KEY} "}

    response = invoke(api.handler_module, http_event("GET", "/v1/tasks", headers=headers))

    assert response.status == 200


# Addresses


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/tasks/x/files"),
        ("GET", "/v1/tasks/x/files/0/y"),
        ("GET", "/v1/tasks/"),
        ("GET", "//v1/tasks"),
        ("GET", "/V1/TASKS/x"),
        ("GET", "/.env"),
        ("HEAD", "/nothing"),
        ("GET", "/v1/tasks/" + "x/" * 500),
        ("GET", "/" + "ü" * 100),
        ("GET", '/v1/tasks/"'),
        ("GET", "/v1/tasks/a\\b"),
        ("DELETE", "/v1/tasks/`"),
    ],
)
def test_an_unknown_address_gets_our_kind_of_error(api: Api, method: str, path: str) -> None:
    response = invoke(api.handler_module, http_event(method, path, headers=request_headers()))

    assert_problem(response, 404, "no_such_route")


@pytest.mark.parametrize("rule", sorted({rule for _, rule in ROUTES}))
def test_another_method_is_told_which_there_are(api: Api, rule: str) -> None:
    known = {method for method, each in ROUTES if each == rule}

    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"} - known:
        response = api.request(method, address(rule))
        kind = "validation_error" if rule.startswith(POYOS) else "method_not_allowed"
        assert (response.status, code(response, rule)) == (405, kind)
        assert set(response.headers["allow"].split(", ")) == known


def test_health_asks_nobody(cloud: Cloud) -> None:
    with load_handler("api", cloud, API_SECRET_ARN="none", TABLE_NAME="none") as door:
        response = invoke(door, http_event("GET", "/health"))

    assert (response.status, response.json) == (200, {"status": "ok"})


def test_the_contract_is_handed_out_and_names_every_route(api: Api) -> None:
    response = api.get("/openapi.json", key=None)

    named = {
        (method.upper(), path) for path, each in response.json["paths"].items() for method in each
    }
    served = {(method, re.sub(r"<(\w+)>", r"{\1}", rule)) for method, rule in ROUTES}
    assert response.headers["content-type"] == "application/json"
    assert served <= named


# Our own trouble


def test_a_table_that_is_away_is_worth_another_try() -> None:
    for method, rule in ROUTES:
        if rule.startswith(("/v1/tasks", "/files")):
            with loaded_api(TABLE_NAME="no-such-table") as api:
                response = ask(api, method, rule)
            assert assert_problem(response, 503, "unavailable")["retryable"], rule
            assert api.poyo.requests == []


@pytest.mark.parametrize(("method", "rule"), KEYED)
def test_a_secret_that_is_away_is_worth_another_try(method: str, rule: str) -> None:
    with loaded_api(API_SECRET_ARN="none") as api:
        response = ask(api, method, rule)

    assert (response.status, response.headers["retry-after"]) == (503, "5")
    if not rule.startswith(POYOS):
        assert_problem(response, 503, "unavailable")


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/generate/submit"])
@pytest.mark.parametrize("missing", ["poyo_api_key", "k1"])
def test_keys_that_are_missing_are_said_before_anything_is_written(
    api: Api, path: str, missing: str
) -> None:
    secrets, cloud = api.cloud.client("secretsmanager"), api.cloud
    for secret in (cloud.api_secret, cloud.callback_secret):
        kept = json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"])
        kept |= {missing: ""} if missing in kept else {}
        secrets.put_secret_value(SecretId=secret, SecretString=json.dumps(kept))

    response = api.request("POST", path, ORDER, idempotency_key="key")

    assert response.status == 503
    if path == "/v1/tasks":
        assert_problem(response, 503, "not_configured")
    assert api.has_no_side_effects()


@pytest.mark.parametrize(
    "variable",
    [
        "TABLE_NAME",
        "BUCKET_NAME",
        "QUEUE_URL",
        "API_SECRET_ARN",
        "CALLBACK_SECRET_ARN",
        "POYO_BASE_URL",
        "NOTIFICATION_HOSTS",
        "FIRST_POLL_SECONDS",
        "POYO_SUBMITS_PER_10S",
    ],
)
def test_a_missing_variable_is_named_at_once(cloud: Cloud, variable: str) -> None:
    with pytest.raises(KeyError, match=variable), load_handler("api", cloud, without=variable):
        pass


def test_a_refusal_keeps_nothing_of_the_request_that_got_it(api: Api) -> None:
    requests = [
        http_event("POST", "/v1/tasks", headers=request_headers(), body="{}"),
        http_event("GET", "/v1/tasks/x", headers=request_headers("wrong")),
        http_event(
            "GET", f"/v1/tasks/{derive_task_id('nobody', 'key')}", headers=request_headers()
        ),
        http_event("GET", "/v1/tasks?limit=x", headers=request_headers()),
        http_event("PUT", "/v1/tasks", headers=request_headers()),
        http_event("GET", "/nowhere"),
    ]
    contexts = [Context() for _ in requests]
    kept = [weakref.ref(context) for context in contexts]
    for request in requests:
        api.handler_module.handler(request, contexts.pop(0))
    api.get("/health")
    gc.collect()

    assert [each() for each in kept] == [None] * len(kept)


def test_no_log_line_tells_a_secret(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    made = api.put_finished(key="finished")
    link = signed_urls.file_path(made.file_url_key, made.task_id, 0)
    callback = {"callback_url": f"https://{PROMPT}.example/", "metadata": {PROMPT: PROMPT}}
    with captured_logs() as log:
        api.create(idempotency_key="canary-idempotency")
        api.create(ORDER | callback, idempotency_key="told")
        api.create({"model": PROMPT, "input": {"prompt": PROMPT, PROMPT: PROMPT}})
        api.create(f'{{"prompt": "{PROMPT}"', idempotency_key="third")
        api.get(f"/v1/tasks/{made.task_id}/files/0")
        api.get(f"/v1/tasks/{made.task_id}/files/7", key=OTHER_SERVER_KEY)
        api.get(link, key=None)
        api.get(f"/v1/{PROMPT}")
        api.get(f"/v1/tasks?{PROMPT}=1")
        api.request("POST", "/v1/uploads", {"content_type": "image/png"})
        api.request("DELETE", f"/v1/tasks/{made.task_id}")

    said = log.getvalue() + "".join(capsys.readouterr())
    secret = (POYO_KEY, SERVER_KEY, OTHER_SERVER_KEY, CALLBACK_KEY, "https://", "X-Amz", "x-amz")
    for canary in (PROMPT, "canary-idempotency", link.rpartition("/")[2], *secret):
        assert canary not in said


def test_an_error_that_nobody_foresaw_is_a_problem_too(api: Api) -> None:
    task_id = derive_task_id("owner", "spoilt")
    spoilt = {"pk": {"S": f"task#{task_id}"}, "state": {"S": "running"}}
    api.cloud.client("dynamodb").put_item(TableName=api.cloud.table_name, Item=spoilt)

    with captured_logs() as log:
        response = api.get(f"/v1/tasks/{task_id}")
        poyos = api.get(f"/api/generate/status/{task_id}")

    said = assert_problem(response, 500, "internal", charged=None)
    assert said["retryable"]
    assert (poyos.status, poyos.json["error"]["type"]) == (500, "server_error")
    assert "spoilt" not in response.body + poyos.body
    assert log.getvalue().count("api_unexpected_error") >= 2
