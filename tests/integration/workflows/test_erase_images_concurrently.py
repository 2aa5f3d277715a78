"""Deleting a task while it is submitted, polled, copied or notified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal

import pytest

from imagetasks.outbound.download import DownloadedImage
from imagetasks.poyo.rate_limit import Slot
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from tests.support.environment import (
    TestEnvironment,
    new_finishing_environment,
    order,
)
from tests.support.fakes import (
    POYO_ID,
    PROMPT,
    START,
    finished_response,
    poyo_response,
    status_response,
    submit_response,
    task,
)
from tests.support.stored_tasks import (
    CALLER_URL,
    ReadingReceiver,
    check_tombstone,
    owner_tasks,
    put_ended,
    put_running,
    reconcile_until_at_rest,
    stored_images,
)


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_finishing_environment() as environment:
        yield environment


class DeletingDownloader:
    """A downloader that deletes the task and erases its images during the download."""

    def __init__(self, env: TestEnvironment, before: Task) -> None:
        self._env = env
        self._before = before

    def fetch(self, url: str, *, within_s: float) -> AbstractContextManager[DownloadedImage]:
        @contextmanager
        def fetching() -> Iterator[DownloadedImage]:
            with self._env.file_host.fetch(url, within_s=within_s) as download:
                owner_tasks(self._env).delete("owner", self._before.task_id)
                self._env.reconcile(self._before, source="delete")
                self._env.reconcile(self._before, source="retry")
                yield download

        return fetching()


def test_image_that_is_copied_during_the_deletion_is_erased(env: TestEnvironment) -> None:
    before = put_running(env, notification_url=CALLER_URL)
    copying = env.reconciler_with(downloader=DeletingDownloader(env, before))

    copying.reconcile(TaskMessage(task_id=before.task_id, source="callback"))

    current = env.read(before)
    assert (current.state, current.files) == ("finished", ())
    assert stored_images(env) == [f"images/{before.task_id}/0"]  # stored after the first erasure
    after = reconcile_until_at_rest(env, before)
    check_tombstone(env, after)
    assert after.charged_credits == Decimal(5)


def test_task_that_is_deleted_during_a_poll_stays_deleted(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    before = put_running(env, notification_url=CALLER_URL)

    def delete_and_respond() -> HttpResponse:
        owner_tasks(env).delete("owner", before.task_id)
        return status_response("failed", error_message=f"{PROMPT} is not nice")

    env.fake_poyo.respond_with("GET", delete_and_respond, status_response("failed"))
    env.reconcile(before)

    assert env.read(before).state == "running"  # the poll had read the task before its deletion
    check_tombstone(env, reconcile_until_at_rest(env, before))


def test_pending_order_that_is_deleted_before_its_retry_is_never_submitted(
    env: TestEnvironment,
) -> None:
    class DeletingSubmitter:
        def require_credentials(self) -> None:
            owner_tasks(env).delete("owner", before.task_id)

        def acquire_slot(self, task: Task) -> Slot:
            return env.submitter.acquire_slot(task)

        submit_to_poyo = env.submitter.submit_to_poyo

    before = env.put(task(state="pending", not_before=START))
    env.reconciler_with(submitter=DeletingSubmitter()).reconcile(
        TaskMessage(task_id=before.task_id, source="retry")
    )

    after = reconcile_until_at_rest(env, before)

    assert env.fake_poyo.request_count("POST") == 0
    assert (after.state, after.reason, after.attempt) == ("failed", "unavailable", 1)
    check_tombstone(env, after)


def error_response(status: int) -> HttpResponse:
    message = f"Your prompt was flagged: {PROMPT}"
    return poyo_response({"code": status, "error": {"message": message, "type": "x"}}, status)


SUBMIT_OUTCOMES: dict[str, tuple[HttpResponse, str, str | None]] = {
    "accepted": (submit_response(), "finished", None),
    "rejected": (error_response(400), "failed", "rejected"),
    "no credits": (error_response(402), "failed", "insufficient_credits"),
    "rate limited": (error_response(429), "failed", "unavailable"),
    "unknown": (error_response(500), "failed", "unconfirmed"),
}


@pytest.mark.parametrize(
    ("response", "state", "reason"), SUBMIT_OUTCOMES.values(), ids=SUBMIT_OUTCOMES
)
def test_order_can_be_deleted_during_its_submission(
    env: TestEnvironment, response: HttpResponse, state: str, reason: str | None
) -> None:
    placed = order(notification_url=CALLER_URL)

    def delete_and_respond() -> HttpResponse:
        owner_tasks(env).delete("owner", task().task_id)
        return response

    env.fake_poyo.respond_with("POST", delete_and_respond)
    current = env.submitter.submit(placed).task

    assert PROMPT not in json.dumps(env.table.get(f"task#{current.task_id}"), default=str)
    after = reconcile_until_at_rest(env, current)
    check_tombstone(env, after)
    assert (after.state, after.reason) == (state, reason)
    assert env.fake_poyo.request_count("POST") == 1
    assert env.notifications.sent == []


def test_candidate_is_confirmed_although_the_task_is_deleted_meanwhile(
    env: TestEnvironment,
) -> None:
    before = env.put(task(state="unknown"))

    def delete_and_respond() -> HttpResponse:
        owner_tasks(env).delete("owner", before.task_id)
        return finished_response()

    env.fake_poyo.respond_with("GET", delete_and_respond, finished_response(credits_amount=5.0))
    env.reconcile(before, source="callback", poyo_id=POYO_ID)

    after = reconcile_until_at_rest(env, before)
    check_tombstone(env, after)
    assert (after.state, after.poyo_id, after.charged_credits) == ("finished", POYO_ID, Decimal(5))


def test_notification_during_the_deletion_is_not_repeated(env: TestEnvironment) -> None:
    before = put_ended(env)
    receiver = ReadingReceiver(env, lambda: owner_tasks(env).delete("owner", before.task_id))
    env.notifications = receiver  # type: ignore[assignment]
    env.reconciler = env.reconciler_with()

    env.reconcile(before, source="retry")

    check_tombstone(env, reconcile_until_at_rest(env, before))
    assert len(receiver.seen) == 1
