"""After the end: a caller is told once a try and six times at most, what was deleted is erased."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from imagetasks.errors import NotificationFailed, NotificationForbidden, TaskNotFound
from imagetasks.limits import Limits
from imagetasks.outbound.download import DownloadedImage
from imagetasks.poyo.rate_limit import Slot
from imagetasks.poyo.signature import compute
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task
from imagetasks.workflows.owner_tasks import OwnerTasks
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    POYO_ID,
    POYO_KEY,
    PROMPT,
    START,
    accepted,
    finished,
    reply,
    task,
    told,
)
from tests.support.lambdas import logged

LIMITS = Limits()
WAITS = LIMITS.notification_waits_s
TRIES = len(WAITS) + 1
HOOK = "https://caller.example/canary-hook"
AWAY = NotificationFailed("http_503")
DAY = 24 * 60 * 60


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as made:
        made.upstream.answers("GET", finished(credits_amount=5.0))
        made.upstream.answers("POST", accepted())
        yield made


def reader(env: TestEnvironment) -> OwnerTasks:
    return OwnerTasks(
        repository=env.repository, updater=env.updater, clock=env.clock, sleep=env.time.forward
    )


def running(env: TestEnvironment, **changed: Any) -> Task:
    values: dict[str, Any] = {"state": "running", "poyo_id": POYO_ID, "confirmed_at": START}
    return env.put(task(**values | {"notification_url": HOOK} | changed))


def ended(env: TestEnvironment, **changed: Any) -> Task:
    """A task that has just ended, as `finish` and `fail` leave it when there is a caller."""
    values: dict[str, Any] = {"state": "finished", "poyo_id": POYO_ID, "finished_at": START}
    told_at = {
        "notification_url": HOOK,
        "notification_attempts": 0,
        "next_notification_at": START,
        "due_at": START,
    }
    return env.put(task(**values | told_at | changed))


def statuses(env: TestEnvironment) -> list[str]:
    return [body["status"] for _, body, _ in env.notifications.posted]


def at_rest(env: TestEnvironment, after: Task) -> bool:
    """Whether nothing is left to be done for it."""
    return (
        not env.due(after)
        and (after.due_at, after.notification_attempts, after.next_notification_at) == (None,) * 3
    )


class Watching:
    """A receiver that looks into the table while it is being told."""

    def __init__(self, env: TestEnvironment, act: Callable[[], object] = lambda: None) -> None:
        self.seen: list[Task] = []
        self._here = env
        self._act = act

    def send(self, url: str, body: bytes, *, headers: Any) -> None:
        self.seen.append(self._here.repository.get(json.loads(body)["task_id"]))
        self._act()


# Telling


def test_the_row_says_so_before_the_caller_is_told(env: TestEnvironment) -> None:
    before = running(env)

    first = env.reconcile(before, source="callback")
    assert (first.state, first.notification_attempts, first.due_at) == ("finished", 0, env.time.now)
    assert env.notifications.posted == []
    after = env.reconcile(before, source="retry")

    [(url, body, _)] = env.notifications.posted
    assert url == HOOK
    assert (body["task_id"], body["status"], body["credits_amount"]) == (
        before.task_id,
        "finished",
        5.0,
    )
    [shown] = body["files"]
    path = signed_urls.file_path(before.file_url_key, before.task_id, 0)
    assert shown["file_url"] == before.public_base_url + path
    assert at_rest(env, after)


def test_an_end_rings_for_the_telling_of_it(env: TestEnvironment) -> None:
    before = running(env)

    env.reconcile(before, source="sweep")

    assert env.cloud.messages() == [{"task_id": before.task_id, "source": "retry", "poyo_id": None}]


def test_a_try_is_claimed_before_it_is_made(env: TestEnvironment) -> None:
    before = ended(env)
    env.notifications = Watching(env)  # type: ignore[assignment]
    env.reconciler = env.reconciler_with()

    env.reconcile(before, source="retry")

    [seen] = env.notifications.seen  # type: ignore[attr-defined]
    assert (seen.notification_attempts, seen.next_notification_at) == (
        1,
        env.time.now + WAITS[0] * 1000,
    )
    assert env.due(seen) is False  # it is told and done by now
    assert seen.due_at is not None
    assert seen.due_at >= seen.next_notification_at


def test_who_does_not_win_the_claim_posts_nothing(env: TestEnvironment) -> None:
    before = ended(env)

    env.notifier().attempt(before)
    env.notifier().attempt(before)

    assert statuses(env) == ["finished"]


def test_a_bell_during_the_post_is_not_another_one(env: TestEnvironment) -> None:
    before = ended(env)
    again = Watching(
        env, lambda: env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="retry"))
    )
    env.notifications = again  # type: ignore[assignment]
    env.reconciler = env.reconciler_with()

    after = env.reconcile(before, source="retry")

    assert len(again.seen) == 1
    assert at_rest(env, after)


@pytest.mark.parametrize("error", [AWAY, NotificationForbidden("address_private")])
def test_a_receiver_that_stays_away_is_tried_six_times_and_given_up(
    env: TestEnvironment, error: NotificationFailed
) -> None:
    env.notifications.gives(error)
    before = ended(env)
    tried_at: list[int] = []

    for _ in range(2 * sum(WAITS) // 20):
        posts = len(env.notifications.posted)
        after = env.reconcile(before, source="sweep")
        if len(env.notifications.posted) > posts:
            tried_at.append((env.time.now - START) // 1000)
        env.time.forward(20)

    assert len(tried_at) == TRIES
    gaps = [later - at for at, later in pairwise(tried_at)]
    assert all(wait <= gap <= wait + 20 for wait, gap in zip(WAITS, gaps, strict=True))
    assert (after.state, after.files) == ("finished", before.files)
    assert at_rest(env, after)


def test_doubled_bells_between_two_tries_post_nothing(env: TestEnvironment) -> None:
    env.notifications.gives(AWAY)
    before = ended(env)
    for _ in range(5):
        after = env.reconcile(before, source="retry")

    assert len(env.notifications.posted) == 1
    assert (after.notification_attempts, after.next_notification_at) == (1, START + WAITS[0] * 1000)
    assert env.due(after)


def test_a_receiver_that_comes_back_is_told_and_left_in_peace(env: TestEnvironment) -> None:
    env.notifications.gives(AWAY, AWAY, None)
    before = ended(env)
    for wait_s in (*WAITS, DAY):
        after = env.reconcile(before, source="sweep")
        env.time.forward(wait_s)

    assert len(env.notifications.posted) == 3
    assert at_rest(env, after)


def test_a_sixth_try_whose_maker_died_is_the_last_all_the_same(env: TestEnvironment) -> None:
    before = ended(env, notification_attempts=TRIES)

    after = env.reconcile(before)

    assert env.notifications.posted == []
    assert at_rest(env, after)


def test_a_callback_of_poyo_tells_nobody(env: TestEnvironment) -> None:
    before = ended(env)

    after = env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert env.notifications.posted == []
    assert after == before


def test_a_failure_is_told_with_a_reason_in_our_words(env: TestEnvironment) -> None:
    env.upstream.answers("GET", told("failed", error_message=f"no {PROMPT}"))
    before = running(env)
    env.reconcile(before)
    env.reconcile(before, source="retry")

    [(_, body, _)] = env.notifications.posted
    assert (body["status"], body["files"]) == ("failed", [])
    assert PROMPT not in json.dumps(body)


def test_a_soft_failure_and_the_late_finish_are_both_told(env: TestEnvironment) -> None:
    env.upstream.answers("GET", told("running"))
    before = running(env)
    env.time.forward(DAY)
    assert env.reconcile(before).reason == "timed_out"
    env.notifications.gives(AWAY, None)
    env.reconcile(before, source="retry")
    env.time.forward(WAITS[0])
    env.reconcile(before, source="retry")
    env.upstream.answers("GET", finished())

    late = env.reconcile(before, source="callback")
    assert (late.state, late.notification_attempts) == ("finished", 0)
    after = env.reconcile(before, source="retry")

    assert statuses(env) == ["failed", "failed", "finished"]
    assert at_rest(env, after)


def test_while_a_task_runs_again_nobody_is_told_that_it_failed(env: TestEnvironment) -> None:
    before = running(env, notification_attempts=2, next_notification_at=START)
    env.upstream.answers("GET", told("running"))

    env.reconcile(before, source="sweep")

    assert env.notifications.posted == []


def test_an_unconfirmed_task_leaves_the_to_do_list_when_it_was_told(env: TestEnvironment) -> None:
    before = ended(env, state="failed", reason="unconfirmed", poyo_id=None)

    after = env.reconcile(before, source="retry")

    assert statuses(env) == ["failed"]
    assert at_rest(env, after)


def test_a_soft_failure_whose_id_is_known_gets_its_look_after_the_telling(
    env: TestEnvironment,
) -> None:
    before = ended(env, state="failed", reason="result_expired")

    after = env.reconcile(before, source="retry")
    assert (after.notification_attempts, after.due_at) == (None, env.time.now)

    assert env.reconcile(before, source="sweep").state == "finished"


def test_a_look_that_gives_up_does_not_forget_who_is_to_be_told(env: TestEnvironment) -> None:
    env.upstream.answers("GET", told("failed"))
    later = START + 60_000
    before = ended(
        env, state="failed", reason="timed_out", notification_attempts=1, next_notification_at=later
    )

    after = env.reconcile(before, source="sweep")

    assert (after.notification_attempts, after.due_at) == (1, later)


KEYS = {"owner": "canary-notify-key", "other": ""}
SIGNED = [("owner", True), ("owner/somebody", True), ("other", False), ("other/owner", False)]


@pytest.mark.parametrize(("owner", "signed"), [*SIGNED, ("nobody", False)])
def test_a_post_is_signed_exactly_when_the_server_key_has_a_secret_for_it(
    env: TestEnvironment, owner: str, signed: bool
) -> None:
    secret = json.dumps({"poyo_api_key": POYO_KEY, "notification_signing_keys": KEYS})
    env.cloud.client("secretsmanager").put_secret_value(
        SecretId=env.cloud.api_secret, SecretString=secret
    )
    before = ended(env, owner=owner, owner_key=owner)

    env.reconcile(before, source="retry")

    [(_, _, headers)] = env.notifications.posted
    stamp = str(env.time.now // 1000)
    proof = {
        "X-Webhook-Timestamp": stamp,
        "X-Webhook-Signature": compute(KEYS["owner"], before.task_id, stamp),
    }
    assert {k: v for k, v in headers.items() if k.startswith("X-")} == (proof if signed else {})


def test_what_the_answer_to_the_order_says_is_not_told_once_more(env: TestEnvironment) -> None:
    env.upstream.answers("POST", HttpResponse(402, b"{}"))

    refused = env.submitter.submit(order(notification_url=HOOK)).task

    assert (refused.state, refused.notification_attempts) == ("failed", None)
    assert at_rest(env, refused)


def test_a_refusal_that_came_later_is_told(env: TestEnvironment) -> None:
    env.upstream.answers("POST", HttpResponse(402, b"{}"))
    before = env.put(task(state="pending", not_before=START, notification_url=HOOK))

    refused = env.reconcile(before)
    assert (refused.state, refused.notification_attempts) == ("failed", 0)
    env.reconcile(before, source="sweep")

    assert statuses(env) == ["failed"]


def test_no_log_line_tells_where_the_caller_is(
    env: TestEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    env.notifications.gives(NotificationFailed("http_503", HOOK))
    before = ended(env)
    with logged() as log:
        env.reconcile(before, source="retry")

    said = log.getvalue() + capsys.readouterr().out
    assert "notification_failed" in said
    assert "canary" not in said


# Erasing


def objects(env: TestEnvironment) -> list[str]:
    found = env.cloud.client("s3").list_objects_v2(Bucket=env.cloud.bucket)
    return [each["Key"] for each in found.get("Contents", ())]


def settle(env: TestEnvironment, before: Task) -> Task:
    """The task when nothing is left to be done for it: the sweep rings whenever it is due."""
    for _ in range(30):
        after = env.read(before)
        if after.due_at is None:
            return after
        env.time.now = max(env.time.now, after.due_at)
        if env.reconcile(before, source="sweep").due_at == after.due_at:
            env.time.forward(LIMITS.claim_s)  # the sweep's claim runs out
    pytest.fail(f"it never comes to rest: {after.state}, {after.reason}")


def check_tombstone(env: TestEnvironment, after: Task) -> None:
    assert after.deleted_at is not None
    assert at_rest(env, after)
    assert (after.files, after.input, after.metadata) == ((), {}, {})
    assert (after.owner_key, after.owner_status_key, after.file_url_key) == (None, None, "")
    assert objects(env) == []
    assert PROMPT not in json.dumps(env.table.get(f"task#{after.task_id}"), default=str)


def test_an_image_goes_at_once_and_again_when_whoever_copied_it_must_be_gone(
    env: TestEnvironment,
) -> None:
    before = running(env)
    env.reconcile(before)
    key = f"images/{before.task_id}/0"
    assert objects(env) == [key]
    reader(env).delete("owner", before.task_id)

    first = env.reconcile(before, source="delete")
    assert objects(env) == []
    assert first.due_at == START + LIMITS.erase_again_s * 1000
    env.cloud.client("s3").put_object(Bucket=env.cloud.bucket, Key=key, Body=b"late")
    assert env.reconcile(before, source="retry").due_at == first.due_at
    env.cloud.client("s3").put_object(Bucket=env.cloud.bucket, Key=key, Body=b"later")
    env.time.forward(LIMITS.erase_again_s)
    after = env.reconcile(before, source="sweep")

    check_tombstone(env, after)
    assert (after.state, after.charged_credits) == ("finished", Decimal(5))


def test_a_worker_may_live_and_clocks_may_differ_for_less_time_than_erasing_waits() -> None:
    assert LIMITS.erase_again_s >= 60 + 2 * 5 * 60


def test_a_bucket_that_is_away_leaves_the_erasing_on_the_list(env: TestEnvironment) -> None:
    class Away:
        def delete_all(self, task_id: str) -> None:
            raise ConnectionError("bucket")

    before = running(env)
    env.reconcile(before)
    reader(env).delete("owner", before.task_id)

    with pytest.raises(ConnectionError):
        env.reconciler_with(images=Away()).reconcile(
            TaskMessage(task_id=before.task_id, source="delete")
        )

    assert env.due(env.read(before))
    check_tombstone(env, settle(env, before))


DELETED: dict[str, tuple[dict[str, Any], str, str | None, Decimal | None, int]] = {
    # the row; state, reason and money in the end; requests to PoYo
    "submitting": ({}, "failed", "unconfirmed", None, 0),
    "pending": ({"state": "pending", "not_before": START}, "failed", "unavailable", None, 0),
    "unknown": ({"state": "unknown"}, "failed", "unconfirmed", None, 0),
    "running": ({"state": "running", "poyo_id": POYO_ID}, "finished", None, Decimal(5), 1),
    "failed": ({"state": "failed", "reason": "upstream"}, "failed", "upstream", None, 0),
    "failed softly": (
        {"state": "failed", "reason": "timed_out", "poyo_id": POYO_ID},
        "failed",
        "timed_out",
        None,
        0,
    ),
}


@pytest.mark.parametrize(("changed", "state", "reason", "charged", "asked"), DELETED.values(), ids=DELETED)  # fmt: skip
def test_a_task_can_be_deleted_whatever_it_is_doing(
    env: TestEnvironment,
    changed: dict[str, Any],
    state: str,
    reason: str | None,
    charged: Decimal | None,
    asked: int,
) -> None:
    before = env.put(task(notification_url=HOOK, detail=f"said {PROMPT}", **changed))

    reader(env).delete("owner", before.task_id)
    assert env.cloud.messages() == [
        {"task_id": before.task_id, "source": "delete", "poyo_id": None}
    ]
    after = settle(env, before)

    check_tombstone(env, after)
    assert (after.state, after.reason, after.charged_credits) == (state, reason, charged)
    assert len(env.upstream.sent) == asked
    assert env.files.fetched == []
    assert env.notifications.posted == []


def test_a_task_that_poyo_fails_after_its_deletion_is_free(env: TestEnvironment) -> None:
    env.upstream.answers("GET", told("failed", error_message=f"{PROMPT} is not nice"))
    before = running(env)
    reader(env).delete("owner", before.task_id)

    after = settle(env, before)

    check_tombstone(env, after)
    assert (after.state, after.reason, after.charged_credits) == ("failed", "upstream", None)


class DeletedWhileCopied:
    """A file host during whose answer the task is deleted, looked at and erased."""

    def __init__(self, env: TestEnvironment, before: Task) -> None:
        self._here = env
        self._before = before

    def fetch(self, url: str) -> AbstractContextManager[DownloadedImage]:
        @contextmanager
        def fetching() -> Iterator[DownloadedImage]:
            with self._here.files.fetch(url) as download:
                reader(self._here).delete("owner", self._before.task_id)
                self._here.reconcile(self._before, source="delete")
                self._here.reconcile(self._before, source="retry")
                yield download

        return fetching()


def test_who_was_copying_at_that_moment_leaves_no_image_behind(env: TestEnvironment) -> None:
    before = running(env)
    copying = env.reconciler_with(downloader=DeletedWhileCopied(env, before))

    copying.reconcile(TaskMessage(task_id=before.task_id, source="callback"))

    stands = env.read(before)
    assert (stands.state, stands.files) == ("finished", ())
    assert objects(env) == [f"images/{before.task_id}/0"]  # put behind the back of the first pass
    after = settle(env, before)
    check_tombstone(env, after)
    assert after.charged_credits == Decimal(5)


def test_a_copy_that_fails_at_that_moment_does_not_come_back(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished())
    before = running(env)

    def deleted() -> HttpResponse:
        reader(env).delete("owner", before.task_id)
        return told("failed", error_message=f"{PROMPT} is not nice")

    env.upstream.answers("GET", deleted, told("failed"))
    env.reconcile(before)

    assert env.read(before).state == "running"  # it was not known to be deleted
    check_tombstone(env, settle(env, before))


def test_an_order_that_waits_is_not_sent_when_it_is_deleted_just_then(env: TestEnvironment) -> None:
    class Slow:
        def require_credentials(self) -> None:
            reader(env).delete("owner", before.task_id)

        def acquire_slot(self) -> Slot:
            return env.submitter.acquire_slot()

        send = env.submitter.submit_to_poyo

    before = env.put(task(state="pending", not_before=START))
    env.reconciler_with(submitter=Slow()).reconcile(
        TaskMessage(task_id=before.task_id, source="retry")
    )

    after = settle(env, before)

    assert env.upstream.count("POST") == 0
    assert (after.state, after.reason, after.attempt) == ("failed", "unavailable", 1)
    check_tombstone(env, after)


def complaint(status: int) -> HttpResponse:
    message = f"Your prompt was flagged: {PROMPT}"
    return reply({"code": status, "error": {"message": message, "type": "x"}}, status)


SUBMITS: dict[str, tuple[HttpResponse, str, str | None]] = {
    "taken": (accepted(), "finished", None),
    "refused": (complaint(400), "failed", "rejected"),
    "no credits": (complaint(402), "failed", "insufficient_credits"),
    "busy": (complaint(429), "failed", "unavailable"),
    "unclear": (complaint(500), "failed", "unconfirmed"),
}


@pytest.mark.parametrize(("answer", "state", "reason"), SUBMITS.values(), ids=SUBMITS)
def test_an_order_may_be_deleted_while_poyo_answers_it(
    env: TestEnvironment, answer: HttpResponse, state: str, reason: str | None
) -> None:
    placed = order(notification_url=HOOK)

    def deleted() -> HttpResponse:
        reader(env).delete("owner", task().task_id)
        return answer

    env.upstream.answers("POST", deleted)
    stands = env.submitter.submit(placed).task

    assert PROMPT not in json.dumps(env.table.get(f"task#{stands.task_id}"), default=str)
    after = settle(env, stands)
    check_tombstone(env, after)
    assert (after.state, after.reason) == (state, reason)
    assert env.upstream.count("POST") == 1
    assert env.notifications.posted == []


def test_an_id_is_adopted_although_the_task_is_deleted_just_then(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown"))

    def deleted() -> HttpResponse:
        reader(env).delete("owner", before.task_id)
        return finished()

    env.upstream.answers("GET", deleted, finished(credits_amount=5.0))
    env.reconcile(before, source="callback", poyo_id=POYO_ID)

    after = settle(env, before)
    check_tombstone(env, after)
    assert (after.state, after.poyo_id, after.charged_credits) == ("finished", POYO_ID, Decimal(5))


def test_who_is_being_told_at_that_moment_is_not_told_again(env: TestEnvironment) -> None:
    before = ended(env)
    deleting = Watching(env, lambda: reader(env).delete("owner", before.task_id))
    env.notifications = deleting  # type: ignore[assignment]
    env.reconciler = env.reconciler_with()

    env.reconcile(before, source="retry")

    check_tombstone(env, settle(env, before))
    assert len(deleting.seen) == 1


# What is seen of it


def test_a_deleted_task_is_shown_to_nobody_in_no_way(env: TestEnvironment) -> None:
    before = running(env, notification_url=None)
    kept = env.reconcile(before)
    mac = signed_urls.file_token(kept.file_url_key, 0)
    reads = reader(env)
    assert reads.shared_file(before.task_id, "0", mac) == kept.files[0]
    listed = [reads.list("owner", status=status, limit=9, after=None) for status in (None, "finished")]  # fmt: skip
    assert [page.tasks for page in listed] == [(kept,), (kept,)]

    reads.delete("owner", before.task_id)
    reads.delete("owner", before.task_id)

    for shown in (
        lambda: reads.get("owner", before.task_id),
        lambda: reads.wait_for_change("owner", before.task_id, wait_s=1),
        lambda: reads.shared_file(before.task_id, "0", mac),
        lambda: reads.shared_file(before.task_id, "0", signed_urls.file_token("", 0)),
    ):
        with pytest.raises(TaskNotFound):
            shown()
    for status in (None, "finished"):
        assert reads.list("owner", status=status, limit=9, after=None).tasks == ()


def test_an_index_that_lags_shows_no_deleted_task(env: TestEnvironment) -> None:
    before = env.put(task(deleted_at=START))  # still listed, as an index may have it

    assert reader(env).list("owner", status=None, limit=9, after=None).tasks == ()
    assert env.read(before).owner_key == "owner"


def test_a_second_deletion_changes_nothing(env: TestEnvironment) -> None:
    before = env.put(task())
    reader(env).delete("owner", before.task_id)
    first = env.read(before)
    env.time.forward(9)

    reader(env).delete("owner", before.task_id)

    assert env.read(before) == first


@pytest.mark.parametrize("owner", ["stranger", "owner/somebody", ""])
def test_nobody_deletes_what_is_anothers(env: TestEnvironment, owner: str) -> None:
    before = env.put(task())

    with pytest.raises(TaskNotFound):
        reader(env).delete(owner, before.task_id)

    assert env.read(before) == before
    assert env.cloud.messages() == []


def test_the_key_of_a_deleted_order_stands_for_it_and_sends_nothing(env: TestEnvironment) -> None:
    placed = order()
    made = env.submitter.submit(placed).task
    reader(env).delete("owner", made.task_id)

    placement = env.submitter.submit(placed)
    again, replayed = placement.task, placement.replayed

    assert (again.task_id, replayed, again.input) == (made.task_id, True, {})
    assert again.deleted_at is not None
    assert env.upstream.count("POST") == 1


def test_a_wait_ends_with_the_status_or_with_its_time(env: TestEnvironment) -> None:
    before = env.put(task())

    def forward(seconds: float) -> None:
        env.time.forward(seconds)
        if env.time.now >= START + 7_000:
            env.put(replace(before, state="running", poyo_id=POYO_ID))

    reads = replace(reader(env), sleep=forward)

    assert reads.wait_for_change("owner", before.task_id, wait_s=3).status == "not_started"
    assert env.time.now == START + 3_000
    assert reads.wait_for_change("owner", before.task_id, wait_s=20).status == "running"
    assert env.time.now == START + 7_000
