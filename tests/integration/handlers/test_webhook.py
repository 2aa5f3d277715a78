"""The callback's door: strangers get one answer and cost no call, PoYo is thanked whatever it says."""

from __future__ import annotations

import string
from collections.abc import Iterator
from types import ModuleType

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
from tests.fixtures import poyo_callbacks
from tests.support.environment import CALLBACK_KEY, Cloud, aws
from tests.support.lambdas import (
    HandlerResponse,
    captured_logs,
    http_event,
    invoke,
    load_handler,
    recorded_aws_calls,
)

TASK_ID = derive_task_id("owner", "key")
PATH = signed_urls.callback_path("k1", CALLBACK_KEY, TASK_ID)
MAC = PATH.rpartition("/")[2]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with aws() as made:
        yield made


@pytest.fixture(scope="module")
def door(cloud: Cloud) -> Iterator[ModuleType]:
    with load_handler("webhook", cloud) as made:
        made.keys.all()
        yield made


def clients(door: ModuleType) -> list[str]:
    return recorded_aws_calls(door.queue.client, door.keys.secret.client)


def nothing_here(answer: HandlerResponse) -> bool:
    """The one answer that strangers get."""
    return (
        answer.status == 404
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json["code"] == "not_found"
        and "task" not in answer.body
    )


@pytest.mark.parametrize("name", poyo_callbacks.CALLBACK_BODIES)
def test_every_body_at_the_right_url_is_thanked_and_rings_once(
    cloud: Cloud, door: ModuleType, name: str
) -> None:
    body, in_base64, poyo_id = poyo_callbacks.CALLBACK_BODIES[name]

    answer = invoke(door, http_event("POST", PATH, body=body, in_base64=in_base64))

    assert (answer.status, answer.json) == (200, {"ok": True})
    assert cloud.messages() == [{"task_id": TASK_ID, "source": "callback", "poyo_id": poyo_id}]


@pytest.mark.parametrize("body", ["not base64!", "é", "====", "A"])
def test_a_body_that_was_packed_wrongly_rings_all_the_same(
    cloud: Cloud, door: ModuleType, body: str
) -> None:
    request = http_event("POST", PATH) | {"body": body, "isBase64Encoded": True}

    assert invoke(door, request).status == 200
    assert len(cloud.messages()) == 1


def test_no_character_of_the_mac_can_be_another_and_no_try_costs_a_call(
    cloud: Cloud, door: ModuleType
) -> None:
    made = clients(door)
    for position, right in enumerate(MAC):
        for other in string.ascii_letters + string.digits + "-_":
            if other == right:
                continue
            forged = PATH[: -len(MAC)] + MAC[:position] + other + MAC[position + 1 :]
            if other in "aZ-" or position in (0, 42):
                assert nothing_here(invoke(door, http_event("POST", forged, body="{}")))

    assert made == []
    assert cloud.messages() == []


STRANGERS = {
    "another task": PATH.replace(TASK_ID, derive_task_id("owner", "other")),
    "another key's id": PATH.replace("/k1/", "/k2/"),
    "no key's id": PATH.replace("/k1/", "/unknown/"),
    "a setting's name": PATH.replace("/k1/", "/current/"),
    "no mac": PATH[: -len(MAC)],
    "a shorter mac": PATH[:-1],
    "a longer mac": PATH + "A",
    "a padded mac": PATH + "=",
    "upper case": PATH[: -len(MAC)] + MAC.upper(),
    "one more part": PATH + "/x",
    "a slash behind": PATH + "/",
    "another route": "/callbacks/poyo",
    "the root": "/",
    "dots": PATH.replace("/k1/", "/../k1/"),
    "escaped": PATH.replace("/k1/", "/%6b1/"),
    "white space": PATH + "%0a",
    "wide characters": PATH[: -len(MAC)] + "ü" * 43,
    "a very long mac": PATH[: -len(MAC)] + "A" * 8000,
}


@pytest.mark.parametrize("path", STRANGERS.values(), ids=STRANGERS)
def test_every_stranger_gets_the_same_answer_and_costs_no_call(
    cloud: Cloud, door: ModuleType, path: str
) -> None:
    made = clients(door)

    answer = invoke(door, http_event("POST", path, body='{"task_id":"X"}'))

    assert nothing_here(answer)
    assert answer.body == invoke(door, http_event("POST", "/nowhere", body="")).body
    assert made == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_only_a_post_rings(cloud: Cloud, door: ModuleType, method: str) -> None:
    assert nothing_here(invoke(door, http_event(method, PATH)))
    assert cloud.messages() == []


def test_a_flood_of_unknown_key_ids_costs_one_read_of_the_secret_a_minute(cloud: Cloud) -> None:
    with load_handler("webhook", cloud) as door:
        made = clients(door)
        for n in range(100):
            path = PATH.replace("/k1/", f"/k{n + 2}/")
            assert nothing_here(invoke(door, http_event("POST", path, body="{}")))

    assert made == ["Secrets Manager.GetSecretValue"]


def test_a_queue_that_is_away_is_told_to_poyo_so_that_it_rings_again(cloud: Cloud) -> None:
    away = "https://sqs.eu-west-1.amazonaws.com/123456789012/no-such-queue"
    with load_handler("webhook", cloud, QUEUE_URL=away) as door, captured_logs() as log:
        answer = invoke(door, http_event("POST", PATH, body="{}"))

    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "callback_not_enqueued" in log.getvalue()


def test_a_secret_that_is_away_is_told_to_poyo_so_that_it_rings_again(cloud: Cloud) -> None:
    with load_handler("webhook", cloud, CALLBACK_SECRET_ARN="no-such-secret") as door:
        answer = invoke(door, http_event("POST", PATH, body="{}"))

    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_log_line_tells_the_url_or_the_body(
    cloud: Cloud, door: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    body = '{"task_id":"ABC","prompt":"canary-prompt","files":[{"file_url":"https://canary"}]}'
    with captured_logs() as log:
        invoke(door, http_event("POST", PATH, body=body))
        invoke(door, http_event("POST", PATH[:-1], body=body))

    said = log.getvalue() + capsys.readouterr().out
    assert TASK_ID in said
    for canary in (MAC, CALLBACK_KEY, "canary", "/callbacks/"):
        assert canary not in said
