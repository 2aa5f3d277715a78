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

from imagetasks.errors import DeliveryFailed, DeliveryForbidden, TaskNotFound
from imagetasks.limits import Limits
from imagetasks.outbound.download import Download
from imagetasks.poyo.rate_limit import Turn
from imagetasks.poyo.reply import Reply
from imagetasks.poyo.signature import signature
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import Task
from imagetasks.workflows.owner_tasks import Reader
from tests.support.environment import World, order, world
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
WAITS = LIMITS.notice_waits_s
TRIES = len(WAITS) + 1
HOOK = "https://caller.example/canary-hook"
AWAY = DeliveryFailed("http_503")
DAY = 24 * 60 * 60


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        made.upstream.answers("GET", finished(credits_amount=5.0))
        made.upstream.answers("POST", accepted())
        yield made


def reader(here: World) -> Reader:
    return Reader(
        store=here.store, doorbell=here.doorbell, pace=here.pace, sleep=here.clock.forward
    )


def running(here: World, **changed: Any) -> Task:
    values: dict[str, Any] = {"state": "running", "poyo_id": POYO_ID, "bound_at": START}
    return here.put(task(**values | {"notify_url": HOOK} | changed))


def ended(here: World, **changed: Any) -> Task:
    """A task that has just ended, as `finish` and `fail` leave it when there is a caller."""
    values: dict[str, Any] = {"state": "finished", "poyo_id": POYO_ID, "finished_at": START}
    told_at = {"notify_url": HOOK, "notices": 0, "notice_at": START, "due_at": START}
    return here.put(task(**values | told_at | changed))


def statuses(here: World) -> list[str]:
    return [body["status"] for _, body, _ in here.deliveries.posted]


def at_rest(here: World, after: Task) -> bool:
    """Whether nothing is left to be done for it."""
    return not here.due(after) and (after.due_at, after.notices, after.notice_at) == (None,) * 3


class Watching:
    """A receiver that looks into the table while it is being told."""

    def __init__(self, here: World, act: Callable[[], object] = lambda: None) -> None:
        self.seen: list[Task] = []
        self._here = here
        self._act = act

    def post(self, url: str, body: bytes, *, headers: Any) -> None:
        self.seen.append(self._here.store.read(json.loads(body)["task_id"]))
        self._act()


# Telling


def test_the_row_says_so_before_the_caller_is_told(here: World) -> None:
    before = running(here)

    first = here.look(before, by="callback")
    assert (first.state, first.notices, first.due_at) == ("finished", 0, here.clock.now)
    assert here.deliveries.posted == []
    after = here.look(before, by="retry")

    [(url, body, _)] = here.deliveries.posted
    assert url == HOOK
    assert (body["task_id"], body["status"], body["credits_amount"]) == (
        before.task_id,
        "finished",
        5.0,
    )
    [shown] = body["files"]
    path = signed_urls.file_path(before.link_key, before.task_id, 0)
    assert shown["file_url"] == before.origin + path
    assert at_rest(here, after)


def test_an_end_rings_for_the_telling_of_it(here: World) -> None:
    before = running(here)

    here.look(before, by="sweep")

    assert here.cloud.rings() == [{"task_id": before.task_id, "by": "retry", "poyo_id": None}]


def test_a_try_is_claimed_before_it_is_made(here: World) -> None:
    before = ended(here)
    here.deliveries = Watching(here)  # type: ignore[assignment]
    here.looker = here.looking()

    here.look(before, by="retry")

    [seen] = here.deliveries.seen  # type: ignore[attr-defined]
    assert (seen.notices, seen.notice_at) == (1, here.clock.now + WAITS[0] * 1000)
    assert here.due(seen) is False  # it is told and done by now
    assert seen.due_at is not None
    assert seen.due_at >= seen.notice_at


def test_who_does_not_win_the_claim_posts_nothing(here: World) -> None:
    before = ended(here)

    here.looker.aftercare.tell(before)
    here.looker.aftercare.tell(before)

    assert statuses(here) == ["finished"]


def test_a_bell_during_the_post_is_not_another_one(here: World) -> None:
    before = ended(here)
    again = Watching(here, lambda: here.looker.look(Ring(task_id=before.task_id, by="retry")))
    here.deliveries = again  # type: ignore[assignment]
    here.looker = here.looking()

    after = here.look(before, by="retry")

    assert len(again.seen) == 1
    assert at_rest(here, after)


