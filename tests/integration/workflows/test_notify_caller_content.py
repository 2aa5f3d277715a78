"""Which ends are notified, what a notification contains and how it is signed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from imagetasks.aws.secrets import ApiKeys, CachedSecret
from imagetasks.errors import NotificationFailed, SecretUnavailable
from imagetasks.poyo.signature import compute
from imagetasks.poyo.transport import HttpResponse
from tests.support.environment import (
    TestEnvironment,
    new_finishing_environment,
    order,
)
from tests.support.fakes import (
    POYO_KEY,
    PROMPT,
    START,
    FakeSecretsClient,
    client_error,
    finished_response,
    status_response,
    task,
)
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import (
    CALLER_URL,
    DAY_S,
    LIMITS,
    is_at_rest,
    put_ended,
    put_running,
    sent_statuses,
)

WAITS_S = LIMITS.notification_waits_s
UNAVAILABLE = NotificationFailed("http_503")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_finishing_environment() as environment:
        yield environment


def test_notification_of_a_failure_does_not_contain_poyos_message(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", status_response("failed", error_message=f"no {PROMPT}"))
    before = put_running(env, notification_url=CALLER_URL, failure_seen_at=START - DAY_S * 1000)
    env.reconcile(before)
    env.reconcile(before, source="retry")

    [(_, body, _)] = env.notifications.sent
    assert (body["status"], body["files"]) == ("failed", [])
    assert PROMPT not in json.dumps(body)


def test_recoverable_failure_and_its_late_finish_are_both_notified(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", status_response("running"))
    before = put_running(env, notification_url=CALLER_URL)
    env.time.forward(DAY_S)
    assert env.reconcile(before).reason == "timed_out"
    env.notifications.respond_with(UNAVAILABLE, None)
    env.reconcile(before, source="retry")
    env.time.forward(WAITS_S[0])
    env.reconcile(before, source="retry")
    env.fake_poyo.respond_with("GET", finished_response())

    late = env.reconcile(before, source="callback")
    assert (late.state, late.notification_attempts) == ("finished", 0)
    after = env.reconcile(before, source="retry")

    assert sent_statuses(env) == ["failed", "failed", "finished"]
    assert is_at_rest(env, after)


SIGNING_KEYS = {"owner": "canary-notify-key", "other": ""}
SIGNED_OWNERS = [("owner", True), ("owner/user", True), ("other", False), ("other/owner", False)]


@pytest.mark.parametrize(("owner", "signed"), [*SIGNED_OWNERS, ("unknown", False)])
def test_notification_is_signed_exactly_when_the_server_key_has_a_signing_key(
    env: TestEnvironment, owner: str, signed: bool
) -> None:
    secret = json.dumps({"poyo_api_key": POYO_KEY, "notification_signing_keys": SIGNING_KEYS})
    env.cloud.client("secretsmanager").put_secret_value(
        SecretId=env.cloud.api_secret, SecretString=secret
    )
    before = put_ended(env, owner=owner, owner_key=owner)

    env.reconcile(before, source="retry")

    [(_, _, headers)] = env.notifications.sent
    timestamp = str(env.time.now // 1000)
    signature_headers = {
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": compute(SIGNING_KEYS["owner"], before.task_id, timestamp),
    }
    assert {k: v for k, v in headers.items() if k.startswith("X-")} == (
        signature_headers if signed else {}
    )


def test_failure_in_the_response_to_the_order_is_not_notified(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", HttpResponse(402, b"{}"))

    rejected = env.submitter.submit(order(notification_url=CALLER_URL)).task

    assert (rejected.state, rejected.notification_attempts) == ("failed", None)
    assert is_at_rest(env, rejected)


def test_rejection_of_a_later_attempt_is_notified(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", HttpResponse(402, b"{}"))
    before = env.put(task(state="pending", not_before=START, notification_url=CALLER_URL))

    rejected = env.reconcile(before)
    assert (rejected.state, rejected.notification_attempts) == ("failed", 0)
    env.reconcile(before, source="sweep")

    assert sent_statuses(env) == ["failed"]


def test_no_log_line_contains_the_callers_url(
    env: TestEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    env.notifications.respond_with(NotificationFailed("http_503", CALLER_URL))
    before = put_ended(env)
    with captured_logs() as log:
        env.reconcile(before, source="retry")

    output = log.getvalue() + capsys.readouterr().out
    assert "notification_failed" in output
    assert "canary" not in output


def test_secret_that_cannot_be_read_uses_up_no_attempt(env: TestEnvironment) -> None:
    """Else an hour without Secrets Manager would abandon notifications that were never sent."""
    before = put_ended(env)
    unreadable = CachedSecret(
        cast(Any, FakeSecretsClient(client_error("InternalServiceError", 500))), "api"
    )
    notifier = replace(env.notifier(), keys=ApiKeys(unreadable))

    for wait_s in (*LIMITS.notification_waits_s, 0):
        with pytest.raises(SecretUnavailable):
            notifier.notify(before.task_id)
        env.time.forward(wait_s)

    assert env.read(before) == before
    env.notifier().notify(before.task_id)
    assert sent_statuses(env) == ["finished"]
