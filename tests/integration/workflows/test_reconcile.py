"""A bell rang: every state it may find, every answer of PoYo, every fate of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.errors import (
    AnswerLost,
    DownloadFailed,
    DownloadForbidden,
    NotAnImage,
    NotSent,
    QueueUnavailable,
    SecretInvalid,
    StoreUnavailable,
)
from imagetasks.limits import Limits
from imagetasks.poyo.reply import Reply
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import Task, poyo_key
from tests.fixtures.images import HEIGHT, WIDTH, jpeg, png
from tests.support.environment import World, world
from tests.support.fakes import (
    FILE_URL,
    POYO_ID,
    POYO_KEY,
    PROMPT,
    START,
    accepted,
    finished,
    refusal,
    reply,
    task,
    told,
)
from tests.support.lambdas import calls, logged

LIMITS = Limits()
MISSING = reply({"code": 404, "error": {"message": "task not found"}}, 404)
DAY = 24 * 60 * 60


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        made.upstream.answers("GET", told("running"))
        made.upstream.answers("POST", accepted())
        yield made


def running(here: World, **changed: Any) -> Task:
    values: dict[str, Any] = {"state": "running", "poyo_id": POYO_ID, "bound_at": START}
    return here.put(task(**values | changed))


def failed(here: World, reason: str, **changed: Any) -> Task:
    values: dict[str, Any] = {"state": "failed", "reason": reason, "finished_at": START}
    return here.put(task(**values | {"due_at": None, "due_shard": None} | changed))


def gap_s(after: Task, here: World) -> float:
    """Seconds from now to the next look."""
    assert after.due_at is not None
    return (after.due_at - here.clock.now) / 1000


# A running task


def test_a_finished_image_is_ours_before_the_task_says_so(here: World) -> None:
    here.upstream.answers("GET", finished(credits_amount=5.0))
    before = running(here)

    after = here.look(before, by="callback")

    content = png()
    [kept] = after.files
    stored = here.cloud.client("s3").get_object(Bucket=here.cloud.bucket, Key=kept.key)
    assert stored["Body"].read() == content
    assert (kept.sha256, kept.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (kept.width, kept.height, kept.content_type) == (WIDTH, HEIGHT, "image/png")
    assert (after.state, after.charged, after.progress) == ("finished", Decimal(5), Decimal(100))
    assert after.finished_at == here.clock.now
    assert not here.due(after)
    assert here.files.fetched == [FILE_URL]


def test_without_a_meter_the_estimate_is_charged(here: World) -> None:
    here.upstream.answers("GET", finished())

    assert here.look(running(here)).charged == Decimal(2)


def test_every_image_of_a_task_is_kept(here: World) -> None:
    here.upstream.answers("GET", finished("https://a.poyo.ai/1", "https://a.poyo.ai/2"))
    here.files.gives(png(), jpeg())

    after = here.look(running(here))

    assert [kept.content_type for kept in after.files] == ["image/png", "image/jpeg"]
    assert len({kept.key for kept in after.files}) == 2


def test_a_second_look_at_a_finished_task_asks_nobody(here: World) -> None:
    here.upstream.answers("GET", finished())
    after = here.look(running(here))
    asked = len(here.upstream.sent)

    again = here.look(after, by="callback", poyo_id="ANOTHER")

    assert again == after
    assert len(here.upstream.sent) == asked
    assert len(here.files.fetched) == 1


def test_an_image_that_is_already_there_is_not_fetched_again(here: World) -> None:
    here.upstream.answers("GET", finished())
    before = running(here)
    first = here.look(before)
    here.put(before)

    second = here.look(before)

    assert second.files == first.files
    assert len(here.files.fetched) == 1


def test_a_failed_task_ends_uncharged_with_poyos_words_for_the_operator(here: World) -> None:
    here.upstream.answers("GET", told("failed", error_message="Server exception"))

    after = here.look(running(here))

    assert (after.state, after.reason, after.charged) == ("failed", "upstream", None)
    assert after.detail == "Server exception"
    assert not here.due(after)


def test_a_moderated_task_says_so(here: World) -> None:
    here.upstream.answers("GET", told("failed", error_message="violates our content policy"))

    assert here.look(running(here)).reason == "moderated"


@pytest.mark.parametrize("status", ["not_started", "running", "a word of next year"])
def test_a_task_that_runs_on_is_looked_at_later(here: World, status: str) -> None:
    here.upstream.answers("GET", told(status, progress=40.5))

    after = here.look(running(here))

    assert (after.state, after.looks, after.progress) == ("running", 1, Decimal("40.5"))
    assert 0 <= gap_s(after, here) <= 120
    assert here.due(after)


TROUBLE: dict[str, Reply | Exception] = {
    "nobody there": NotSent("x"),
    "no answer": AnswerLost("x"),
    "500": Reply(500, b""),
    "429": Reply(429, b""),
    "401": Reply(401, b""),
    "html": Reply(502, b"<html>"),
    "garbage": Reply(200, b"\xff"),
}


@pytest.mark.parametrize("answer", TROUBLE.values(), ids=TROUBLE)
def test_trouble_at_poyo_is_a_later_look_and_no_error(
    here: World, answer: Reply | Exception
) -> None:
    here.upstream.answers("GET", answer)

    after = here.look(running(here, bound_at=START - 30 * DAY * 1000))

    assert (after.state, after.looks) == ("running", 1)
    assert here.due(after)


def test_a_refused_account_pages_the_operator(here: World) -> None:
    here.upstream.answers("GET", Reply(401, b""))
    with logged() as log:
        here.look(running(here))

    assert "account_refused" in log.getvalue()


def test_looks_grow_apart_up_to_half_an_hour(here: World) -> None:
    gaps = [gap_s(here.look(running(here, looks=looks)), here) for looks in (0, 2, 5, 40)]

    for gap, most in zip(gaps, (120, 240, 1800, 1800), strict=True):
        assert 0 <= gap <= most + LIMITS.backup_s


def test_after_a_callback_the_next_look_is_within_seconds(here: World) -> None:
    after = here.look(running(here), by="callback")

    assert gap_s(after, here) - LIMITS.backup_s == pytest.approx(LIMITS.hurry_s[0], rel=0.21)
    assert here.cloud.rings() == [{"delayed": True}]


def test_a_task_that_never_ends_is_given_a_day(here: World) -> None:
    before = running(here)
    here.clock.forward(DAY - 1)
    assert here.look(before).state == "running"
    before = running(here)
    here.clock.forward(1)

    after = here.look(before)

    assert (after.state, after.reason) == ("failed", "timed_out")


def test_an_id_that_poyo_forgot_is_given_a_day(here: World) -> None:
    here.upstream.answers("GET", MISSING)
    before = running(here)
    assert here.look(before).state == "running"
    before = running(here)
    here.clock.forward(DAY)

    assert here.look(before).reason == "timed_out"


# A file that does not come


@pytest.mark.parametrize(("copies", "around_s"), list(enumerate(LIMITS.hurry_s)))
def test_a_copy_that_failed_is_tried_again_within_seconds(
    here: World, copies: int, around_s: int
) -> None:
    here.upstream.answers("GET", finished())
    here.files.gives(DownloadFailed("unreachable"))

    after = here.look(running(here, copies=copies))

    assert (after.state, after.copies, after.bad_copies) == ("running", copies + 1, 0)
    assert after.result_seen_at == here.clock.now
    assert gap_s(after, here) - LIMITS.backup_s == pytest.approx(around_s, rel=0.21)
    assert here.cloud.rings() == [{"delayed": True}]


def test_a_copy_that_works_the_second_time_finishes_the_task(here: World) -> None:
    here.upstream.answers("GET", finished())
    here.files.gives(DownloadFailed("http_500"), png())
    before = running(here)

    assert here.look(before).state == "running"
    assert here.look(before).state == "finished"


COPIES: list[tuple[Exception, dict[str, Any], int, str, str | None]] = [
    (NotAnImage("not_an_image"), {"bad_copies": 7}, 0, "running", None),
    (NotAnImage("not_an_image"), {"bad_copies": 8}, 0, "failed", "bad_result"),
    (DownloadFailed("http_404", gone=True), {}, 0, "running", None),
    (DownloadFailed("http_404", gone=True), {"result_seen_at": START}, DAY - 1, "running", None),
    (
        DownloadFailed("http_404", gone=True),
        {"result_seen_at": START},
        DAY,
        "failed",
        "result_expired",
    ),
    (DownloadFailed("unreachable"), {"result_seen_at": START}, 3 * DAY - 1, "running", None),
    (DownloadFailed("unreachable"), {"result_seen_at": START}, 3 * DAY, "failed", "result_expired"),
    (DownloadForbidden("host_not_listed"), {"result_seen_at": START}, 2 * DAY, "running", None),
    (
        DownloadForbidden("host_not_listed"),
        {"result_seen_at": START},
        3 * DAY,
        "failed",
        "result_expired",
    ),
]


@pytest.mark.parametrize(("error", "changed", "later_s", "state", "reason"), COPIES)
def test_a_copy_is_given_up_only_past_hope(
    here: World, error: Exception, changed: dict[str, Any], later_s: int, state: str, reason: str
) -> None:
    here.upstream.answers("GET", finished())
    here.files.gives(error)
    before = running(here, **changed)
    here.clock.forward(later_s)

    after = here.look(before)

    assert (after.state, after.reason) == (state, reason)
    assert here.due(after) is (state == "running")


@pytest.mark.parametrize(("bad_copies", "state"), [(0, "running"), (4, "running"), (5, "failed")])
def test_finished_without_files_is_looked_at_a_few_times(
    here: World, bad_copies: int, state: str
) -> None:
    here.upstream.answers("GET", told("finished"))

    after = here.look(running(here, bad_copies=bad_copies))

    assert after.state == state
    assert after.reason == ("bad_result" if state == "failed" else None)
    assert here.files.fetched == []


def test_a_refused_address_pages_the_operator_and_loses_nothing(here: World) -> None:
    here.upstream.answers("GET", finished())
    here.files.gives(DownloadForbidden("host_not_listed", "new.example"))
    with logged() as log:
        after = here.look(running(here))

    assert "download_refused" in log.getvalue()
    assert (after.state, after.detail) == ("running", "host_not_listed: new.example")


def test_of_two_images_one_that_fails_keeps_the_task_open(here: World) -> None:
    here.upstream.answers("GET", finished("https://a.poyo.ai/1", "https://a.poyo.ai/2"))
    here.files.gives(png(), DownloadFailed("http_500"), png())
    before = running(here)

    assert here.look(before).state == "running"
    assert here.look(before).state == "finished"
    assert here.files.fetched == [
        "https://a.poyo.ai/1",
        "https://a.poyo.ai/2",
        "https://a.poyo.ai/2",
    ]


def test_a_bucket_that_is_away_is_left_to_the_queue(here: World) -> None:
    class Away:
        def find(self, task_id: str, n: int) -> None:
            return None

        def put(self, task_id: str, n: int, download: object) -> None:
            raise refusal("SlowDown", 503)

    here.upstream.answers("GET", finished())
    before = running(here)

    with pytest.raises(Exception, match="SlowDown"):
        here.looking(images=Away()).look(Ring(task_id=before.task_id, by="sweep"))
    assert here.read(before) == before


# Without PoYo's id


def test_a_sender_that_went_away_leaves_a_doubt(here: World) -> None:
    before = here.put(task())
    here.clock.forward(LIMITS.submit_overdue_s - 1)
    assert here.look(before) == before
    here.clock.forward(1)

    after = here.look(before)

    assert after.state == "unknown"
    assert after.due_at == START + LIMITS.unconfirmed_after_s * 1000
    assert here.upstream.sent == []


def test_a_doubt_ends_after_an_hour_uncharged_for_all_we_know(here: World) -> None:
    before = here.put(task(state="unknown", due_at=START + LIMITS.unconfirmed_after_s * 1000))
    assert here.look(before) == before
    here.clock.forward(LIMITS.unconfirmed_after_s)

    after = here.look(before)

    assert (after.state, after.reason) == ("failed", "unconfirmed")
    assert REASONS["unconfirmed"].charged is None
    assert here.upstream.sent == []


def test_a_doubt_whose_look_was_moved_gets_its_own_time_back(here: World) -> None:
    before = here.put(task(state="unknown", due_at=START + 7))

    assert here.look(before).due_at == START + LIMITS.unconfirmed_after_s * 1000


def test_an_order_that_waits_is_posted_once_when_it_is_time(here: World) -> None:
    before = here.put(task(state="pending", not_before=START + 10_000))
    assert here.look(before, by="retry") == before
    assert here.upstream.sent == []
    here.clock.forward(10)

    after = here.look(before, by="retry")

    assert (after.state, after.attempt, after.poyo_id) == ("running", 2, POYO_ID)
    assert here.upstream.count("POST") == 1
    assert here.upstream.sent[0].headers["Idempotency-Key"] == before.task_id


def test_of_two_bells_for_an_order_that_waits_one_posts(here: World) -> None:
    before = here.put(task(state="pending", not_before=START))

    def asked() -> Reply:
        here.looker.look(Ring(task_id=before.task_id, by="retry"))
        return accepted()

    here.upstream.answers("POST", asked)
    here.look(before, by="retry")

    assert here.upstream.count("POST") == 1


def test_an_order_that_waits_gives_up_after_half_an_hour(here: World) -> None:
    before = here.put(task(state="pending", not_before=START, detail="429"))
    here.clock.forward(LIMITS.unavailable_after_s)

    after = here.look(before)

    assert (after.state, after.reason, after.detail) == ("failed", "unavailable", "429")
    assert here.upstream.sent == []


def test_without_keys_an_order_that_waits_goes_on_waiting(here: World) -> None:
    class Keyless:
        def ready(self) -> None:
            raise SecretInvalid("poyo_api_key")

    before = here.put(task(state="pending", not_before=START))

    with pytest.raises(SecretInvalid):
        here.looking(submitter=Keyless()).look(Ring(task_id=before.task_id, by="sweep"))
    assert here.read(before) == before


def test_when_poyo_has_no_room_an_order_waits_some_more(here: World) -> None:
    full = World(here.cloud, limits=replace(LIMITS, window_submits=1))
    full.submitter.turn()
    before = full.put(task(state="pending", not_before=START))

    after = full.look(before)

    assert after.state == "pending"
    assert after.not_before is not None
    assert after.not_before > full.clock.now
    assert full.due(after)
    assert full.upstream.sent == []


# An id that a callback brought

LOOKS_FOR_AN_ID: dict[str, dict[str, Any]] = {
    "submitting": {"state": "submitting"},
    "pending": {"state": "pending", "not_before": START},
    "unknown": {"state": "unknown"},
    "unconfirmed": {
        "state": "failed",
        "reason": "unconfirmed",
        "due_at": None,
        "due_shard": None,
        "finished_at": START,
    },
}


@pytest.mark.parametrize("changed", LOOKS_FOR_AN_ID.values(), ids=LOOKS_FOR_AN_ID)
def test_an_id_that_poyo_confirms_is_adopted_and_the_image_kept_at_once(
    here: World, changed: dict[str, Any]
) -> None:
    here.upstream.answers("GET", finished())

    after = here.look(here.put(task(**changed)), by="callback", poyo_id=POYO_ID)

    assert (after.state, after.poyo_id) == ("finished", POYO_ID)
    assert here.table.get(poyo_key(POYO_ID))["task_id"] == after.task_id
    assert here.upstream.count("POST") == 0
    assert [line["event"] for line in after.history][-2:] == ["submitted", "finished"]


@pytest.mark.parametrize("changed", LOOKS_FOR_AN_ID.values(), ids=LOOKS_FOR_AN_ID)
def test_an_id_that_poyo_does_not_know_yet_is_kept_and_asked_for_again(
    here: World, changed: dict[str, Any]
) -> None:
    here.upstream.answers("GET", MISSING, told("running"))
    before = here.put(task(**changed))

    after = here.look(before, by="callback", poyo_id=POYO_ID)
    assert (after.state, after.hints) == (before.state, (POYO_ID,))
    assert here.due(after)
    assert here.upstream.count("POST") == 0
    here.clock.forward(10)
    adopted = here.look(before, by="retry")

    assert (adopted.state, adopted.poyo_id, adopted.hints) == ("running", POYO_ID, ())


def test_an_id_that_poyo_never_knows_is_dropped_in_the_end(here: World) -> None:
    here.upstream.answers("GET", MISSING)
    before = here.put(task(state="unknown"))
    here.look(before, by="callback", poyo_id="FORGED")
    for _ in range(LIMITS.hint_looks + 2):
        after = here.look(before)

    assert (after.state, after.hints) == ("unknown", ())
    assert after.due_at == START + LIMITS.unconfirmed_after_s * 1000


def test_while_poyo_does_not_answer_no_id_is_dropped(here: World) -> None:
    here.upstream.answers("GET", AnswerLost("x"))
    before = here.put(task(state="unknown"))
    here.look(before, by="callback", poyo_id=POYO_ID)
    for _ in range(LIMITS.hint_looks * 3):
        here.clock.forward(LIMITS.unconfirmed_after_s)
        after = here.look(before)

    assert (after.state, after.hints) == ("unknown", (POYO_ID,))


def test_only_a_few_ids_are_remembered_and_the_newest_first(here: World) -> None:
    here.upstream.answers("GET", MISSING)
    before = here.put(task(state="unknown"))
    for n in range(9):
        after = here.look(before, by="callback", poyo_id=f"FORGED{n}")

    assert after.hints == ("FORGED5", "FORGED6", "FORGED7", "FORGED8")
    assert here.upstream.sent[-4].url.endswith("/FORGED8")


def test_an_id_that_another_task_owns_is_not_adopted(here: World) -> None:
    other = here.put(task("other", state="unknown"))
    here.look(other, by="callback", poyo_id=POYO_ID)
    before = here.put(task(state="unknown"))
    with logged() as log:
        after = here.look(before, by="callback", poyo_id=POYO_ID)

    assert (after.state, after.poyo_id) == ("unknown", None)
    assert "poyo_id_taken" in log.getvalue()
    assert here.read(other).poyo_id == POYO_ID


@pytest.mark.parametrize("reason", sorted({"rejected", "moderated", "upstream", "unavailable"}))
def test_a_final_failure_adopts_nothing_and_asks_nobody(here: World, reason: str) -> None:
    before = failed(here, reason)

    assert here.look(before, by="callback", poyo_id=POYO_ID) == before
    assert here.upstream.sent == []


def test_an_id_for_a_task_that_has_one_is_not_even_asked_for(here: World) -> None:
    after = here.look(running(here), by="callback", poyo_id="FORGED")

    assert after.poyo_id == POYO_ID
    assert [sent.url.rpartition("/")[2] for sent in here.upstream.sent] == [POYO_ID]


def test_an_id_is_not_lost_when_somebody_moves_the_row_meanwhile(here: World) -> None:
    before = here.put(task(state="unknown"))

    def asked() -> Reply:
        here.put(replace(before, due_at=START + 99_000))
        return MISSING

    here.upstream.answers("GET", asked)
    here.look(before, by="callback", poyo_id=POYO_ID)

    assert here.read(before).hints == ()
    assert here.cloud.rings() == [{"delayed": True}]


# Late truth


@pytest.mark.parametrize("reason", ["timed_out", "result_expired"])
def test_late_truth_wins_over_a_soft_failure(here: World, reason: str) -> None:
    here.upstream.answers("GET", finished())

    after = here.look(failed(here, reason, poyo_id=POYO_ID), by="callback")

    assert (after.state, after.reason) == ("finished", None)
    assert len(after.files) == 1


def test_a_late_image_that_is_not_to_be_had_yet_revives_the_task(here: World) -> None:
    here.upstream.answers("GET", finished())
    here.files.gives(DownloadFailed("unreachable"), png())
    before = failed(here, "timed_out", poyo_id=POYO_ID)

    after = here.look(before, by="callback")
    assert (after.state, after.reason, after.finished_at) == ("running", None, None)
    assert here.due(after)

    assert here.look(before).state == "finished"


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_soft_failure_that_does_not_improve_stays(here: World, status: str) -> None:
    here.upstream.answers("GET", told(status))
    before = failed(here, "timed_out", poyo_id=POYO_ID, due_at=START, due_shard="1")

    after = here.look(before)

    assert (after.state, after.reason) == ("failed", "timed_out")
    assert not here.due(after)
    assert here.look(after) == after


def test_a_soft_failure_is_asked_about_for_a_week_while_poyo_is_away(here: World) -> None:
    here.upstream.answers("GET", AnswerLost("x"))
    before = failed(here, "timed_out", poyo_id=POYO_ID)
    assert here.due(here.look(before, by="callback"))
    here.clock.forward(LIMITS.revive_within_s)

    after = here.look(before)

    assert after.reason == "timed_out"
    assert not here.due(after)


@pytest.mark.parametrize(
    "reason", sorted(set(REASONS) - {"unconfirmed", "timed_out", "result_expired"})
)
def test_a_final_failure_stays_and_asks_nobody(here: World, reason: str) -> None:
    before = failed(here, reason, poyo_id=POYO_ID)

    assert here.look(before, by="callback") == before
    assert here.upstream.sent == []


# Around it


def test_a_bell_for_nobody_is_no_error(here: World) -> None:
    with logged() as log:
        here.looker.look(Ring(task_id="nobody", by="callback", poyo_id=POYO_ID))

    assert "no_such_task" in log.getvalue()
    assert here.upstream.sent == []


def test_a_state_of_a_newer_version_is_left_alone(here: World) -> None:
    before = here.put(task(state="upscaling", poyo_id=POYO_ID))

    assert here.look(before, by="callback") == before
    assert here.upstream.sent == []


def test_a_dumb_bell_leaves_the_look_to_the_sweep(here: World) -> None:
    class Dumb:
        def ring(self, ring: Ring, *, delay_s: float = 0) -> None:
            raise QueueUnavailable("dumb")

    before = running(here)
    here.looking(doorbell=Dumb()).look(Ring(task_id=before.task_id, by="callback"))

    assert here.due(here.read(before))


def test_a_table_that_is_away_is_left_to_the_queue(here: World) -> None:
    before = running(here)
    away = World(replace(here.cloud, table_name="no-such-table"))

    with pytest.raises(StoreUnavailable):
        away.looker.look(Ring(task_id=before.task_id, by="sweep"))


def test_a_doubled_bell_costs_one_status_and_no_second_download(here: World) -> None:
    before = running(here)

    def asked() -> Reply:
        here.upstream.answers("GET", finished())
        here.looker.look(Ring(task_id=before.task_id, by="callback"))
        return finished()

    here.upstream.answers("GET", asked)
    after = here.look(before, by="callback")

    assert after.state == "finished"
    assert [line["event"] for line in after.history].count("finished") == 1
    assert len(here.files.fetched) == 1


def test_a_look_reads_the_row_once_and_writes_it_once(here: World) -> None:
    before = running(here)
    made = calls(here.table.client)

    here.look(before)

    assert made[:2] == ["DynamoDB.GetItem", "DynamoDB.UpdateItem"]


@pytest.mark.parametrize(
    "answer",
    [
        finished(f"https://cdn.doculator.org/{PROMPT}.png"),
        told("failed", error_message=f"{PROMPT} {POYO_KEY} https://evil.example"),
        reply({"code": 401, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 401),
        reply({"code": 500, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 500),
        MISSING,
    ],
)
@pytest.mark.parametrize(
    "file",
    [png(), DownloadForbidden("host_not_listed", f"{PROMPT}.example"), NotAnImage("x", PROMPT)],
)
@pytest.mark.parametrize("poyo_id", [POYO_ID, None])
def test_no_log_line_of_a_look_tells_a_secret(
    here: World,
    answer: Reply,
    file: bytes | Exception,
    poyo_id: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here.upstream.answers("GET", answer)
    here.files.gives(file)
    before = running(here) if poyo_id else here.put(task(state="unknown"))
    with logged() as log:
        here.look(before, by="callback", poyo_id=POYO_ID)

    said = log.getvalue() + capsys.readouterr().out
    assert before.task_id in said
    for canary in (PROMPT, POYO_KEY, "https://", "doculator"):
        assert canary not in said