@pytest.mark.parametrize("error", [AWAY, DeliveryForbidden("address_private")])
def test_a_receiver_that_stays_away_is_tried_six_times_and_given_up(
    here: World, error: DeliveryFailed
) -> None:
    here.deliveries.gives(error)
    before = ended(here)
    tried_at: list[int] = []

    for _ in range(2 * sum(WAITS) // 20):
        posts = len(here.deliveries.posted)
        after = here.look(before, by="sweep")
        if len(here.deliveries.posted) > posts:
            tried_at.append((here.clock.now - START) // 1000)
        here.clock.forward(20)

    assert len(tried_at) == TRIES
    gaps = [later - at for at, later in pairwise(tried_at)]
    assert all(wait <= gap <= wait + 20 for wait, gap in zip(WAITS, gaps, strict=True))
    assert (after.state, after.files) == ("finished", before.files)
    assert at_rest(here, after)


def test_doubled_bells_between_two_tries_post_nothing(here: World) -> None:
    here.deliveries.gives(AWAY)
    before = ended(here)
    for _ in range(5):
        after = here.look(before, by="retry")

    assert len(here.deliveries.posted) == 1
    assert (after.notices, after.notice_at) == (1, START + WAITS[0] * 1000)
    assert here.due(after)


def test_a_receiver_that_comes_back_is_told_and_left_in_peace(here: World) -> None:
    here.deliveries.gives(AWAY, AWAY, None)
    before = ended(here)
    for wait_s in (*WAITS, DAY):
        after = here.look(before, by="sweep")
        here.clock.forward(wait_s)

    assert len(here.deliveries.posted) == 3
    assert at_rest(here, after)


def test_a_sixth_try_whose_maker_died_is_the_last_all_the_same(here: World) -> None:
    before = ended(here, notices=TRIES)

    after = here.look(before)

    assert here.deliveries.posted == []
    assert at_rest(here, after)


def test_a_callback_of_poyo_tells_nobody(here: World) -> None:
    before = ended(here)

    after = here.look(before, by="callback", poyo_id=POYO_ID)

    assert here.deliveries.posted == []
    assert after == before


def test_a_failure_is_told_with_a_reason_in_our_words(here: World) -> None:
    here.upstream.answers("GET", told("failed", error_message=f"no {PROMPT}"))
    before = running(here)
    here.look(before)
    here.look(before, by="retry")

    [(_, body, _)] = here.deliveries.posted
    assert (body["status"], body["files"]) == ("failed", [])
    assert PROMPT not in json.dumps(body)


def test_a_soft_failure_and_the_late_finish_are_both_told(here: World) -> None:
    here.upstream.answers("GET", told("running"))
    before = running(here)
    here.clock.forward(DAY)
    assert here.look(before).reason == "timed_out"
    here.deliveries.gives(AWAY, None)
    here.look(before, by="retry")
    here.clock.forward(WAITS[0])
    here.look(before, by="retry")
    here.upstream.answers("GET", finished())

    late = here.look(before, by="callback")
    assert (late.state, late.notices) == ("finished", 0)
    after = here.look(before, by="retry")

    assert statuses(here) == ["failed", "failed", "finished"]
    assert at_rest(here, after)


def test_while_a_task_runs_again_nobody_is_told_that_it_failed(here: World) -> None:
    before = running(here, notices=2, notice_at=START)
    here.upstream.answers("GET", told("running"))

    here.look(before, by="sweep")

    assert here.deliveries.posted == []


def test_an_unconfirmed_task_leaves_the_to_do_list_when_it_was_told(here: World) -> None:
    before = ended(here, state="failed", reason="unconfirmed", poyo_id=None)

    after = here.look(before, by="retry")

    assert statuses(here) == ["failed"]
    assert at_rest(here, after)


def test_a_soft_failure_whose_id_is_known_gets_its_look_after_the_telling(here: World) -> None:
    before = ended(here, state="failed", reason="result_expired")

    after = here.look(before, by="retry")
    assert (after.notices, after.due_at) == (None, here.clock.now)

    assert here.look(before, by="sweep").state == "finished"


def test_a_look_that_gives_up_does_not_forget_who_is_to_be_told(here: World) -> None:
    here.upstream.answers("GET", told("failed"))
    later = START + 60_000
    before = ended(here, state="failed", reason="timed_out", notices=1, notice_at=later)

    after = here.look(before, by="sweep")

    assert (after.notices, after.due_at) == (1, later)


KEYS = {"owner": "canary-notify-key", "other": ""}
SIGNED = [("owner", True), ("owner/somebody", True), ("other", False), ("other/owner", False)]


@pytest.mark.parametrize(("owner", "signed"), [*SIGNED, ("nobody", False)])
def test_a_post_is_signed_exactly_when_the_server_key_has_a_secret_for_it(
    here: World, owner: str, signed: bool
) -> None:
    secret = json.dumps({"poyo_api_key": POYO_KEY, "webhook_keys": KEYS})
    here.cloud.client("secretsmanager").put_secret_value(
        SecretId=here.cloud.api_secret, SecretString=secret
    )
    before = ended(here, owner=owner, listed=owner)

    here.look(before, by="retry")

    [(_, _, headers)] = here.deliveries.posted
    stamp = str(here.clock.now // 1000)
    proof = {
        "X-Webhook-Timestamp": stamp,
        "X-Webhook-Signature": signature(KEYS["owner"], before.task_id, stamp),
    }
    assert {k: v for k, v in headers.items() if k.startswith("X-")} == (proof if signed else {})


def test_what_the_answer_to_the_order_says_is_not_told_once_more(here: World) -> None:
    here.upstream.answers("POST", Reply(402, b"{}"))

    refused, _ = here.submitter.submit(order(notify_url=HOOK))

    assert (refused.state, refused.notices) == ("failed", None)
    assert at_rest(here, refused)


def test_a_refusal_that_came_later_is_told(here: World) -> None:
    here.upstream.answers("POST", Reply(402, b"{}"))
    before = here.put(task(state="pending", not_before=START, notify_url=HOOK))

    refused = here.look(before)
    assert (refused.state, refused.notices) == ("failed", 0)
    here.look(before, by="sweep")

    assert statuses(here) == ["failed"]


def test_no_log_line_tells_where_the_caller_is(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    here.deliveries.gives(DeliveryFailed("http_503", HOOK))
    before = ended(here)
    with logged() as log:
        here.look(before, by="retry")

    said = log.getvalue() + capsys.readouterr().out
    assert "not_told" in said
    assert "canary" not in said


# Erasing


def objects(here: World) -> list[str]:
    found = here.cloud.client("s3").list_objects_v2(Bucket=here.cloud.bucket)
    return [each["Key"] for each in found.get("Contents", ())]


def settle(here: World, before: Task) -> Task:
    """The task when nothing is left to be done for it: the sweep rings whenever it is due."""
    for _ in range(30):
        after = here.read(before)
        if after.due_at is None:
            return after
        here.clock.now = max(here.clock.now, after.due_at)
        if here.look(before, by="sweep").due_at == after.due_at:
            here.clock.forward(LIMITS.claim_s)  # the sweep's claim runs out
    pytest.fail(f"it never comes to rest: {after.state}, {after.reason}")


def check_tombstone(here: World, after: Task) -> None:
    assert after.deleted_at is not None
    assert at_rest(here, after)
    assert (after.files, after.input, after.metadata) == ((), {}, {})
    assert (after.listed, after.listed_status, after.link_key) == (None, None, "")
    assert objects(here) == []
    assert PROMPT not in json.dumps(here.table.get(f"task#{after.task_id}"), default=str)


def test_an_image_goes_at_once_and_again_when_whoever_copied_it_must_be_gone(here: World) -> None:
    before = running(here)
    here.look(before)
    key = f"images/{before.task_id}/0"
    assert objects(here) == [key]
    reader(here).delete("owner", before.task_id)

    first = here.look(before, by="delete")
    assert objects(here) == []
    assert first.due_at == START + LIMITS.erase_again_s * 1000
    here.cloud.client("s3").put_object(Bucket=here.cloud.bucket, Key=key, Body=b"late")
    assert here.look(before, by="retry").due_at == first.due_at
    here.cloud.client("s3").put_object(Bucket=here.cloud.bucket, Key=key, Body=b"later")
    here.clock.forward(LIMITS.erase_again_s)
    after = here.look(before, by="sweep")

    check_tombstone(here, after)
    assert (after.state, after.charged) == ("finished", Decimal(5))


def test_a_worker_may_live_and_clocks_may_differ_for_less_time_than_erasing_waits() -> None:
    assert LIMITS.erase_again_s >= 60 + 2 * 5 * 60


def test_a_bucket_that_is_away_leaves_the_erasing_on_the_list(here: World) -> None:
    class Away:
        def erase(self, task_id: str) -> None:
            raise ConnectionError("bucket")

    before = running(here)
    here.look(before)
    reader(here).delete("owner", before.task_id)

    with pytest.raises(ConnectionError):
        here.looking(images=Away()).look(Ring(task_id=before.task_id, by="delete"))

    assert here.due(here.read(before))
    check_tombstone(here, settle(here, before))


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
    here: World,
    changed: dict[str, Any],
    state: str,
    reason: str | None,
    charged: Decimal | None,
    asked: int,
) -> None:
    before = here.put(task(notify_url=HOOK, detail=f"said {PROMPT}", **changed))

    reader(here).delete("owner", before.task_id)
    assert here.cloud.rings() == [{"task_id": before.task_id, "by": "delete", "poyo_id": None}]
    after = settle(here, before)

    check_tombstone(here, after)
    assert (after.state, after.reason, after.charged) == (state, reason, charged)
    assert len(here.upstream.sent) == asked
    assert here.files.fetched == []
    assert here.deliveries.posted == []


def test_a_task_that_poyo_fails_after_its_deletion_is_free(here: World) -> None:
    here.upstream.answers("GET", told("failed", error_message=f"{PROMPT} is not nice"))
    before = running(here)
    reader(here).delete("owner", before.task_id)

    after = settle(here, before)

    check_tombstone(here, after)
    assert (after.state, after.reason, after.charged) == ("failed", "upstream", None)


class DeletedWhileCopied:
    """A file host during whose answer the task is deleted, looked at and erased."""

    def __init__(self, here: World, before: Task) -> None:
        self._here = here
        self._before = before

    def fetch(self, url: str) -> AbstractContextManager[Download]:
        @contextmanager
        def fetching() -> Iterator[Download]:
            with self._here.files.fetch(url) as download:
                reader(self._here).delete("owner", self._before.task_id)
                self._here.look(self._before, by="delete")
                self._here.look(self._before, by="retry")
                yield download

        return fetching()


def test_who_was_copying_at_that_moment_leaves_no_image_behind(here: World) -> None:
    before = running(here)
    copying = here.looking(downloads=DeletedWhileCopied(here, before))

    copying.look(Ring(task_id=before.task_id, by="callback"))

    stands = here.read(before)
    assert (stands.state, stands.files) == ("finished", ())
    assert objects(here) == [f"images/{before.task_id}/0"]  # put behind the back of the first pass
    after = settle(here, before)
    check_tombstone(here, after)
    assert after.charged == Decimal(5)


def test_a_copy_that_fails_at_that_moment_does_not_come_back(here: World) -> None:
    here.upstream.answers("GET", finished())
    before = running(here)

    def deleted() -> Reply:
        reader(here).delete("owner", before.task_id)
        return told("failed", error_message=f"{PROMPT} is not nice")

    here.upstream.answers("GET", deleted, told("failed"))
    here.look(before)

    assert here.read(before).state == "running"  # it was not known to be deleted
    check_tombstone(here, settle(here, before))


def test_an_order_that_waits_is_not_sent_when_it_is_deleted_just_then(here: World) -> None:
    class Slow:
        def ready(self) -> None:
            reader(here).delete("owner", before.task_id)

        def turn(self) -> Turn:
            return here.submitter.turn()

        send = here.submitter.send

    before = here.put(task(state="pending", not_before=START))
    here.looking(submitter=Slow()).look(Ring(task_id=before.task_id, by="retry"))

    after = settle(here, before)

    assert here.upstream.count("POST") == 0
    assert (after.state, after.reason, after.attempt) == ("failed", "unavailable", 1)
    check_tombstone(here, after)


def complaint(status: int) -> Reply:
    message = f"Your prompt was flagged: {PROMPT}"
    return reply({"code": status, "error": {"message": message, "type": "x"}}, status)


SUBMITS: dict[str, tuple[Reply, str, str | None]] = {
    "taken": (accepted(), "finished", None),
    "refused": (complaint(400), "failed", "rejected"),
    "no credits": (complaint(402), "failed", "insufficient_credits"),
    "busy": (complaint(429), "failed", "unavailable"),
    "unclear": (complaint(500), "failed", "unconfirmed"),
}


@pytest.mark.parametrize(("answer", "state", "reason"), SUBMITS.values(), ids=SUBMITS)
def test_an_order_may_be_deleted_while_poyo_answers_it(
    here: World, answer: Reply, state: str, reason: str | None
) -> None:
    placed = order(notify_url=HOOK)

    def deleted() -> Reply:
        reader(here).delete("owner", task().task_id)
        return answer

    here.upstream.answers("POST", deleted)
    stands, _ = here.submitter.submit(placed)

    assert PROMPT not in json.dumps(here.table.get(f"task#{stands.task_id}"), default=str)
    after = settle(here, stands)
    check_tombstone(here, after)
    assert (after.state, after.reason) == (state, reason)
    assert here.upstream.count("POST") == 1
    assert here.deliveries.posted == []


def test_an_id_is_adopted_although_the_task_is_deleted_just_then(here: World) -> None:
    before = here.put(task(state="unknown"))

    def deleted() -> Reply:
        reader(here).delete("owner", before.task_id)
        return finished()

    here.upstream.answers("GET", deleted, finished(credits_amount=5.0))
    here.look(before, by="callback", poyo_id=POYO_ID)

    after = settle(here, before)
    check_tombstone(here, after)
    assert (after.state, after.poyo_id, after.charged) == ("finished", POYO_ID, Decimal(5))


def test_who_is_being_told_at_that_moment_is_not_told_again(here: World) -> None:
    before = ended(here)
    deleting = Watching(here, lambda: reader(here).delete("owner", before.task_id))
    here.deliveries = deleting  # type: ignore[assignment]
    here.looker = here.looking()

    here.look(before, by="retry")

    check_tombstone(here, settle(here, before))
    assert len(deleting.seen) == 1


# What is seen of it


def test_a_deleted_task_is_shown_to_nobody_in_no_way(here: World) -> None:
    before = running(here, notify_url=None)
    kept = here.look(before)
    mac = signed_urls.file_mac(kept.link_key, 0)
    reads = reader(here)
    assert reads.shared(before.task_id, "0", mac) == kept.files[0]
    listed = [reads.page("owner", status=status, limit=9, after=None) for status in (None, "finished")]  # fmt: skip
    assert [page.tasks for page in listed] == [(kept,), (kept,)]

    reads.delete("owner", before.task_id)
    reads.delete("owner", before.task_id)

    for shown in (
        lambda: reads.task("owner", before.task_id),
        lambda: reads.awaited("owner", before.task_id, wait_s=1),
        lambda: reads.shared(before.task_id, "0", mac),
        lambda: reads.shared(before.task_id, "0", signed_urls.file_mac("", 0)),
    ):
        with pytest.raises(TaskNotFound):
            shown()
    for status in (None, "finished"):
        assert reads.page("owner", status=status, limit=9, after=None).tasks == ()


def test_an_index_that_lags_shows_no_deleted_task(here: World) -> None:
    before = here.put(task(deleted_at=START))  # still listed, as an index may have it

    assert reader(here).page("owner", status=None, limit=9, after=None).tasks == ()
    assert here.read(before).listed == "owner"


def test_a_second_deletion_changes_nothing(here: World) -> None:
    before = here.put(task())
    reader(here).delete("owner", before.task_id)
    first = here.read(before)
    here.clock.forward(9)

    reader(here).delete("owner", before.task_id)

    assert here.read(before) == first


@pytest.mark.parametrize("owner", ["stranger", "owner/somebody", ""])
def test_nobody_deletes_what_is_anothers(here: World, owner: str) -> None:
    before = here.put(task())

    with pytest.raises(TaskNotFound):
        reader(here).delete(owner, before.task_id)

    assert here.read(before) == before
    assert here.cloud.rings() == []


def test_the_key_of_a_deleted_order_stands_for_it_and_sends_nothing(here: World) -> None:
    placed = order()
    made, _ = here.submitter.submit(placed)
    reader(here).delete("owner", made.task_id)

    again, replayed = here.submitter.submit(placed)

    assert (again.task_id, replayed, again.input) == (made.task_id, True, {})
    assert again.deleted_at is not None
    assert here.upstream.count("POST") == 1


def test_a_wait_ends_with_the_status_or_with_its_time(here: World) -> None:
    before = here.put(task())

    def forward(seconds: float) -> None:
        here.clock.forward(seconds)
        if here.clock.now >= START + 7_000:
            here.put(replace(before, state="running", poyo_id=POYO_ID))

    reads = replace(reader(here), sleep=forward)

    assert reads.awaited("owner", before.task_id, wait_s=3).status == "not_started"
    assert here.clock.now == START + 3_000
    assert reads.awaited("owner", before.task_id, wait_s=20).status == "running"
    assert here.clock.now == START + 7_000
