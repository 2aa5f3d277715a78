"""The webhook: PoYo's callbacks get 200 for any body, unauthenticated callers get 404 and cost no AWS call."""

from __future__ import annotations

import string
from collections.abc import Iterator
from types import ModuleType

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
from tests.fixtures import poyo_callbacks
from tests.support.aws_over_http import AwsServer, loaded_webhook
from tests.support.emulated_aws import CALLBACK_KEY, Cloud, aws
from tests.support.lambdas import (
    HandlerResponse,
    captured_logs,
    http_event,
    invoke,
)

TASK_ID = derive_task_id("owner", "key")
PATH = signed_urls.callback_path("k1", CALLBACK_KEY, TASK_ID)
TOKEN = PATH.rpartition("/")[2]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def loaded(cloud: Cloud) -> Iterator[tuple[ModuleType, AwsServer]]:
    with loaded_webhook(cloud) as loaded:
        loaded[0].keys.all()  # so that later reads of the secret are for unknown keys
        yield loaded


@pytest.fixture
def webhook(loaded: tuple[ModuleType, AwsServer]) -> ModuleType:
    return loaded[0]


@pytest.fixture
def calls(loaded: tuple[ModuleType, AwsServer]) -> list[str]:
    """The operations of AWS that the webhook calls during the test."""
    loaded[1].calls.clear()
    return loaded[1].calls


def is_not_found(response: HandlerResponse) -> bool:
    """Whether it is the one response that every unauthenticated caller gets."""
    return (
        response.status == 404
        and response.headers["content-type"] == "application/problem+json"
        and response.json["code"] == "not_found"
        and "task" not in response.body
    )


@pytest.mark.parametrize("name", poyo_callbacks.CALLBACK_BODIES)
def test_valid_url_gets_200_and_enqueues_one_message_for_any_body(
    cloud: Cloud, webhook: ModuleType, name: str
) -> None:
    body, in_base64, poyo_id = poyo_callbacks.CALLBACK_BODIES[name]

    response = invoke(webhook, http_event("POST", PATH, body=body, in_base64=in_base64))

    assert (response.status, response.json) == (200, {"ok": True})
    assert cloud.messages() == [
        {"task_id": TASK_ID, "source": "callback", "poyo_id": poyo_id, "due_since": None}
    ]


@pytest.mark.parametrize("body", ["not base64!", "é", "====", "A"])
def test_invalid_base64_body_enqueues_a_message_all_the_same(
    cloud: Cloud, webhook: ModuleType, body: str
) -> None:
    request = http_event("POST", PATH) | {"body": body, "isBase64Encoded": True}

    assert invoke(webhook, request).status == 200
    assert len(cloud.messages()) == 1


def test_token_with_one_changed_character_is_not_found_and_costs_no_aws_call(
    cloud: Cloud, webhook: ModuleType, calls: list[str]
) -> None:
    for position, valid in enumerate(TOKEN):
        for other in string.ascii_letters + string.digits + "-_":
            if other == valid:
                continue
            forged = PATH[: -len(TOKEN)] + TOKEN[:position] + other + TOKEN[position + 1 :]
            if other in "aZ-" or position in (0, 42):
                assert is_not_found(invoke(webhook, http_event("POST", forged, body="{}")))

    assert calls == []
    assert cloud.messages() == []


INVALID_PATHS = {
    "another task": PATH.replace(TASK_ID, derive_task_id("owner", "other")),
    "id of another key": PATH.replace("/k1/", "/k2/"),
    "id of no key": PATH.replace("/k1/", "/unknown/"),
    "name of a setting": PATH.replace("/k1/", "/current/"),
    "no token": PATH[: -len(TOKEN)],
    "a shorter token": PATH[:-1],
    "a longer token": PATH + "A",
    "a padded token": PATH + "=",
    "upper case": PATH[: -len(TOKEN)] + TOKEN.upper(),
    "one more segment": PATH + "/x",
    "a trailing slash": PATH + "/",
    "another route": "/callbacks/poyo",
    "the root": "/",
    "dots": PATH.replace("/k1/", "/../k1/"),
    "an escaped slash": PATH.replace("/k1/", "/k1%2f/"),
    "white space": PATH + "%0a",
    "not ASCII": PATH[: -len(TOKEN)] + "ü" * 43,
    "a very long token": PATH[: -len(TOKEN)] + "A" * 8000,
}


@pytest.mark.parametrize("path", INVALID_PATHS.values(), ids=INVALID_PATHS)
def test_every_invalid_path_gets_the_same_response_and_costs_no_aws_call(
    cloud: Cloud, webhook: ModuleType, calls: list[str], path: str
) -> None:
    response = invoke(webhook, http_event("POST", path, body='{"task_id":"X"}'))

    assert is_not_found(response)
    assert response.body == invoke(webhook, http_event("POST", "/nowhere", body="")).body
    assert calls == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_no_method_but_post_enqueues_a_message(
    cloud: Cloud, webhook: ModuleType, method: str
) -> None:
    assert is_not_found(invoke(webhook, http_event(method, PATH)))
    assert cloud.messages() == []


def test_many_unknown_key_ids_cost_one_read_of_the_secret_a_minute(cloud: Cloud) -> None:
    with loaded_webhook(cloud) as (webhook, server):
        for n in range(100):
            path = PATH.replace("/k1/", f"/k{n + 2}/")
            assert is_not_found(invoke(webhook, http_event("POST", path, body="{}")))

        assert server.calls == ["GetSecretValue"]


def test_unavailable_queue_gets_503_so_that_poyo_calls_again(cloud: Cloud) -> None:
    missing = "https://sqs.eu-west-1.amazonaws.com/123456789012/no-such-queue"
    with loaded_webhook(cloud, QUEUE_URL=missing) as (webhook, _), captured_logs() as log:
        response = invoke(webhook, http_event("POST", PATH, body="{}"))

    assert response.status == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert "callback_not_enqueued" in log.getvalue()


def test_unavailable_secret_gets_503_so_that_poyo_calls_again(cloud: Cloud) -> None:
    with loaded_webhook(cloud, CALLBACK_SECRET_ARN="no-such-secret") as (webhook, _):
        response = invoke(webhook, http_event("POST", PATH, body="{}"))

    assert response.status == 503
    assert response.headers["content-type"] == "application/problem+json"


def test_logs_contain_neither_the_url_nor_the_body(
    cloud: Cloud, webhook: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    body = '{"task_id":"ABC","prompt":"canary-prompt","files":[{"file_url":"https://canary"}]}'
    with captured_logs() as log:
        invoke(webhook, http_event("POST", PATH, body=body))
        invoke(webhook, http_event("POST", PATH[:-1], body=body))

    logs = log.getvalue() + capsys.readouterr().out
    assert TASK_ID in logs
    for canary in (TOKEN, CALLBACK_KEY, "canary", "/callbacks/"):
        assert canary not in logs
