"""Notifying the caller: each attempt is claimed, and six at most are made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from imagetasks.aws.task_queue import NotificationQueue
from imagetasks.errors import NotificationFailed, NotificationForbidden, QueueUnavailable
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage
from tests.support.environment import TestEnvironment, new_finishing_environment
from tests.support.fakes import (
    POYO_ID,
    START,
    status_response,
)
from tests.support.stored_tasks import (
    CALLER_URL,
    DAY_S,
    LIMITS,
    ReadingReceiver,
    is_at_rest,
    put_ended,
    put_running,
    sent_statuses,
)

WAITS_S = LIMITS.notification_waits_s
MAX_ATTEMPTS = len(WAITS_S) + 1
UNAVAILABLE = NotificationFailed("http_503")


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_finishing_environment() as environment:
        yield environment


def test_task_has_ended_in_the_table_before_its_caller_is_notified(env: TestEnvironment) -> None:
    before = put_running(env, notification_url=CALLER_URL)

    first = env.reconcile(before, source="callback")
    assert (first.state, first.notification_attempts, first.due_at) == ("finished", 0, env.time.now)
    assert env.notifications.sent == []
    after = env.reconcile(before, source="retry")

    [(url, body, _)] = env.notifications.sent
    assert url == CALLER_URL
    assert (body["task_id"], body["status"], body["credits_amount"]) == (
        before.task_id,
        "finished",
        5.0,
    )
    [file] = body["files"]
    path = signed_urls.file_path(before.file_url_key, before.task_id, 0)
    assert file["file_url"] == before.public_base_url + path
    assert is_at_rest(env, after)


def test_end_of_a_task_enqueues_its_notification(env: TestEnvironment) -> None:
    before = put_running(env, notification_url=CALLER_URL)

    after = env.reconcile(before, source="sweep")

    expected = {"task_id": before.task_id, "source": "retry", "poyo_id": None}
    assert env.cloud.messages() == [expected | {"due_since": after.due_at}]


def test_worker_only_forwards_a_notification(env: TestEnvironment) -> None:
    before = put_ended(env)

    env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="sweep"))

    assert [each.task_id for each in env.notification_queue.sent] == [before.task_id]
    assert env.notifications.sent == []
    assert env.read(before) == before


def test_notification_that_cannot_be_forwarded_fails_its_message(env: TestEnvironment) -> None:
    before = put_ended(env)
    missing = NotificationQueue(env.cloud.client("sqs"), env.cloud.queue_url + "-missing")

    with pytest.raises(QueueUnavailable):
        env.reconciler_with(notifications=missing).reconcile(
            TaskMessage(task_id=before.task_id, source="sweep")
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"notification_attempts": None, "next_notification_at": None},
        {"next_notification_at": START + 1},
        {"state": "running"},
        {"deleted_at": START, "notification_attempts": None},
    ],
    ids=["notified", "not due yet", "reopened", "deleted"],
)
def test_late_or_duplicate_notification_message_sends_nothing(
    env: TestEnvironment, changed: dict[str, Any]
) -> None:
    before = put_ended(env, **changed)

    env.notifier().notify(before.task_id)
    env.notifier().notify("a" * 26)

    assert env.notifications.sent == []
    assert env.read(before) == before


def test_attempt_is_claimed_before_it_is_sent(env: TestEnvironment) -> None:
    before = put_ended(env)
    env.notifications = ReadingReceiver(env)  # type: ignore[assignment]
    env.reconciler = env.reconciler_with()

    env.reconcile(before, source="retry")

    [seen] = env.notifications.seen  # type: ignore[attr-defined]
    assert (seen.notification_attempts, seen.next_notification_at) == (
        1,
        env.time.now + WAITS_S[0] * 1000,
    )
    assert env.is_due(seen) is False  # the notification has been sent by now
    assert seen.due_at is not None
    assert seen.due_at >= seen.next_notification_at


def test_worker_that_loses_the_claim_sends_nothing(env: TestEnvironment) -> None:
    before = put_ended(env)

    env.notifier().attempt(before)
    env.notifier().attempt(before)

    assert sent_statuses(env) == ["finished"]


def test_message_during_a_notification_sends_no_second_one(env: TestEnvironment) -> None:
    before = put_ended(env)
    receiver = ReadingReceiver(
        env, lambda: env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="retry"))
    )
    env.notifications = receiver  # type: ignore[assignment]
    env.reconciler = env.reconciler_with()

    after = env.reconcile(before, source="retry")

    assert len(receiver.seen) == 1
    assert is_at_rest(env, after)


@pytest.mark.parametrize("error", [UNAVAILABLE, NotificationForbidden("address_private")])
def test_unavailable_receiver_is_tried_six_times_and_then_abandoned(
    env: TestEnvironment, error: NotificationFailed
) -> None:
    env.notifications.respond_with(error)
    before = put_ended(env)
    attempted_at: list[int] = []

    for _ in range(2 * sum(WAITS_S) // 20):
        sent_before = len(env.notifications.sent)
        after = env.reconcile(before, source="sweep")
        if len(env.notifications.sent) > sent_before:
            attempted_at.append((env.time.now - START) // 1000)
        env.time.forward(20)

    assert len(attempted_at) == MAX_ATTEMPTS
    delays_s = [later - at for at, later in pairwise(attempted_at)]
    assert all(
        wait <= delay_s <= wait + 20 for wait, delay_s in zip(WAITS_S, delays_s, strict=True)
    )
    assert (after.state, after.files) == ("finished", before.files)
    assert is_at_rest(env, after)


def test_duplicate_messages_between_two_attempts_send_nothing(env: TestEnvironment) -> None:
    env.notifications.respond_with(UNAVAILABLE)
    before = put_ended(env)
    for _ in range(5):
        after = env.reconcile(before, source="retry")

    assert len(env.notifications.sent) == 1
    assert (after.notification_attempts, after.next_notification_at) == (
        1,
        START + WAITS_S[0] * 1000,
    )
    assert env.is_due(after)


def test_recovered_receiver_is_notified_once_and_never_again(env: TestEnvironment) -> None:
    env.notifications.respond_with(UNAVAILABLE, UNAVAILABLE, None)
    before = put_ended(env)
    for wait_s in (*WAITS_S, DAY_S):
        after = env.reconcile(before, source="sweep")
        env.time.forward(wait_s)

    assert len(env.notifications.sent) == 3
    assert is_at_rest(env, after)


def test_sixth_attempt_is_the_last_even_if_its_worker_crashed(env: TestEnvironment) -> None:
    before = put_ended(env, notification_attempts=MAX_ATTEMPTS)

    after = env.reconcile(before)

    assert env.notifications.sent == []
    assert is_at_rest(env, after)


def test_callback_of_poyo_sends_no_notification(env: TestEnvironment) -> None:
    before = put_ended(env)

    after = env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert env.notifications.sent == []
    assert after == before


def test_reopened_task_is_not_notified_while_it_runs(env: TestEnvironment) -> None:
    before = put_running(
        env, notification_url=CALLER_URL, notification_attempts=2, next_notification_at=START
    )
    env.fake_poyo.respond_with("GET", status_response("running"))

    env.reconcile(before, source="sweep")

    assert env.notifications.sent == []


def test_unconfirmed_task_leaves_the_due_index_after_its_notification(env: TestEnvironment) -> None:
    before = put_ended(env, state="failed", reason="unconfirmed", poyo_id=None)

    after = env.reconcile(before, source="retry")

    assert sent_statuses(env) == ["failed"]
    assert is_at_rest(env, after)


def test_recoverable_failure_with_a_poyo_id_is_polled_after_its_notification(
    env: TestEnvironment,
) -> None:
    before = put_ended(env, state="failed", reason="result_expired")

    after = env.reconcile(before, source="retry")
    assert (after.notification_attempts, after.due_at) == (None, env.time.now)

    assert env.reconcile(before, source="sweep").state == "finished"


def test_poll_without_a_result_keeps_the_pending_notification_due(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", status_response("failed"))
    later = START + 60_000
    before = put_ended(
        env, state="failed", reason="timed_out", notification_attempts=1, next_notification_at=later
    )

    env.reconcile(before, source="sweep")
    env.time.forward(LIMITS.failure_confirm_s)
    after = env.reconcile(before, source="retry")

    assert (after.notification_attempts, after.due_at) == (1, later)
