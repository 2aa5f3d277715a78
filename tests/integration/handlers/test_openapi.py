"""The contract: what it promises is what the code does, and the code does nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from imagetasks.api import order_request
from imagetasks.api.schemas import task_body
from imagetasks.errors import InvalidOrder
from imagetasks.poyo import models
from imagetasks.poyo.rate_limit import WINDOW_PK
from imagetasks.tasks.task import StoredImage, derive_task_id
from local.processes import ROOT
from openapi import document, schemas
from openapi.operations import OPERATIONS, Operation
from tests.support.environment import Cloud, TestEnvironment, aws, properties
from tests.support.fakes import PROMPT, task
from tests.support.lambdas import HandlerResponse, http_event, invoke, load_handler, request_headers
from tests.support.scripted_server import responding, scripted_server

DOCUMENT: dict[str, Any] = json.loads(document.FILE.read_text())
IDS = [operation.id for operation in OPERATIONS]
ORDER: dict[str, Any] = {"model": "gpt-image-2", "input": {"prompt": PROMPT}}
KEPT = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)
# PoYo as it may answer a submit; the first answers a question after the balance, too.
TAKEN = {"code": 200, "data": {"task_id": "BFJI1885TB0ROHQM", "credits_amount": 12.5}}
REFUSALS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "rejected": ("400 Bad Request", {"code": 400, "error": {"message": "no"}}),
    "moderated": ("400 Bad Request", {"code": 400, "error": {"message": "content policy"}}),
    "insufficient_credits": ("402 Payment Required", {"code": 402, "error": {"message": "none"}}),
    "refused_key": ("401 Unauthorized", {"code": 401, "error": {"message": "Invalid API key"}}),
}
# What no operation of its own gives: where there is no operation, and on PoYo's own way in.
NOWHERE = {"method_not_allowed", "not_found"}


def declared(operation: Operation) -> dict[str, Any]:
    return cast(dict[str, Any], DOCUMENT["paths"][operation.path][operation.method.lower()])


@cache
def closed() -> dict[str, Any]:
    """The schemas without the leave for further fields: what we send is exactly what we say."""
    return cast(dict[str, Any], _closed(DOCUMENT["components"]["schemas"]))


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _closed(each) for name, each in schema.items()}
    if kept.get("type") == "object" and "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def wrong(body: object, schema: Mapping[str, Any]) -> list[str]:
    """What of a body is not as the schema says."""
    whole = {**schema, "components": {"schemas": closed()}}
    errors = OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER).iter_errors(body)
    return [f"{'/'.join(map(str, each.path))}: {each.message}" for each in errors]


# The file, and what it is made of


def test_the_file_is_what_the_code_says() -> None:
    assert document.FILE.read_text() == document.render(), "run `make openapi`"


def test_the_command_says_what_to_do_when_it_is_not(tmp_path: Path) -> None:
    other = tmp_path / "openapi.json"
    other.write_text(document.FILE.read_text().replace('"maxLength": 20000', '"maxLength": 4000'))

    checked = command("--check", "--file", str(other))
    command("--file", str(other))

    assert checked.returncode == 1
    assert "make openapi" in checked.stderr
    assert other.read_text() == document.FILE.read_text()
    assert command("--check", "--file", str(other)).returncode == 0


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "openapi", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_has_its_row_and_every_row_its_route(scene: Scene) -> None:
    routes = {
        (m, rule.replace("<", "{").replace(">", "}")) for m, rule, _ in scene.handler_module.ROUTES
    }

    assert {(each.method, each.path) for each in OPERATIONS} == routes


def test_every_way_in_of_the_template_has_its_row_and_every_row_its_way_in() -> None:
    events = [each["Properties"] for each in properties("ApiFunction")["Events"].values()]
    ways = {(each["Method"], each["Path"]) for each in events} - {("ANY", "$default")}

    assert {(each.method, each.path) for each in OPERATIONS} == ways


def test_every_code_is_promised_somewhere() -> None:
    codes = {problem.code for operation in OPERATIONS for problem in operation.problems}

    assert codes == {problem.code for problem in schemas.known_problems()} - NOWHERE


def test_nothing_is_declared_that_nobody_refers_to() -> None:
    text = json.dumps(DOCUMENT)

    for kind, named in DOCUMENT["components"].items():
        for name in named:
            referred = f'"#/components/{kind}/{name}"' in text
            assert referred or kind == "securitySchemes", (kind, name)


def test_links_lead_to_operations_and_name_all_that_their_paths_need() -> None:
    by_id = {operation.id: operation for operation in OPERATIONS}
    for operation in OPERATIONS:
        for answer in operation.successes:
            for target, given_ in (answer.links or {}).items():
                assert set(given_) == set(re.findall(r"{(\w+)}", by_id[target].path))


def examples() -> Iterator[Any]:
    """Every body that the document shows, with its schema and where it stands."""
    for where, content in _contents(DOCUMENT, ""):
        for name, shown in content.get("examples", {}).items():
            ref = shown.get("$ref", "").rpartition("/")[2]
            value = DOCUMENT["components"]["examples"][ref] if ref else shown
            yield pytest.param(value["value"], content["schema"], id=f"{where}:{name}")


def _contents(part: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        if "schema" in part and "examples" in part:
            yield where, part
        for name, each in part.items():
            yield from _contents(each, f"{where}/{name}")


@pytest.mark.parametrize(("shown", "schema"), list(examples()))
def test_every_example_is_as_its_schema_says(shown: Any, schema: dict[str, Any]) -> None:
    assert wrong(shown, schema) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_every_body_has_an_example(operation: Operation) -> None:
    said = declared(operation)
    answers = [each.get("content", {}) for each in said["responses"].values()]
    for content in [*answers, said.get("requestBody", {}).get("content", {})]:
        for each in content.values():
            assert each.get("examples") or operation.id == "readContract"


@pytest.mark.parametrize(
    "spoilt",
    [{"status": "done"}, {"task_id": "x"}, {"created_at": "today"}, {"surprise": 1}],
    ids=str,
)
def test_the_schemas_can_be_failed(spoilt: dict[str, Any]) -> None:
    good: dict[str, Any] = dict(
        task_body(task(state="running"), public_base_url="https://img.example")
    )

    assert wrong(good, {"$ref": "#/components/schemas/Task"}) == []
    assert wrong(good | spoilt, {"$ref": "#/components/schemas/Task"}) != []


# Orders: the schema is as strict as the validation

URLS = ["https://example.com/a.png", f"upload://{'a' * 26}", "http://a.example/x", "upload://x", ""]
INPUTS = st.fixed_dictionaries(
    {"prompt": st.sampled_from(["a boat", "", " \n", "x" * 20_000, "x" * 20_001, 7, None])},
    optional={
        "quality": st.sampled_from(["low", "medium", "high", "ultra", "LOW", None, 1]),
        "size": st.sampled_from(
            ["auto", "1:1", "21:9", "7:5", "1024x1024", "64x", "AUTO", "", None, 3]
        ),
        "resolution": st.sampled_from(["1K", "2K", "4K", "8K", None]),
        "image_urls": st.lists(st.sampled_from(URLS), max_size=2) | st.just([URLS[0]] * 17),
        "aspect_ratio": st.just("1:1"),
    },
)
BODIES = st.fixed_dictionaries(
    {
        "model": st.sampled_from([*models.MODELS, *models.MODELS, "gpt-image-1", None]),
        "input": INPUTS,
    },
    optional={
        "metadata": st.sampled_from(
            [{}, {"a": "b"}, {"": "b"}, {"a": 1}, {"a": "x" * 257}, {"k" * 65: "b"}, None]
        ),
        "max_credits": st.sampled_from([1000, 64.16, 0, -1, "9", None]),
        "callback_url": st.sampled_from([None, "https://a.example/b", "ftp://a.example", 1]),
        "extra": st.just(1),
    },
)


def taken(body: object) -> bool:
    try:
        order_request.parse(json.dumps(body).encode())
    except InvalidOrder:
        return False
    return True


@settings(
    max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(BODIES)
def test_the_schema_takes_exactly_the_orders_that_the_validation_takes(
    body: dict[str, Any],
) -> None:
    assume(body.get("callback_url") != "ftp://a.example")  # for a deployment to judge, not to parse
    known = wrong(body, {"$ref": "#/components/schemas/TaskRequest"}) == []

    assert known is taken(body), body


@pytest.mark.parametrize("model", models.MODELS)
def test_the_schema_takes_each_size_that_a_model_knows(model: str) -> None:
    rules, images = models.MODELS[model], {"image_urls": [URLS[0]]}
    for size in ["auto", *rules.ratios, "2048x1152"]:
        wish = {"prompt": PROMPT, "size": size, "resolution": "2K", **images}
        body = {"model": model, "input": wish}

        assert wrong(body, {"$ref": "#/components/schemas/TaskRequest"}) == []
        assert taken(body)


# Every answer that is promised is given, and no other


@dataclass
class Scene:
    """The API with everything that can happen to it, each way in as after a cold start."""

    cloud: Cloud
    doors: Mapping[str, ModuleType]
    orders: int = 0

    @property
    def handler_module(self) -> ModuleType:
        return self.doors["usual"]

    def fresh_key(self) -> str:
        self.orders += 1
        return f"key-{self.orders}"


@dataclass(frozen=True)
class Wish:
    """A request that the operation answers with success, to be spoilt."""

    operation: Operation
    path: str
    headers: dict[str, str] = field(default_factory=request_headers)
    body: object = None

    def sent(self, door: ModuleType) -> HandlerResponse:
        body = self.body if isinstance(self.body, str | None) else json.dumps(self.body)
        request = http_event(self.operation.method, self.path, headers=self.headers, body=body)
        request["queryStringParameters"] = dict(parse_qsl(request["rawQueryString"]))
        return invoke(door, request)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        cloud = stack.enter_context(aws())
        unkeyed = cloud.client("secretsmanager").create_secret(Name="empty", SecretString="[]")
        poyo = {"usual": ("200 OK", TAKEN), **REFUSALS}
        servers = {
            name: stack.enter_context(
                scripted_server(responding(status, json.dumps(said).encode()))
            ).url
            for name, (status, said) in poyo.items()
        }
        changed = {name: {"POYO_BASE_URL": url} for name, url in servers.items()} | {
            "no_table": {"TABLE_NAME": "elsewhere"},
            "no_secret": {"API_SECRET_ARN": "elsewhere"},
            "no_keys": {"API_SECRET_ARN": unkeyed["ARN"]},
        }
        doors = {
            name: stack.enter_context(
                load_handler("api", cloud, **{"POYO_BASE_URL": servers["usual"], **variables})
            )
            for name, variables in changed.items()
        }
        yield Scene(cloud, doors)


def usual(scene: Scene, operation: Operation) -> Wish:
    kept = task(state="finished", owner="owner", files=(KEPT,), file_url_key="k", owner_key="owner")
    TestEnvironment(scene.cloud).put(kept)
    mac = task_body(kept, public_base_url="")["files"][0]["file_url"].rpartition("/")[2]
    parts = {"task_id": kept.task_id, "n": "0", "mac": mac, "model": "gpt-image-2"}
    body: object = {"content_type": "image/png"} if operation.id == "createUpload" else ORDER
    headers = {} if operation.public else request_headers()
    if {"key", "optional_key"} & set(operation.parameters):
        headers["idempotency-key"] = scene.fresh_key()
    path = operation.path.format(**parts)
    return Wish(operation, path, headers, body if operation.request_model else None)


def spoilt(**changes: Any) -> Callable[[Scene, Wish], list[HandlerResponse]]:
    """The request with something changed, sent to the usual door or another one."""
    name = changes.pop("door", "usual")

    def send(scene: Scene, wish: Wish) -> list[HandlerResponse]:
        made = {key: each(wish) for key, each in changes.items()}
        scene.cloud.client("dynamodb").delete_item(  # no breaker: each refusal is the first one
            TableName=scene.cloud.table_name, Key={"pk": {"S": WINDOW_PK}}
        )
        return [replace(wish, **made).sent(scene.doors[name])]

    return send


def without(header: str) -> Callable[[Wish], dict[str, str]]:
    return lambda wish: {k: v for k, v in wish.headers.items() if k != header}


def having(**headers: str) -> Callable[[Wish], dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda wish: wish.headers | named


def ordered_before(
    scene: Scene, wish: Wish, then: Callable[[Wish, str], list[HandlerResponse]]
) -> list[HandlerResponse]:
    """`then` with a key under which something was ordered; nothing where nothing is ordered."""
    if "idempotency-key" not in wish.headers:
        return []
    assert wish.sent(scene.handler_module).status in (200, 202)
    return then(wish, derive_task_id("owner", wish.headers["idempotency-key"]))


def reused(scene: Scene, wish: Wish) -> list[HandlerResponse]:
    other = {**ORDER, "input": {"prompt": "another"}}
    return ordered_before(
        scene, wish, lambda w, _: [replace(w, body=other).sent(scene.handler_module)]
    )


def deleted(scene: Scene, wish: Wish) -> list[HandlerResponse]:
    def again(wish: Wish, task_id: str) -> list[HandlerResponse]:
        path = f"/v1/tasks/{task_id}"
        assert (
            invoke(
                scene.handler_module, http_event("DELETE", path, headers=request_headers())
            ).status
            == 204
        )
        return [wish.sent(scene.handler_module)]

    return ordered_before(scene, wish, again)


def replayed(scene: Scene, wish: Wish) -> list[HandlerResponse]:
    return ordered_before(scene, wish, lambda w, _: [w.sent(scene.handler_module)])


def known(scene: Scene, wish: Wish) -> list[HandlerResponse]:
    etag = wish.sent(scene.handler_module).headers.get("etag", '"none"')
    return [
        replace(wish, headers=wish.headers | {"if-none-match": etag}).sent(scene.handler_module)
    ]


def named(part: str, value: str) -> Callable[[Wish], str]:
    """The path with another value in that place, the same path where it has no such part."""

    def path(wish: Wish) -> str:
        ours, given_ = wish.operation.path.split("/"), wish.path.split("/")
        pairs = zip(ours, given_, strict=True)
        return "/".join(value if mine == f"{{{part}}}" else there for mine, there in pairs)

    return path


def odd(wish: Wish) -> str:
    """The path with a control character in every place that takes anything."""
    for part in re.findall(r"{(\w+)}", wish.operation.path):
        wish = replace(wish, path=named(part, "\x84")(wish))
    return wish.path


# Everything that can happen to a request, by the word for it.
HAPPENINGS: Mapping[str, Callable[[Scene, Wish], list[HandlerResponse]]] = {
    "as it should be": spoilt(),
    "the same again": replayed,
    "known already": known,
    "no key": spoilt(headers=without("authorization")),
    "another's key": spoilt(headers=having(authorization="Bearer wrong")),
    "an odd user": spoilt(headers=having(x_owner="not a name")),
    "a stranger": spoilt(headers=having(x_owner="somebody-else")),
    "an odd query": spoilt(path=lambda wish: f"{wish.path}?colour=red"),
    "no idempotency key": spoilt(headers=without("idempotency-key")),
    "an odd idempotency key": spoilt(headers=having(idempotency_key="a\tb")),
    "a foreign blank as idempotency key": spoilt(headers=having(idempotency_key="\x85")),
    "a reused idempotency key": reused,
    "the key of a deleted task": deleted,
    "no such task": spoilt(path=named("task_id", "a" * 26)),
    "no such file": spoilt(path=named("n", "7")),
    "a file number without end": spoilt(path=named("n", "9" * 5000)),
    "a forged link": spoilt(path=named("mac", "A" * 43)),
    "an odd address": spoilt(path=odd),
    "no such model": spoilt(path=named("model", "gpt-image-1")),
    "a model that is not known": spoilt(body=lambda wish: wish.body and {**ORDER, "model": "x"}),
    "no order": spoilt(body=lambda wish: wish.body and "[]"),
    "half an order": spoilt(body=lambda wish: wish.body and '{"model":'),
    "a long order": spoilt(body=lambda wish: wish.body and "x" * 300_000),
    "a callback to nowhere": spoilt(
        body=lambda wish: wish.body and {**ORDER, "callback_url": "http://10.0.0.1/"}
    ),
    "the table is away": spoilt(door="no_table"),
    "the secret is away": spoilt(door="no_secret"),
    "keys not in place": spoilt(door="no_keys"),
    **{f"PoYo says {name}": spoilt(door=name) for name in REFUSALS},
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_every_answer_that_is_promised_is_given_and_no_other(
    scene: Scene, operation: Operation
) -> None:
    given_: dict[str, set[str]] = {}
    for happening, make in HAPPENINGS.items():
        for answer in make(scene, usual(scene, operation)):
            codes = as_promised(operation, answer, happening)
            given_.setdefault(str(answer.status), set()).update(codes)

    promised = {status: _codes(each) for status, each in declared(operation)["responses"].items()}
    # A defect cannot be ordered; test_api has one, and any route but /health might have one.
    assert (promised.pop("500", None) is None) is (operation.id == "health")
    assert given_ == promised


def test_a_quote_is_refused_the_callback_that_an_order_is_refused(scene: Scene) -> None:
    nowhere = {**ORDER, "callback_url": "http://10.0.0.1/"}
    for operation in OPERATIONS:
        if operation.request_model is order_request.CreateTaskRequest:
            answer = replace(usual(scene, operation), body=nowhere).sent(scene.handler_module)
            assert answer.status in (400, 422), operation.id


def test_a_key_of_a_foreign_blank_is_a_wrong_one_and_not_none(scene: Scene) -> None:
    for operation in OPERATIONS:
        if {"key", "optional_key"} & set(operation.parameters):
            wish = usual(scene, operation)
            foreign = replace(wish, headers=wish.headers | {"idempotency-key": "\x85"})
            assert "has 1 to 255 printable ASCII" in foreign.sent(scene.handler_module).body, (
                operation.id
            )


def as_promised(operation: Operation, answer: HandlerResponse, about: str) -> set[str]:
    """The codes that an answer shows, once all of it is as declared."""
    responses = declared(operation)["responses"]
    assert str(answer.status) in responses, (about, answer)
    response = responses[str(answer.status)]
    for name, header in response.get("headers", {}).items():
        value = answer.headers.get(name.lower())
        assert value or not header.get("required"), (about, name)
        kind = int if header["schema"]["type"] == "integer" else str
        assert value is None or wrong(kind(value), header["schema"]) == [], (about, name)
    if not response.get("content"):
        assert answer.body == "", about
        return set()
    [(kind_, content)] = response["content"].items()
    assert answer.headers["content-type"] == kind_, about
    assert wrong(answer.json, content["schema"]) == [], (about, answer.body)
    if kind_ != "application/problem+json":
        return set()
    return {answer.json["code"]}


def _codes(response: Mapping[str, Any]) -> set[str]:
    problem = response.get("content", {}).get("application/problem+json", {})
    return set(problem.get("examples", ()))
