"""The API's door on API Gateway's own events: every route, every refusal, one kind of error."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

import problems
from imagetasks.errors import (
    ImageTasksError,
    QueueUnavailable,
    SecretInvalid,
    SecretUnavailable,
    StoreUnavailable,
)
from imagetasks.task import KeptFile, derive_task_id
from tests.doors import Answer, Context, bearer, called, calls, event, logged, opened
from tests.fakes import POYO_ID, POYO_KEY, PROMPT, task
from tests.origin import Behaviour, Origin, answering, closed_port, origin, raw, resetting
from tests.world import CALLBACK_KEY, SERVER_KEY, Cloud, World, aws

ORDER: dict[str, Any] = {"model": "gpt-image-2", "input": {"prompt": PROMPT}}
STRANGER_KEY = "another-server-key"
ACCEPTED = json.dumps({"code": 200, "data": {"task_id": POYO_ID}}).encode()
KEPT = KeptFile(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as made:
        yield made


@pytest.fixture
def poyo() -> Iterator[Origin]:
    with origin(answering("200 OK", ACCEPTED)) as server:
        yield server


@pytest.fixture
def door(cloud: Cloud, poyo: Origin) -> Iterator[ModuleType]:
    with opened("api", cloud, POYO_BASE_URL=poyo.url) as made:
        yield made


def create(
    door: ModuleType,
    body: object = ORDER,
    *,
    key: str = "key",
    server_key: str = SERVER_KEY,
    in_base64: bool = False,
) -> Answer:
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    headers = bearer(server_key, idempotency_key=key)
    request = event("POST", "/v1/tasks", headers=headers, body=content, in_base64=in_base64)
    return called(door, request)


def read(door: ModuleType, path: str, server_key: str = SERVER_KEY) -> Answer:
    return called(door, event("GET", path, headers=bearer(server_key)))


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The answer's body, once it is certain to be a problem as RFC 9457 has them."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    said: dict[str, Any] = answer.json
    assert (said["status"], said["code"], said["charged"]) == (status, code, False)
    assert said["title"]
    assert said["detail"]
    assert isinstance(said["retryable"], bool)
    assert ("retry-after" in answer.headers) is said["retryable"]
    return said


# Orders


def test_an_order_is_accepted_with_the_whole_task(door: ModuleType, poyo: Origin) -> None:
    answer = create(door, ORDER | {"metadata": {"album": "birds"}})

    task_id = derive_task_id("owner", "key")
    assert answer.status == 202
    assert answer.headers["location"] == f"/v1/tasks/{task_id}"
    assert answer.headers["content-type"] == "application/json"
    assert "retry-after" in answer.headers
    assert "idempotent-replayed" not in answer.headers
    shown = answer.json
    assert (shown["task_id"], shown["status"], shown["model"]) == (
        task_id,
        "running",
        "gpt-image-2",
    )
    assert shown["input"] == {
        "prompt": PROMPT,
        "quality": "low",
        "size": "auto",
        "resolution": "1K",
    }
    assert shown["metadata"] == {"album": "birds"}
    assert shown["credits"] == {"estimated": 2, "charged": None}
    assert (shown["files"], shown["error"], shown["finished_at"]) == ([], None, None)
    assert [line["event"] for line in shown["history"]] == ["accepted", "submitted"]
    assert len(poyo.requests) == 1
    assert f"Authorization: Bearer {POYO_KEY}".encode() in poyo.requests[0]


def test_the_same_request_again_is_a_replay_and_no_second_post(
    door: ModuleType, poyo: Origin
) -> None:
    first, again = create(door), create(door)

    assert (again.status, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json == first.json
    assert again.headers["location"] == first.headers["location"]
    assert len(poyo.requests) == 1


def test_a_replay_may_spell_its_body_differently(door: ModuleType) -> None:
    create(door)
    same = '{"input": {"size": "auto", "prompt": "%s"},\n "model": "gpt-image-2"}' % PROMPT  # noqa: UP031

    assert create(door, same).status == 200
    assert create(door, ORDER, in_base64=True).status == 200


def test_another_body_under_the_same_key_is_refused(door: ModuleType, poyo: Origin) -> None:
    create(door)

    problem(
        create(door, {"model": "gpt-image-2", "input": {"prompt": "x"}}),
        422,
        "idempotency_key_reused",
    )
    assert len(poyo.requests) == 1


@pytest.mark.parametrize("key", ["", "  ", "é", "x" * 256, "a\tb", "a\nb"])
def test_without_a_usable_idempotency_key_nothing_is_ordered(
    door: ModuleType, poyo: Origin, cloud: Cloud, key: str
) -> None:
    problem(create(door, key=key), 400, "idempotency_key_required")

    assert (poyo.requests, cloud.rows()) == ([], [])


def test_an_idempotency_key_may_be_long_and_odd(door: ModuleType) -> None:
    assert create(door, key="x" * 255).status == 202


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
    "callback_url": ({**ORDER, "callback_url": "https://evil.example"}, "/callback_url"),
    "too dear": ({**ORDER, "max_credits": 1.99}, "/max_credits"),
}


@pytest.mark.parametrize(("body", "pointer"), BAD.values(), ids=BAD)
def test_an_order_that_is_wrong_costs_nothing_and_points_at_why(
    door: ModuleType, poyo: Origin, cloud: Cloud, body: object, pointer: str
) -> None:
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    in_base64 = isinstance(body, bytes)

    said = problem(create(door, content, in_base64=in_base64), 422, "invalid_order")

    assert [each["pointer"] for each in said["errors"]] == [pointer]
    assert all(each["detail"] for each in said["errors"])
    assert (poyo.requests, cloud.rows()) == ([], [])


def test_a_body_that_was_packed_wrongly_is_no_order(door: ModuleType) -> None:
    headers = bearer(idempotency_key="key")
    for body in ("é", "not base64!"):
        request = event("POST", "/v1/tasks", headers=headers) | {
            "body": body,
            "isBase64Encoded": True,
        }
        problem(called(door, request), 422, "invalid_order")
    problem(called(door, event("POST", "/v1/tasks", headers=headers)), 422, "invalid_order")


def _poyo_says(status: str, code: int, message: str = "no", kind: str = "") -> Behaviour:
    body = {"code": code, "error": {"message": message, "type": kind}}
    return answering(status, json.dumps(body).encode())


# What PoYo did: its answer, then ours (status, code or shown status), then what a replay gets.
POST: dict[str, tuple[Behaviour | None, int, str]] = {
    "accepted": (answering("200 OK", ACCEPTED), 202, "running"),
    "accepted, unwrapped": (answering("200 OK", b'{"task_id":"ABC"}'), 202, "running"),
    "nobody there": (None, 202, "not_started"),
    "429": (_poyo_says("429 Slow", 429), 202, "not_started"),
    "429 on 200": (_poyo_says("200 OK", 429), 202, "not_started"),
    "400": (_poyo_says("400 Bad", 400), 422, "rejected"),
    "400 on 200": (_poyo_says("200 OK", 400), 422, "rejected"),
    "404": (_poyo_says("404 No", 404), 422, "rejected"),
    "413": (_poyo_says("413 Large", 413), 422, "rejected"),
    "422": (answering("422 No", b'{"detail":[]}'), 422, "rejected"),
    "moderated": (_poyo_says("400 Bad", 400, kind="content_moderation_error"), 422, "moderated"),
    "401": (_poyo_says("401 No", 401), 503, "unavailable"),
    "403": (_poyo_says("403 No", 403), 503, "unavailable"),
    "402": (_poyo_says("402 Pay", 402), 402, "insufficient_credits"),
    "408": (answering("408 Late"), 202, "not_started"),
    "500": (_poyo_says("500 Oh", 500), 202, "not_started"),
    "502 in html": (answering("502 Bad", b"<html>"), 202, "not_started"),
    "redirect": (answering("302 Found", Location="/elsewhere"), 202, "not_started"),
    "reset": (resetting(), 202, "not_started"),
    "closed": (raw(b""), 202, "not_started"),
    "garbage": (raw(b"\x00\xff\r\n\r\n"), 202, "not_started"),
    "no id": (answering("200 OK", b'{"code":200,"data":{}}'), 202, "not_started"),
    "html on 200": (answering("200 OK", b"<html>"), 202, "not_started"),
    "an unknown code": (_poyo_says("200 OK", 777), 202, "not_started"),
    "too long": (answering("200 OK", b" " * 70_000), 202, "not_started"),
}


@pytest.mark.parametrize(("behaviour", "status", "shown"), POST.values(), ids=POST)
def test_each_outcome_of_the_one_post_has_its_answer(
    cloud: Cloud, behaviour: Behaviour | None, status: int, shown: str
) -> None:
    with origin(behaviour or raw(b"")) as poyo:
        url = poyo.url if behaviour else f"http://127.0.0.1:{closed_port()}"
        with opened("api", cloud, POYO_BASE_URL=url) as door:
            first, again = create(door), create(door)
            kept = read(door, f"/v1/tasks/{derive_task_id('owner', 'key')}")

    assert len(poyo.requests) == (1 if behaviour else 0)
    assert kept.status == 200
    if status == 202:
        assert (first.status, first.json["status"]) == (202, shown)
        assert (again.status, again.json["status"]) == (200, shown)
        assert kept.json == first.json
    else:
        said = problem(first, status, shown)
        assert again.json == first.json
        assert said["task_id"] == kept.json["task_id"]
        assert kept.json["error"]["code"] == shown
        assert kept.json["status"] == "failed"


# Reading


def files_of(cloud: Cloud, count: int) -> str:
    """A finished task of `owner` with so many images."""
    files = tuple(replace(KEPT, key=f"images/t/{n}") for n in range(count))
    made = task(state="finished", files=files, poyo_id=POYO_ID, due_at=None, due_shard=None)
    return World(cloud).put(made).task_id


def test_a_task_is_read_as_it_stands_with_links_that_work(door: ModuleType, cloud: Cloud) -> None:
    task_id = files_of(cloud, 1)

    answer = read(door, f"/v1/tasks/{task_id}")

    assert answer.status == 200
    assert "retry-after" not in answer.headers
    [file] = answer.json["files"]
    assert file["file_url"] == f"https://img.example/v1/tasks/{task_id}/files/0"
    assert (file["width"], file["height"], file["bytes"], file["sha256"]) == (4, 3, 7, "a" * 64)


def test_a_file_is_found_by_a_fresh_link(door: ModuleType, cloud: Cloud) -> None:
    task_id = files_of(cloud, 2)

    for n in ("0", "1"):
        answer = read(door, f"/v1/tasks/{task_id}/files/{n}")
        assert (answer.status, answer.body) == (302, "")
        assert f"/images/t/{n}?" in answer.headers["location"]
        assert "X-Amz-Expires=300" in answer.headers["location"]
        assert "private" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "n", ["2", "-1", "00", "01", "00001", "00000", "0.0", "1e0", "٠", "²", "x", "0 ", "9" * 5000]
)
def test_a_number_that_names_no_file_finds_none(door: ModuleType, cloud: Cloud, n: str) -> None:
    answer = read(door, f"/v1/tasks/{files_of(cloud, 2)}/files/{n}")

    problem(answer, 404, "no_such_file")


def test_a_task_that_is_not_finished_has_no_file(door: ModuleType) -> None:
    task_id = create(door).json["task_id"]

    problem(read(door, f"/v1/tasks/{task_id}/files/0"), 404, "no_such_file")


ROUTES = ["/v1/tasks/{}", "/v1/tasks/{}/files/0", "/v1/tasks/{}/files/9"]


@pytest.mark.parametrize("route", ROUTES)
def test_another_owners_task_is_like_none_at_all(
    door: ModuleType, cloud: Cloud, route: str
) -> None:
    mine = read(door, route.format(files_of(cloud, 1)), STRANGER_KEY)
    none = read(door, route.format(derive_task_id("nobody", "key")), STRANGER_KEY)

    problem(mine, 404, "no_such_task")
    assert (mine.body, mine.headers) == (none.body, none.headers)


def test_another_owner_with_the_same_key_gets_a_task_of_its_own(door: ModuleType) -> None:
    mine, theirs = create(door), create(door, server_key=STRANGER_KEY)

    assert theirs.status == 202
    assert mine.json["task_id"] != theirs.json["task_id"]


@pytest.mark.parametrize(
    "task_id", ["x", "X" * 26, "x" * 5000, "%00", "poyo%23ABC", "account", "ü" * 26, "a" * 25, "-"]
)
def test_what_cannot_be_a_task_is_not_even_looked_for(door: ModuleType, task_id: str) -> None:
    made = calls(door.submitter.store.table.client)

    problem(read(door, f"/v1/tasks/{task_id}"), 404, "no_such_task")
    assert made == []


PRIVATE = [
    ("POST", "/v1/tasks"),
    ("GET", "/v1/tasks/zmvewbppcq6k6gyfeszyubcnqv"),
    ("GET", "/v1/tasks/zmvewbppcq6k6gyfeszyubcnqv/files/0"),
]


@pytest.mark.parametrize(
    "headers",
    [
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
        {"x-api-key": SERVER_KEY},
    ],
)
@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_a_stranger_gets_in_nowhere(
    door: ModuleType, poyo: Origin, method: str, path: str, headers: dict[str, str]
) -> None:
    made = calls(door.submitter.store.table.client, door.images.client)
    body = json.dumps(ORDER) if method == "POST" else None
    request = event(method, path, headers={"idempotency-key": "key"} | headers, body=body)

    answer = called(door, request)

    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (made, poyo.requests) == ([], [])


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_spelt_as_one_likes(door: ModuleType, scheme: str) -> None:
    headers = {"authorization": f"{scheme}  {SERVER_KEY} "}

    answer = called(door, event("GET", "/v1/tasks/zmvewbppcq6k6gyfeszyubcnqv", headers=headers))

    assert answer.status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("PUT", "/v1/tasks"),
        ("PATCH", "/v1/tasks/x"),
        ("POST", "/v1/tasks/x/files/0"),
        ("GET", "/v1/tasks/x/files"),
        ("GET", "/v1/tasks/x/files/0/y"),
        ("GET", "/V1/TASKS/x"),
        ("GET", "/.env"),
        ("POST", "/health"),
        ("HEAD", "/nothing"),
        ("OPTIONS", "/v1/tasks"),
        ("GET", "/v1/tasks/" + "x/" * 500),
        ("GET", "/" + "ü" * 100),
    ],
)
def test_an_unknown_address_gets_our_kind_of_error(
    door: ModuleType, method: str, path: str
) -> None:
    problem(called(door, event(method, path, headers=bearer())), 404, "no_such_route")


def test_health_asks_nobody(cloud: Cloud) -> None:
    with opened("api", cloud, API_SECRET_ARN="none", TABLE_NAME="none") as door:
        answer = called(door, event("GET", "/health"))

    assert (answer.status, answer.json) == (200, {"status": "ok"})


# Our own trouble


def test_a_table_that_is_away_is_worth_another_try(cloud: Cloud, poyo: Origin) -> None:
    with opened("api", cloud, TABLE_NAME="no-such-table", POYO_BASE_URL=poyo.url) as door:
        assert problem(create(door), 503, "unavailable")["retryable"]
        path = "/v1/tasks/zmvewbppcq6k6gyfeszyubcnqv"
        assert problem(read(door, path), 503, "unavailable")["retryable"]

    assert poyo.requests == []


def test_keys_that_are_missing_are_said_before_anything_is_written(
    cloud: Cloud, poyo: Origin
) -> None:
    secrets = cloud.client("secretsmanager")
    api = json.loads(secrets.get_secret_value(SecretId=cloud.api_secret)["SecretString"])
    text = json.dumps(api | {"poyo_api_key": ""})
    secrets.put_secret_value(SecretId=cloud.api_secret, SecretString=text)
    with opened("api", cloud, POYO_BASE_URL=poyo.url) as door:
        problem(create(door), 503, "not_configured")

    assert (poyo.requests, cloud.rows()) == ([], [])


def test_a_secret_that_is_away_is_worth_another_try(cloud: Cloud) -> None:
    with opened("api", cloud, API_SECRET_ARN="none") as door:
        assert problem(create(door), 503, "unavailable")["retryable"]


@pytest.mark.parametrize(
    "error", [StoreUnavailable, SecretUnavailable, SecretInvalid, QueueUnavailable, ImageTasksError]
)
def test_every_error_of_ours_is_worth_another_try(error: type[ImageTasksError]) -> None:
    assert problems.problem_of(error("x")).status == 503
    assert problems.problem_of(error("x")).retryable


@pytest.mark.parametrize(
    "variable",
    [
        "TABLE_NAME",
        "BUCKET_NAME",
        "QUEUE_URL",
        "API_SECRET_ARN",
        "CALLBACK_SECRET_ARN",
        "POYO_BASE_URL",
        "FIRST_LOOK_SECONDS",
    ],
)
def test_a_missing_variable_is_named_at_once(cloud: Cloud, variable: str) -> None:
    with pytest.raises(KeyError, match=variable), opened("api", cloud, without=variable):
        pass


def test_a_refusal_keeps_nothing_of_the_request_that_got_it(door: ModuleType) -> None:
    requests = [
        event("POST", "/v1/tasks", headers=bearer(), body="{}"),
        event("GET", "/v1/tasks/x", headers=bearer("wrong")),
        event("GET", f"/v1/tasks/{derive_task_id('nobody', 'key')}", headers=bearer()),
        event("GET", "/nowhere"),
    ]
    contexts = [Context() for _ in requests]
    kept = [weakref.ref(context) for context in contexts]
    for request in requests:
        door.handler(request, contexts.pop(0))
    read(door, "/health")
    gc.collect()

    assert [each() for each in kept] == [None] * len(kept)


def test_no_log_line_tells_a_secret(
    door: ModuleType, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    task_id = files_of(cloud, 1)
    with logged() as log:
        create(door, key="canary-idempotency")
        create(door, {"model": PROMPT, "input": {"prompt": PROMPT, PROMPT: PROMPT}}, key="other")
        create(door, f'{{"prompt": "{PROMPT}"', key="third")
        read(door, f"/v1/tasks/{task_id}/files/0")
        read(door, f"/v1/tasks/{task_id}/files/7", STRANGER_KEY)
        read(door, f"/v1/{PROMPT}")

    said = log.getvalue() + "".join(capsys.readouterr())
    for canary in (PROMPT, POYO_KEY, SERVER_KEY, STRANGER_KEY, CALLBACK_KEY, "https://", "X-Amz"):
        assert canary not in said


def test_an_error_that_nobody_foresaw_is_a_problem_too(door: ModuleType, cloud: Cloud) -> None:
    task_id = derive_task_id("owner", "spoilt")
    spoilt = {"pk": {"S": f"task#{task_id}"}, "state": {"S": "running"}}
    cloud.client("dynamodb").put_item(TableName=cloud.table_name, Item=spoilt)

    answer = read(door, f"/v1/tasks/{task_id}")

    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "internal"
    assert (answer.json["retryable"], answer.json["charged"]) == (True, None)
    assert "spoilt" not in answer.body
