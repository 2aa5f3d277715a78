"""Copying images of a finished task into our bucket: what is stored, and what follows a failed copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

import pytest

from imagetasks.errors import (
    DownloadFailed,
    DownloadForbidden,
    NotAnImage,
)
from imagetasks.tasks.message import TaskMessage
from tests.fixtures.images import HEIGHT, WIDTH, jpeg, png
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import (
    FILE_URL,
    POYO_ID,
    START,
    client_error,
    finished_response,
    status_response,
)
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import DAY_S, LIMITS, put_failed, put_running, seconds_until_due


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        yield environment


def test_task_finishes_only_after_its_image_is_in_our_bucket(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=5.0))
    before = put_running(env)

    after = env.reconcile(before, source="callback")

    content = png()
    [image] = after.files
    stored = env.cloud.client("s3").get_object(Bucket=env.cloud.bucket, Key=image.key)
    assert stored["Body"].read() == content
    assert (image.sha256, image.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (image.width, image.height, image.content_type) == (WIDTH, HEIGHT, "image/png")
    assert (after.state, after.charged_credits, after.progress) == (
        "finished",
        Decimal(5),
        Decimal(100),
    )
    assert after.finished_at == env.time.now
    assert not env.is_due(after)
    assert env.file_host.fetched == [FILE_URL]


def test_every_image_of_a_task_is_stored(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with(
        "GET", finished_response("https://a.poyo.ai/1", "https://a.poyo.ai/2")
    )
    env.file_host.respond_with(png(), jpeg())

    after = env.reconcile(put_running(env))

    assert [image.content_type for image in after.files] == ["image/png", "image/jpeg"]
    assert len({image.key for image in after.files}) == 2


def test_file_that_is_no_image_does_not_spoil_the_others(env: TestEnvironment) -> None:
    urls = [f"https://a.poyo.ai/{n}" for n in range(3)]
    env.fake_poyo.respond_with("GET", finished_response(*urls))
    env.file_host.respond_with(png(), NotAnImage("not_an_image"), jpeg())
    quick_retries = len(LIMITS.fast_retry_s)

    with captured_logs() as log:
        after = env.reconcile(put_running(env, copy_attempts=quick_retries))

    assert after.state == "finished"
    assert [image.content_type for image in after.files] == ["image/png", "image/jpeg"]
    assert [image.number for image in after.files] == [0, 2]
    assert "files_left_out" in log.getvalue()


def test_ordered_image_is_left_out_only_when_a_single_one_would_be_given_up(
    env: TestEnvironment,
) -> None:
    urls = [f"https://a.poyo.ai/{n}" for n in range(2)]
    env.fake_poyo.respond_with("GET", finished_response(*urls))
    before = put_running(env, input={"prompt": "x", "n": 2}, copy_attempts=50)

    env.file_host.respond_with(png(), NotAnImage("not_an_image"))
    waiting = env.reconcile(before)
    assert (waiting.state, waiting.files) == ("running", ())

    env.time.forward(LIMITS.file_gone_after_s + 1)
    env.file_host.respond_with(NotAnImage("not_an_image"))
    after = env.reconcile(waiting)
    assert (after.state, len(after.files)) == ("finished", 1)


def test_ordered_image_that_comes_late_is_kept(env: TestEnvironment) -> None:
    urls = [f"https://a.poyo.ai/{n}" for n in range(2)]
    env.fake_poyo.respond_with("GET", finished_response(*urls))
    before = put_running(env, defaults={"n": 2}, copy_attempts=50)

    env.file_host.respond_with(png(), NotAnImage("not_an_image"))
    waiting = env.reconcile(before)
    env.file_host.respond_with(jpeg())
    after = env.reconcile(waiting)

    assert [image.content_type for image in after.files] == ["image/png", "image/jpeg"]


def test_file_that_becomes_an_image_within_the_quick_retries_is_kept(env: TestEnvironment) -> None:
    urls = [f"https://a.poyo.ai/{n}" for n in range(2)]
    env.fake_poyo.respond_with("GET", finished_response(*urls))
    env.file_host.respond_with(png(), NotAnImage("not_an_image"), jpeg())

    after = env.reconcile(put_running(env))
    assert (after.state, after.copy_attempts) == ("running", 1)
    after = env.reconcile(after, source="callback")

    assert after.state == "finished"
    assert [image.content_type for image in after.files] == ["image/png", "image/jpeg"]


def test_other_failure_of_one_file_is_retried_before_the_task_finishes(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with(
        "GET", finished_response("https://a.poyo.ai/1", "https://a.poyo.ai/2")
    )
    env.file_host.respond_with(png(), DownloadFailed("http_500"))

    assert env.reconcile(put_running(env)).state == "running"


def test_file_that_fails_does_not_keep_the_others_from_being_stored(env: TestEnvironment) -> None:
    """They may be gone when it has come, or when nobody waits for it any more."""
    env.fake_poyo.respond_with(
        "GET", finished_response("https://a.poyo.ai/1", "https://a.poyo.ai/2")
    )
    env.file_host.respond_with(DownloadFailed("http_500"), png())
    after = env.reconcile(put_running(env))
    assert (after.state, after.copy_attempts) == ("running", 1)

    env.file_host.respond_with(jpeg(), DownloadFailed("http_404", gone=True))
    after = env.reconcile(after, source="callback")

    assert after.state == "finished"
    assert [image.content_type for image in after.files] == ["image/jpeg", "image/png"]


@pytest.mark.parametrize(
    ("failure", "after_s"),
    [
        (DownloadFailed("http_404", gone=True), DAY_S),
        (DownloadFailed("unreachable"), 3 * DAY_S),
        (DownloadForbidden("host_not_listed"), 3 * DAY_S),
    ],
)
def test_task_finishes_without_a_file_that_is_lost_once_no_retry_can_help(
    env: TestEnvironment, failure: Exception, after_s: int
) -> None:
    env.fake_poyo.respond_with("GET", finished_response(*(f"https://a.poyo.ai/{n}" for n in "123")))
    env.file_host.respond_with(failure, png(), NotAnImage("not_an_image"))
    before = put_running(env, copy_attempts=50, result_seen_at=env.time.now)

    env.time.forward(after_s - 1)
    assert env.reconcile(before).state == "running"
    env.file_host.respond_with(failure, NotAnImage("not_an_image"))
    env.time.forward(1)
    after = env.reconcile(before)

    assert (after.state, [image.number for image in after.files]) == ("finished", [1])


def test_only_files_that_are_no_images_are_no_result(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with(
        "GET", finished_response("https://a.poyo.ai/1", "https://a.poyo.ai/2")
    )
    env.file_host.respond_with(NotAnImage("not_an_image"))

    after = env.reconcile(put_running(env))

    assert (after.state, after.copy_attempts, after.files) == ("running", 1, ())


def test_file_that_poyo_calls_no_image_is_not_downloaded(env: TestEnvironment) -> None:
    files = [
        {"file_url": "https://a.poyo.ai/x.json", "file_type": "other"},
        {"file_url": FILE_URL, "file_type": "image"},
    ]
    env.fake_poyo.respond_with("GET", status_response("finished", files=files))

    with captured_logs() as log:
        after = env.reconcile(put_running(env))

    assert (after.state, len(after.files)) == ("finished", 1)
    assert env.file_host.fetched == [FILE_URL]
    assert "files_left_out" in log.getvalue()


def test_image_that_is_already_stored_is_not_downloaded_again(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    before = put_running(env)
    first = env.reconcile(before)
    env.put(before)

    second = env.reconcile(before)

    assert second.files == first.files
    assert len(env.file_host.fetched) == 1


@pytest.mark.parametrize(("copy_attempts", "delay_s"), list(enumerate(LIMITS.fast_retry_s)))
def test_failed_copy_is_retried_within_seconds(
    env: TestEnvironment, copy_attempts: int, delay_s: int
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(DownloadFailed("unreachable"))

    after = env.reconcile(put_running(env, copy_attempts=copy_attempts))

    assert (after.state, after.copy_attempts) == ("running", copy_attempts + 1)
    assert after.result_seen_at == env.time.now
    assert seconds_until_due(after, env) - LIMITS.sweep_fallback_s == pytest.approx(
        delay_s, rel=0.21
    )
    assert env.cloud.messages() == [{"delayed": True}]


def test_task_finishes_when_the_second_copy_succeeds(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(DownloadFailed("http_500"), png())
    before = put_running(env)

    assert env.reconcile(before).state == "running"
    assert env.reconcile(before).state == "finished"


FAILED_COPIES: list[tuple[Exception, dict[str, Any], int, str, str | None]] = [
    (
        NotAnImage("not_an_image"),
        {"copy_attempts": 50, "result_seen_at": START},
        0,
        "running",
        None,
    ),
    (NotAnImage("not_an_image"), {"result_seen_at": START}, DAY_S - 1, "running", None),
    (NotAnImage("not_an_image"), {"result_seen_at": START}, DAY_S, "failed", "bad_result"),
    (DownloadFailed("http_404", gone=True), {}, 0, "running", None),
    (DownloadFailed("http_404", gone=True), {"result_seen_at": START}, DAY_S - 1, "running", None),
    (
        DownloadFailed("http_404", gone=True),
        {"result_seen_at": START},
        DAY_S,
        "failed",
        "result_expired",
    ),
    (DownloadFailed("unreachable"), {"result_seen_at": START}, 3 * DAY_S - 1, "running", None),
    (
        DownloadFailed("unreachable"),
        {"result_seen_at": START},
        3 * DAY_S,
        "failed",
        "result_expired",
    ),
    (DownloadForbidden("host_not_listed"), {"result_seen_at": START}, 2 * DAY_S, "running", None),
    (
        DownloadForbidden("host_not_listed"),
        {"result_seen_at": START},
        3 * DAY_S,
        "failed",
        "result_expired",
    ),
]


@pytest.mark.parametrize(("error", "changed", "elapsed_s", "state", "reason"), FAILED_COPIES)
def test_copy_is_abandoned_only_when_a_retry_cannot_help(
    env: TestEnvironment,
    error: Exception,
    changed: dict[str, Any],
    elapsed_s: int,
    state: str,
    reason: str,
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(error)
    before = put_running(env, **changed)
    env.time.forward(elapsed_s)

    after = env.reconcile(before)

    assert (after.state, after.reason) == (state, reason)
    assert env.is_due(after) is (state == "running")


@pytest.mark.parametrize(("elapsed_s", "state"), [(DAY_S - 1, "running"), (DAY_S, "failed")])
def test_finished_status_without_files_is_polled_for_a_day_before_the_task_fails(
    env: TestEnvironment, elapsed_s: int, state: str
) -> None:
    env.fake_poyo.respond_with("GET", status_response("finished", credits_amount=3))
    before = env.reconcile(put_running(env))
    env.time.forward(elapsed_s)

    after = env.reconcile(before)

    assert (after.state, after.charged_credits) == (state, Decimal(3))
    assert after.reason == ("bad_result" if state == "failed" else None)
    assert env.file_host.fetched == []


def test_credits_that_poyo_names_at_last_are_kept_by_a_bad_result(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", status_response("finished", credits_amount=3))

    after = env.reconcile(put_running(env, result_seen_at=START - DAY_S * 1000))

    assert (after.reason, after.charged_credits) == ("bad_result", Decimal(3))


def test_credits_that_poyo_names_after_the_failure_are_kept(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=3))
    env.file_host.respond_with(DownloadFailed("http_404", gone=True))
    seen: dict[str, Any] = {"poyo_id": POYO_ID, "result_seen_at": START - DAY_S * 1000}

    after = env.reconcile(put_failed(env, "timed_out", **seen), source="operator")

    assert (after.reason, after.charged_credits, after.due_at) == ("timed_out", Decimal(3), None)


def test_result_is_remembered_although_a_callback_moved_the_task_during_the_copy(
    env: TestEnvironment,
) -> None:
    """Else callbacks in time with a slow host's copies would keep the task open for ever."""
    before = put_running(env)

    class SlowHost:
        def fetch(self, url: str, *, within_s: float) -> NoReturn:
            env.updater.reschedule(env.read(before), due_at=START + 90_000)
            raise DownloadFailed("unreachable")

    env.fake_poyo.respond_with("GET", finished_response(credits_amount=3))
    message = TaskMessage(task_id=before.task_id, source="callback")
    env.reconciler_with(downloader=SlowHost()).reconcile(message)

    after = env.read(before)
    assert (after.result_seen_at, after.due_at) == (env.time.now, START + 90_000)
    assert after.charged_credits == Decimal(3)


