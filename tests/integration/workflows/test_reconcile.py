"""A bell rang: every state it may find, every answer of PoYo, every fate of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.errors import (
    DatabaseUnavailable,
    DownloadFailed,
    DownloadForbidden,
    NotAnImage,
    QueueUnavailable,
    RequestNotSent,
    ResponseLost,
    SecretInvalid,
)
from imagetasks.limits import Limits
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import Task, poyo_pk
from tests.fixtures.images import HEIGHT, WIDTH, jpeg, png
from tests.support.environment import TestEnvironment, new_environment
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
def env() -> Iterator[TestEnvironment]:
    with new_environment() as made:
        made.upstream.answers("GET", told("running"))
        made.upstream.answers("POST", accepted())
        yield made


def running(env: TestEnvironment, **changed: Any) -> Task:
    values: dict[str, Any] = {"state": "running", "poyo_id": POYO_ID, "confirmed_at": START}
    return env.put(task(**values | changed))


def failed(env: TestEnvironment, reason: str, **changed: Any) -> Task:
    values: dict[str, Any] = {"state": "failed", "reason": reason, "finished_at": START}
    return env.put(task(**values | {"due_at": None, "due_shard": None} | changed))


def gap_s(after: Task, env: TestEnvironment) -> float:
    """Seconds from now to the next look."""
    assert after.due_at is not None
    return (after.due_at - env.time.now) / 1000


# A running task


def test_a_finished_image_is_ours_before_the_task_says_so(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished(credits_amount=5.0))
    before = running(env)

    after = env.reconcile(before, source="callback")

    content = png()
    [kept] = after.files
    stored = env.cloud.client("s3").get_object(Bucket=env.cloud.bucket, Key=kept.key)
    assert stored["Body"].read() == content
    assert (kept.sha256, kept.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (kept.width, kept.height, kept.content_type) == (WIDTH, HEIGHT, "image/png")
    assert (after.state, after.charged_credits, after.progress) == (
        "finished",
        Decimal(5),
        Decimal(100),
    )
    assert after.finished_at == env.time.now
    assert not env.due(after)
    assert env.files.fetched == [FILE_URL]


def test_without_a_meter_the_estimate_is_charged(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished())

    assert env.reconcile(running(env)).charged_credits == Decimal(2)


def test_every_image_of_a_task_is_kept(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished("https://a.poyo.ai/1", "https://a.poyo.ai/2"))
    env.files.gives(png(), jpeg())

    after = env.reconcile(running(env))

    assert [kept.content_type for kept in after.files] == ["image/png", "image/jpeg"]
    assert len({kept.key for kept in after.files}) == 2


def test_a_second_look_at_a_finished_task_asks_nobody(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished())
    after = env.reconcile(running(env))
    asked = len(env.upstream.sent)

    again = env.reconcile(after, source="callback", poyo_id="ANOTHER")

    assert again == after
    assert len(env.upstream.sent) == asked
    assert len(env.files.fetched) == 1


def test_an_image_that_is_already_there_is_not_fetched_again(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished())
    before = running(env)
    first = env.reconcile(before)
    env.put(before)

    second = env.reconcile(before)

    assert second.files == first.files
    assert len(env.files.fetched) == 1


def test_a_failed_task_ends_uncharged_with_poyos_words_for_the_operator(
    env: TestEnvironment,
) -> None:
    env.upstream.answers("GET", told("failed", error_message="Server exception"))

    after = env.reconcile(running(env))

    assert (after.state, after.reason, after.charged_credits) == ("failed", "upstream", None)
    assert after.detail == "Server exception"
    assert not env.due(after)


def test_a_moderated_task_says_so(env: TestEnvironment) -> None:
    env.upstream.answers("GET", told("failed", error_message="violates our content policy"))

    assert env.reconcile(running(env)).reason == "moderated"


@pytest.mark.parametrize("status", ["not_started", "running", "a word of next year"])
def test_a_task_that_runs_on_is_looked_at_later(env: TestEnvironment, status: str) -> None:
    env.upstream.answers("GET", told(status, progress=40.5))

    after = env.reconcile(running(env))

    assert (after.state, after.polls, after.progress) == ("running", 1, Decimal("40.5"))
    assert 0 <= gap_s(after, env) <= 120
    assert env.due(after)


TROUBLE: dict[str, HttpResponse | Exception] = {
    "nobody there": RequestNotSent("x"),
    "no answer": ResponseLost("x"),
    "500": HttpResponse(500, b""),
    "429": HttpResponse(429, b""),
    "401": HttpResponse(401, b""),
    "html": HttpResponse(502, b"<html>"),
    "garbage": HttpResponse(200, b"\xff"),
}


@pytest.mark.parametrize("answer", TROUBLE.values(), ids=TROUBLE)
def test_trouble_at_poyo_is_a_later_look_and_no_error(
    env: TestEnvironment, answer: HttpResponse | Exception
) -> None:
    env.upstream.answers("GET", answer)

    after = env.reconcile(running(env, confirmed_at=START - 30 * DAY * 1000))

    assert (after.state, after.polls) == ("running", 1)
    assert env.due(after)


def test_a_refused_account_pages_the_operator(env: TestEnvironment) -> None:
    env.upstream.answers("GET", HttpResponse(401, b""))
    with logged() as log:
        env.reconcile(running(env))

    assert "poyo_account_rejected" in log.getvalue()


def test_looks_grow_apart_up_to_half_an_hour(env: TestEnvironment) -> None:
    gaps = [gap_s(env.reconcile(running(env, polls=polls)), env) for polls in (0, 2, 5, 40)]

    for gap, most in zip(gaps, (120, 240, 1800, 1800), strict=True):
        assert 0 <= gap <= most + LIMITS.sweep_fallback_s


def test_after_a_callback_the_next_look_is_within_seconds(env: TestEnvironment) -> None:
    after = env.reconcile(running(env), source="callback")

    assert gap_s(after, env) - LIMITS.sweep_fallback_s == pytest.approx(
        LIMITS.fast_retry_s[0], rel=0.21
    )
    assert env.cloud.messages() == [{"delayed": True}]


def test_a_task_that_never_ends_is_given_a_day(env: TestEnvironment) -> None:
    before = running(env)
    env.time.forward(DAY - 1)
    assert env.reconcile(before).state == "running"
    before = running(env)
    env.time.forward(1)

    after = env.reconcile(before)

    assert (after.state, after.reason) == ("failed", "timed_out")


def test_an_id_that_poyo_forgot_is_given_a_day(env: TestEnvironment) -> None:
    env.upstream.answers("GET", MISSING)
    before = running(env)
    assert env.reconcile(before).state == "running"
    before = running(env)
    env.time.forward(DAY)

    assert env.reconcile(before).reason == "timed_out"


# A file that does not come


@pytest.mark.parametrize(("copy_attempts", "around_s"), list(enumerate(LIMITS.fast_retry_s)))
def test_a_copy_that_failed_is_tried_again_within_seconds(
    env: TestEnvironment, copy_attempts: int, around_s: int
) -> None:
    env.upstream.answers("GET", finished())
    env.files.gives(DownloadFailed("unreachable"))

    after = env.reconcile(running(env, copy_attempts=copy_attempts))

    assert (after.state, after.copy_attempts, after.invalid_results) == (
        "running",
        copy_attempts + 1,
        0,
    )
    assert after.result_seen_at == env.time.now
    assert gap_s(after, env) - LIMITS.sweep_fallback_s == pytest.approx(around_s, rel=0.21)
    assert env.cloud.messages() == [{"delayed": True}]


def test_a_copy_that_works_the_second_time_finishes_the_task(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished())
    env.files.gives(DownloadFailed("http_500"), png())
    before = running(env)

    assert env.reconcile(before).state == "running"
    assert env.reconcile(before).state == "finished"


COPIES: list[tuple[Exception, dict[str, Any], int, str, str | None]] = [
    (NotAnImage("not_an_image"), {"invalid_results": 7}, 0, "running", None),
    (NotAnImage("not_an_image"), {"invalid_results": 8}, 0, "failed", "bad_result"),
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
    env: TestEnvironment,
    error: Exception,
    changed: dict[str, Any],
    later_s: int,
    state: str,
    reason: str,
) -> None:
    env.upstream.answers("GET", finished())
    env.files.gives(error)
    before = running(env, **changed)
    env.time.forward(later_s)

    after = env.reconcile(before)

    assert (after.state, after.reason) == (state, reason)
    assert env.due(after) is (state == "running")


@pytest.mark.parametrize(
    ("invalid_results", "state"), [(0, "running"), (4, "running"), (5, "failed")]
)
def test_finished_without_files_is_looked_at_a_few_times(
    env: TestEnvironment, invalid_results: int, state: str
) -> None:
    env.upstream.answers("GET", told("finished"))

    after = env.reconcile(running(env, invalid_results=invalid_results))

    assert after.state == state
    assert after.reason == ("bad_result" if state == "failed" else None)
    assert env.files.fetched == []


def test_a_refused_address_pages_the_operator_and_loses_nothing(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished())
    env.files.gives(DownloadForbidden("host_not_listed", "new.example"))
    with logged() as log:
        after = env.reconcile(running(env))

    assert "download_host_not_allowed" in log.getvalue()
    assert (after.state, after.detail) == ("running", "host_not_listed: new.example")


def test_of_two_images_one_that_fails_keeps_the_task_open(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished("https://a.poyo.ai/1", "https://a.poyo.ai/2"))
    env.files.gives(png(), DownloadFailed("http_500"), png())
    before = running(env)

    assert env.reconcile(before).state == "running"
    assert env.reconcile(before).state == "finished"
    assert env.files.fetched == [
        "https://a.poyo.ai/1",
        "https://a.poyo.ai/2",
        "https://a.poyo.ai/2",
    ]


def test_a_bucket_that_is_away_is_left_to_the_queue(env: TestEnvironment) -> None:
    class Away:
        def find(self, task_id: str, n: int) -> None:
            return None

        def put(self, task_id: str, n: int, download: object) -> None:
            raise refusal("SlowDown", 503)

    env.upstream.answers("GET", finished())
    before = running(env)

    with pytest.raises(Exception, match="SlowDown"):
        env.reconciler_with(images=Away()).reconcile(
            TaskMessage(task_id=before.task_id, source="sweep")
        )
    assert env.read(before) == before


# Without PoYo's id


def test_a_sender_that_went_away_leaves_a_doubt(env: TestEnvironment) -> None:
    before = env.put(task())
    env.time.forward(LIMITS.submit_lease_s - 1)
    assert env.reconcile(before) == before
    env.time.forward(1)

    after = env.reconcile(before)

    assert after.state == "unknown"
    assert after.due_at == START + LIMITS.unconfirmed_after_s * 1000
    assert env.upstream.sent == []


def test_a_doubt_ends_after_an_hour_uncharged_for_all_we_know(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown", due_at=START + LIMITS.unconfirmed_after_s * 1000))
    assert env.reconcile(before) == before
    env.time.forward(LIMITS.unconfirmed_after_s)

    after = env.reconcile(before)

    assert (after.state, after.reason) == ("failed", "unconfirmed")
    assert REASONS["unconfirmed"].charged is None
    assert env.upstream.sent == []


def test_a_doubt_whose_look_was_moved_gets_its_own_time_back(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown", due_at=START + 7))

    assert env.reconcile(before).due_at == START + LIMITS.unconfirmed_after_s * 1000


def test_an_order_that_waits_is_posted_once_when_it_is_time(env: TestEnvironment) -> None:
    before = env.put(task(state="pending", not_before=START + 10_000))
    assert env.reconcile(before, source="retry") == before
    assert env.upstream.sent == []
    env.time.forward(10)

    after = env.reconcile(before, source="retry")

    assert (after.state, after.attempt, after.poyo_id) == ("running", 2, POYO_ID)
    assert env.upstream.count("POST") == 1
    assert env.upstream.sent[0].headers["Idempotency-Key"] == before.task_id


def test_of_two_bells_for_an_order_that_waits_one_posts(env: TestEnvironment) -> None:
    before = env.put(task(state="pending", not_before=START))

    def asked() -> HttpResponse:
        env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="retry"))
        return accepted()

    env.upstream.answers("POST", asked)
    env.reconcile(before, source="retry")

    assert env.upstream.count("POST") == 1


def test_an_order_that_waits_gives_up_after_half_an_hour(env: TestEnvironment) -> None:
    before = env.put(task(state="pending", not_before=START, detail="429"))
    env.time.forward(LIMITS.unavailable_after_s)

    after = env.reconcile(before)

    assert (after.state, after.reason, after.detail) == ("failed", "unavailable", "429")
    assert env.upstream.sent == []


def test_without_keys_an_order_that_waits_goes_on_waiting(env: TestEnvironment) -> None:
    class Keyless:
        def require_credentials(self) -> None:
            raise SecretInvalid("poyo_api_key")

    before = env.put(task(state="pending", not_before=START))

    with pytest.raises(SecretInvalid):
        env.reconciler_with(submitter=Keyless()).reconcile(
            TaskMessage(task_id=before.task_id, source="sweep")
        )
    assert env.read(before) == before


def test_when_poyo_has_no_room_an_order_waits_some_more(env: TestEnvironment) -> None:
    full = TestEnvironment(env.cloud, limits=replace(LIMITS, window_submits=1))
    full.submitter.acquire_slot()
    before = full.put(task(state="pending", not_before=START))

    after = full.reconcile(before)

    assert after.state == "pending"
    assert after.not_before is not None
    assert after.not_before > full.time.now
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
    env: TestEnvironment, changed: dict[str, Any]
) -> None:
    env.upstream.answers("GET", finished())

    after = env.reconcile(env.put(task(**changed)), source="callback", poyo_id=POYO_ID)

    assert (after.state, after.poyo_id) == ("finished", POYO_ID)
    assert env.table.get(poyo_pk(POYO_ID))["task_id"] == after.task_id
    assert env.upstream.count("POST") == 0
    assert [line["event"] for line in after.history][-2:] == ["submitted", "finished"]


@pytest.mark.parametrize("changed", LOOKS_FOR_AN_ID.values(), ids=LOOKS_FOR_AN_ID)
def test_an_id_that_poyo_does_not_know_yet_is_kept_and_asked_for_again(
    env: TestEnvironment, changed: dict[str, Any]
) -> None:
    env.upstream.answers("GET", MISSING, told("running"))
    before = env.put(task(**changed))

    after = env.reconcile(before, source="callback", poyo_id=POYO_ID)
    assert (after.state, after.candidate_poyo_ids) == (before.state, (POYO_ID,))
    assert env.due(after)
    assert env.upstream.count("POST") == 0
    env.time.forward(10)
    adopted = env.reconcile(before, source="retry")

    assert (adopted.state, adopted.poyo_id, adopted.candidate_poyo_ids) == ("running", POYO_ID, ())


def test_an_id_that_poyo_never_knows_is_dropped_in_the_end(env: TestEnvironment) -> None:
    env.upstream.answers("GET", MISSING)
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id="FORGED")
    for _ in range(LIMITS.candidate_checks + 2):
        after = env.reconcile(before)

    assert (after.state, after.candidate_poyo_ids) == ("unknown", ())
    assert after.due_at == START + LIMITS.unconfirmed_after_s * 1000


def test_while_poyo_does_not_answer_no_id_is_dropped(env: TestEnvironment) -> None:
    env.upstream.answers("GET", ResponseLost("x"))
    before = env.put(task(state="unknown"))
    env.reconcile(before, source="callback", poyo_id=POYO_ID)
    for _ in range(LIMITS.candidate_checks * 3):
        env.time.forward(LIMITS.unconfirmed_after_s)
        after = env.reconcile(before)

    assert (after.state, after.candidate_poyo_ids) == ("unknown", (POYO_ID,))


def test_only_a_few_ids_are_remembered_and_the_newest_first(env: TestEnvironment) -> None:
    env.upstream.answers("GET", MISSING)
    before = env.put(task(state="unknown"))
    for n in range(9):
        after = env.reconcile(before, source="callback", poyo_id=f"FORGED{n}")

    assert after.candidate_poyo_ids == ("FORGED5", "FORGED6", "FORGED7", "FORGED8")
    assert env.upstream.sent[-4].url.endswith("/FORGED8")


def test_an_id_that_another_task_owns_is_not_adopted(env: TestEnvironment) -> None:
    other = env.put(task("other", state="unknown"))
    env.reconcile(other, source="callback", poyo_id=POYO_ID)
    before = env.put(task(state="unknown"))
    with logged() as log:
        after = env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert (after.state, after.poyo_id) == ("unknown", None)
    assert "poyo_id_conflict" in log.getvalue()
    assert env.read(other).poyo_id == POYO_ID


@pytest.mark.parametrize("reason", sorted({"rejected", "moderated", "upstream", "unavailable"}))
def test_a_final_failure_adopts_nothing_and_asks_nobody(env: TestEnvironment, reason: str) -> None:
    before = failed(env, reason)

    assert env.reconcile(before, source="callback", poyo_id=POYO_ID) == before
    assert env.upstream.sent == []


def test_an_id_for_a_task_that_has_one_is_not_even_asked_for(env: TestEnvironment) -> None:
    after = env.reconcile(running(env), source="callback", poyo_id="FORGED")

    assert after.poyo_id == POYO_ID
    assert [sent.url.rpartition("/")[2] for sent in env.upstream.sent] == [POYO_ID]


def test_an_id_is_not_lost_when_somebody_moves_the_row_meanwhile(env: TestEnvironment) -> None:
    before = env.put(task(state="unknown"))

    def asked() -> HttpResponse:
        env.put(replace(before, due_at=START + 99_000))
        return MISSING

    env.upstream.answers("GET", asked)
    env.reconcile(before, source="callback", poyo_id=POYO_ID)

    assert env.read(before).candidate_poyo_ids == ()
    assert env.cloud.messages() == [{"delayed": True}]


# Late truth


@pytest.mark.parametrize("reason", ["timed_out", "result_expired"])
def test_late_truth_wins_over_a_soft_failure(env: TestEnvironment, reason: str) -> None:
    env.upstream.answers("GET", finished())

    after = env.reconcile(failed(env, reason, poyo_id=POYO_ID), source="callback")

    assert (after.state, after.reason) == ("finished", None)
    assert len(after.files) == 1


def test_a_late_image_that_is_not_to_be_had_yet_revives_the_task(env: TestEnvironment) -> None:
    env.upstream.answers("GET", finished())
    env.files.gives(DownloadFailed("unreachable"), png())
    before = failed(env, "timed_out", poyo_id=POYO_ID)

    after = env.reconcile(before, source="callback")
    assert (after.state, after.reason, after.finished_at) == ("running", None, None)
    assert env.due(after)

    assert env.reconcile(before).state == "finished"


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_soft_failure_that_does_not_improve_stays(env: TestEnvironment, status: str) -> None:
    env.upstream.answers("GET", told(status))
    before = failed(env, "timed_out", poyo_id=POYO_ID, due_at=START, due_shard="1")

    after = env.reconcile(before)

    assert (after.state, after.reason) == ("failed", "timed_out")
    assert not env.due(after)
    assert env.reconcile(after) == after


def test_a_soft_failure_is_asked_about_for_a_week_while_poyo_is_away(env: TestEnvironment) -> None:
    env.upstream.answers("GET", ResponseLost("x"))
    before = failed(env, "timed_out", poyo_id=POYO_ID)
    assert env.due(env.reconcile(before, source="callback"))
    env.time.forward(LIMITS.reopen_within_s)

    after = env.reconcile(before)

    assert after.reason == "timed_out"
    assert not env.due(after)


@pytest.mark.parametrize(
    "reason", sorted(set(REASONS) - {"unconfirmed", "timed_out", "result_expired"})
)
def test_a_final_failure_stays_and_asks_nobody(env: TestEnvironment, reason: str) -> None:
    before = failed(env, reason, poyo_id=POYO_ID)

    assert env.reconcile(before, source="callback") == before
    assert env.upstream.sent == []


# Around it


def test_a_bell_for_nobody_is_no_error(env: TestEnvironment) -> None:
    with logged() as log:
        env.reconciler.reconcile(TaskMessage(task_id="nobody", source="callback", poyo_id=POYO_ID))

    assert "task_not_found" in log.getvalue()
    assert env.upstream.sent == []


def test_a_state_of_a_newer_version_is_left_alone(env: TestEnvironment) -> None:
    before = env.put(task(state="upscaling", poyo_id=POYO_ID))

    assert env.reconcile(before, source="callback") == before
    assert env.upstream.sent == []


def test_a_dumb_bell_leaves_the_look_to_the_sweep(env: TestEnvironment) -> None:
    class Dumb:
        def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
            raise QueueUnavailable("dumb")

    before = running(env)
    env.reconciler_with(queue=Dumb()).reconcile(
        TaskMessage(task_id=before.task_id, source="callback")
    )

    assert env.due(env.read(before))


def test_a_table_that_is_away_is_left_to_the_queue(env: TestEnvironment) -> None:
    before = running(env)
    away = TestEnvironment(replace(env.cloud, table_name="no-such-table"))

    with pytest.raises(DatabaseUnavailable):
        away.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="sweep"))


def test_a_doubled_bell_costs_one_status_and_no_second_download(env: TestEnvironment) -> None:
    before = running(env)

    def asked() -> HttpResponse:
        env.upstream.answers("GET", finished())
        env.reconciler.reconcile(TaskMessage(task_id=before.task_id, source="callback"))
        return finished()

    env.upstream.answers("GET", asked)
    after = env.reconcile(before, source="callback")

    assert after.state == "finished"
    assert [line["event"] for line in after.history].count("finished") == 1
    assert len(env.files.fetched) == 1


def test_a_look_reads_the_row_once_and_writes_it_once(env: TestEnvironment) -> None:
    before = running(env)
    made = calls(env.table.client)

    env.reconcile(before)

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
    env: TestEnvironment,
    answer: HttpResponse,
    file: bytes | Exception,
    poyo_id: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env.upstream.answers("GET", answer)
    env.files.gives(file)
    before = running(env) if poyo_id else env.put(task(state="unknown"))
    with logged() as log:
        env.reconcile(before, source="callback", poyo_id=POYO_ID)

    said = log.getvalue() + capsys.readouterr().out
    assert before.task_id in said
    for canary in (PROMPT, POYO_KEY, "https://", "doculator"):
        assert canary not in said
