"""One order, one row, one POST: every way it can come out, and none of them paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    QueueUnavailable,
    RequestNotSent,
    ResponseLost,
    SecretInvalid,
)
from imagetasks.limits import Limits
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import derive_task_id
from imagetasks.tasks.transition_writes import TransitionWrite
from imagetasks.workflows.submit import Submitter
from tests.fixtures import poyo_responses
from tests.support.environment import CALLBACK_KEY, TestEnvironment, new_environment, order
from tests.support.fakes import (
    POYO_ID,
    POYO_KEY,
    PROMPT,
    START,
    poyo_client,
    poyo_response,
    submit_response,
)
from tests.support.lambdas import captured_logs

LIMITS = Limits()


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as made:
        made.fake_poyo.respond_with("POST", submit_response())
        yield made


@dataclass(frozen=True)
class Away(TaskRepository):
    """A store whose table goes away once PoYo has answered."""

    fails: frozenset[str] = frozenset({"confirm_submission", "apply"})

    def confirm_submission(self, change: TransitionWrite, poyo_id: str) -> WriteResult:
        if "confirm_submission" in self.fails:
            raise DatabaseUnavailable("away")
        return super().confirm_submission(change, poyo_id)

    def apply(self, change: TransitionWrite) -> WriteResult:
        if "apply" in self.fails:
            raise DatabaseUnavailable("away")
        return super().apply(change)


class Dumb:
    """A bell that cannot be rung."""

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        raise QueueUnavailable("dumb")


def submitting(env: TestEnvironment, **replaced: Any) -> Submitter:
    return env.submitter_with(**replaced)


def test_an_accepted_order_runs_under_poyos_id(env: TestEnvironment) -> None:
    placement = env.submitter.submit(order())
    made, replayed = placement.task, placement.replayed

    assert not replayed
    assert made == env.read(made)
    assert (made.state, made.poyo_id, made.attempt) == ("running", POYO_ID, 1)
    assert made.due_at == START + LIMITS.first_poll_s * 1000
    assert [line["event"] for line in made.history] == ["accepted", "submitted"]
    assert env.is_due(made)


def test_the_post_carries_our_id_and_a_callback_that_opens_the_door(env: TestEnvironment) -> None:
    made = env.submitter.submit(order()).task

    [sent] = env.fake_poyo.requests
    path = signed_urls.callback_path("k1", CALLBACK_KEY, made.task_id)
    assert sent.content == {
        "model": "gpt-image-2",
        "callback_url": f"https://img.example{path}",
        "input": dict(order().input),
    }
    assert sent.headers["Idempotency-Key"] == made.task_id


def test_the_row_is_there_before_poyo_hears_of_it(env: TestEnvironment) -> None:
    seen: list[str] = []

    def asked() -> HttpResponse:
        row = env.repository.get(derive_task_id("owner", "key"))
        seen.append(row.state)
        assert env.is_due(row)
        return submit_response()

    env.fake_poyo.respond_with("POST", asked)
    env.submitter.submit(order())

    assert seen == ["submitting"]


OUTCOMES: dict[str, tuple[HttpResponse | Exception, str, str | None]] = {
    **{
        f"accepted: {name}": (HttpResponse(200, b), "running", None)
        for name, b in poyo_responses.SUBMIT_ACCEPTED.items()
    },
    **{
        f"refused: {n}": (HttpResponse(s, b), "failed", r)
        for n, (s, b, r) in poyo_responses.SUBMIT_REJECTED.items()
    },
    **{
        f"later: {n}": (HttpResponse(s, b), "pending", None)
        for n, (s, b, _) in poyo_responses.SUBMIT_RATE_LIMITED.items()
    },
    **{
        f"ambiguous: {n}": (HttpResponse(s, b), "unknown", None)
        for n, (s, b) in poyo_responses.SUBMIT_AMBIGUOUS.items()
    },
    "not sent": (RequestNotSent("ConnectTimeout"), "pending", None),
    "answer lost": (ResponseLost("ReadTimeout"), "unknown", None),
}


@pytest.mark.parametrize(("answer", "state", "reason"), OUTCOMES.values(), ids=OUTCOMES)
def test_each_outcome_of_the_one_post(
    env: TestEnvironment, answer: HttpResponse | Exception, state: str, reason: str | None
) -> None:
    env.fake_poyo.respond_with("POST", answer, submit_response("NEVER"))

    made = env.submitter.submit(order()).task
    placement = env.submitter.submit(order())
    again, replayed = placement.task, placement.replayed

    assert (made.state, made.reason) == (state, reason)
    assert replayed
    assert again == made == env.read(made)
    assert env.fake_poyo.request_count("POST") == 1
    assert env.is_due(made) is (state != "failed")


def test_what_poyo_would_not_take_yet_waits_as_long_as_it_asks(env: TestEnvironment) -> None:
    said = {"code": 429, "error": {"message": "Please try again in 20 seconds."}}
    env.fake_poyo.respond_with("POST", poyo_response(said, 429))

    made = env.submitter.submit(order()).task

    assert made.not_before is not None
    assert 20_000 <= made.not_before - START <= 30_000
    assert made.due_at == made.not_before + LIMITS.sweep_fallback_s * 1000
    assert env.cloud.messages() == [{"delayed": True}]


def test_a_wait_that_poyo_asks_for_has_a_bound(env: TestEnvironment) -> None:
    said = {"code": 429, "error": {"message": "try again in 9999 seconds"}}
    env.fake_poyo.respond_with("POST", poyo_response(said, 429))

    made = env.submitter.submit(order()).task

    assert made.not_before == START + LIMITS.submit_backoff_s[1] * 1000


def test_an_ambiguous_submit_is_given_an_hour(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))

    made = env.submitter.submit(order()).task

    assert made.due_at == START + LIMITS.unconfirmed_after_s * 1000
    assert made.detail == "answer lost: ReadTimeout"
    assert env.cloud.messages() == []


def test_the_same_key_with_another_body_is_refused(env: TestEnvironment) -> None:
    env.submitter.submit(order())

    for other in (
        order(input={"prompt": "another"}),
        order(model="gpt-image-2-edit"),
        order(metadata={"a": "b"}),
    ):
        with pytest.raises(IdempotencyKeyReused):
            env.submitter.submit(other)
    assert env.fake_poyo.request_count("POST") == 1


def test_another_owner_with_the_same_key_has_another_task(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", submit_response("ONE"), submit_response("TWO"))

    mine = env.submitter.submit(order()).task
    placement = env.submitter.submit(order(owner="stranger", input={"prompt": "theirs"}))
    theirs, replayed = placement.task, placement.replayed

    assert not replayed
    assert mine.task_id != theirs.task_id


def test_without_keys_nothing_is_written(env: TestEnvironment) -> None:
    def missing() -> str:
        raise SecretInvalid("poyo_api_key")

    keyless = replace(poyo_client(env.fake_poyo), key=missing)

    with pytest.raises(SecretInvalid):
        submitting(env, poyo=keyless).submit(order())
    assert env.cloud.items() == []


def test_an_id_that_could_not_be_written_goes_to_the_bell(env: TestEnvironment) -> None:
    made = submitting(env, repository=Away(env.table)).submit(order()).task

    assert made.state == "submitting"
    assert env.cloud.messages() == [
        {"task_id": made.task_id, "source": "submit", "poyo_id": POYO_ID}
    ]


def test_an_id_that_no_bell_takes_either_goes_to_the_log(env: TestEnvironment) -> None:
    with captured_logs() as log:
        made = submitting(env, repository=Away(env.table), queue=Dumb()).submit(order()).task

    assert made.state == "submitting"
    assert POYO_ID in log.getvalue()
    assert '"level":"ERROR"' in log.getvalue().replace(" ", "")


@pytest.mark.parametrize(
    "answer",
    [
        ResponseLost("x"),
        RequestNotSent("x"),
        HttpResponse(429, b""),
        HttpResponse(400, b""),
        HttpResponse(500, b""),
    ],
)
def test_after_the_post_nothing_raises(
    env: TestEnvironment, answer: HttpResponse | Exception
) -> None:
    env.fake_poyo.respond_with("POST", answer)
    deaf = submitting(env, repository=Away(env.table), queue=Dumb())

    placement = deaf.submit(order())
    made, replayed = placement.task, placement.replayed

    assert (made.state, replayed) == ("submitting", False)
    assert env.is_due(made)


def test_an_id_that_another_task_owns_is_not_taken(env: TestEnvironment) -> None:
    first = env.submitter.submit(order("first")).task
    with captured_logs() as log:
        second = env.submitter.submit(order("second")).task

    assert (second.state, second.poyo_id) == ("unknown", None)
    assert env.read(first).poyo_id == POYO_ID
    assert "poyo_id_conflict" in log.getvalue()


def test_a_callback_that_bound_the_task_first_is_no_loss(env: TestEnvironment) -> None:
    def asked() -> HttpResponse:
        early = env.repository.get(derive_task_id("owner", "key"))
        env.fake_poyo.respond_with(
            "GET", poyo_response({"code": 200, "data": {"status": "running"}})
        )
        env.reconcile(early, source="callback", poyo_id=POYO_ID)
        return submit_response()

    env.fake_poyo.respond_with("POST", asked)
    with captured_logs() as log:
        made = env.submitter.submit(order()).task

    assert (made.state, made.poyo_id) == ("running", POYO_ID)
    assert "duplicate_poyo_task" not in log.getvalue()
    assert [line["event"] for line in made.history] == ["accepted", "submitted"]


def test_two_ids_for_one_task_page_the_operator(env: TestEnvironment) -> None:
    def asked() -> HttpResponse:
        early = env.repository.get(derive_task_id("owner", "key"))
        env.fake_poyo.respond_with(
            "GET", poyo_response({"code": 200, "data": {"status": "running"}})
        )
        env.reconcile(early, source="callback", poyo_id="FIRST")
        return submit_response("SECOND")

    env.fake_poyo.respond_with("POST", asked)
    with captured_logs() as log:
        made = env.submitter.submit(order()).task

    assert made.poyo_id == "FIRST"
    assert "duplicate_poyo_task" in log.getvalue()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "unavailable"), (403, "unavailable"), (402, "insufficient_credits")],
)
def test_a_refused_account_pages_the_operator(
    env: TestEnvironment, status: int, reason: str
) -> None:
    env.fake_poyo.respond_with("POST", HttpResponse(status, b""))
    with captured_logs() as log:
        made = env.submitter.submit(order()).task

    assert made.reason == reason
    assert "poyo_account_rejected" in log.getvalue()


@pytest.mark.parametrize(
    "answer",
    [
        submit_response(),
        poyo_response({"code": 400, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 400),
        poyo_response({"code": 401, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 401),
        poyo_response({"code": 429, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 429),
        poyo_response({"code": 500, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 500),
        ResponseLost("x"),
        RequestNotSent("x"),
    ],
)
@pytest.mark.parametrize("away", [False, True])
def test_no_log_line_of_a_submit_tells_a_secret(
    env: TestEnvironment,
    answer: HttpResponse | Exception,
    away: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env.fake_poyo.respond_with("POST", answer)
    used = submitting(env, repository=Away(env.table), queue=Dumb()) if away else env.submitter
    with captured_logs() as log:
        made = used.submit(order()).task

    said = log.getvalue() + capsys.readouterr().out
    mac = signed_urls.callback_token(CALLBACK_KEY, made.task_id)
    assert made.task_id in said
    for canary in (PROMPT, POYO_KEY, CALLBACK_KEY, mac, "https://", "/callbacks/"):
        assert canary not in said


def test_the_same_order_at_once_is_one_post(env: TestEnvironment) -> None:
    seen: list[bool] = []

    def asked() -> HttpResponse:
        seen.append(env.submitter.submit(order()).replayed)
        return submit_response()

    env.fake_poyo.respond_with("POST", asked)
    env.submitter.submit(order())

    assert seen == [True]
    assert env.fake_poyo.request_count("POST") == 1