def test_failed_copy_changes_nothing_of_a_task_that_another_worker_has_finished(
    env: TestEnvironment,
) -> None:
    before = put_running(env)

    class SlowHost:
        def fetch(self, url: str, *, within_s: float) -> NoReturn:
            env.reconcile(before)
            raise DownloadFailed("unreachable")

    env.fake_poyo.respond_with("GET", finished_response(credits_amount=3))
    env.file_host.respond_with(png())
    message = TaskMessage(task_id=before.task_id, source="callback")
    env.reconciler_with(downloader=SlowHost()).reconcile(message)

    after = env.read(before)
    assert (after.state, after.detail, after.result_seen_at) == ("finished", None, None)


@pytest.mark.parametrize("source", ["callback", "operator"])
def test_bad_result_that_became_an_image_is_stored_after_a_callback_or_a_redrive(
    env: TestEnvironment, source: str
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(NotAnImage("not_an_image"), NotAnImage("not_an_image"), png())
    env.reconcile(put_running(env))
    env.time.forward(DAY_S)
    failed = env.reconcile(put_running(env, result_seen_at=START))
    assert failed.reason == "bad_result"

    after = env.reconcile(failed, source=source)

    assert (after.state, after.reason, len(after.files)) == ("finished", None, 1)


def test_download_host_that_is_not_allowed_raises_an_alarm_and_the_copy_is_retried(
    env: TestEnvironment,
) -> None:
    env.fake_poyo.respond_with("GET", finished_response())
    env.file_host.respond_with(DownloadForbidden("host_not_listed", "new.example"))
    with captured_logs() as log:
        after = env.reconcile(put_running(env))

    assert "download_host_not_allowed" in log.getvalue()
    assert (after.state, after.detail) == ("running", "host_not_listed: new.example")


def test_task_stays_running_until_both_of_its_images_are_copied(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with(
        "GET", finished_response("https://a.poyo.ai/1", "https://a.poyo.ai/2")
    )
    env.file_host.respond_with(png(), DownloadFailed("http_500"), png())
    before = put_running(env)

    assert env.reconcile(before).state == "running"
    assert env.reconcile(before).state == "finished"
    assert env.file_host.fetched == [
        "https://a.poyo.ai/1",
        "https://a.poyo.ai/2",
        "https://a.poyo.ai/2",
    ]


def test_error_of_the_bucket_is_raised_so_that_sqs_delivers_the_message_again(
    env: TestEnvironment,
) -> None:
    class UnavailableBucket:
        def find(self, task_id: str, n: int) -> None:
            return None

        def put(self, task_id: str, n: int, download: object) -> None:
            raise client_error("SlowDown", 503)

    env.fake_poyo.respond_with("GET", finished_response())
    before = put_running(env)

    with pytest.raises(Exception, match="SlowDown"):
        env.reconciler_with(images=UnavailableBucket()).reconcile(
            TaskMessage(task_id=before.task_id, source="sweep")
        )
    assert env.read(before) == before
