"""Submitting while DynamoDB or SQS is unavailable, concurrently with a callback, and what is logged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagetasks.errors import RequestNotSent, ResponseLost, SubmitOutcomeUnknown
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
from tests.support.emulated_aws import CALLBACK_KEY
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    POYO_ID,
    POYO_KEY,
    PROMPT,
    START,
    finished_response,
    poyo_response,
    status_response,
    submit_response,
)
from tests.support.lambdas import captured_logs
from tests.support.unavailable import UnavailableQueue, UnavailableRepository


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("POST", submit_response())
        yield environment


def test_poyo_id_that_could_not_be_written_is_enqueued(env: TestEnvironment) -> None:
    created = env.submitter_with(repository=UnavailableRepository(env.table)).submit(order()).task

    assert created.state == "submitting"
    assert env.cloud.messages() == [
        {"task_id": created.task_id, "source": "submit", "poyo_id": POYO_ID, "due_since": None}
    ]


def test_poyo_id_that_could_not_be_written_or_enqueued_is_logged_as_an_error(
    env: TestEnvironment,
) -> None:
    with captured_logs() as log:
        created = (
            env.submitter_with(
                repository=UnavailableRepository(env.table), queue=UnavailableQueue()
            )
            .submit(order())
            .task
        )

    assert created.state == "submitting"
    assert POYO_ID in log.getvalue()
    assert '"level":"ERROR"' in log.getvalue().replace(" ", "")


class DoubtfulPoyo:
    """A client of PoYo whose answer to a submit is in doubt and names an id."""

    def key(self) -> str:
        return POYO_KEY

    def submit(self, **order: object) -> str:
        raise SubmitOutcomeUnknown("500", poyo_id=POYO_ID)


def test_id_that_a_doubtful_answer_named_is_a_candidate_and_asked_for_at_once(
    env: TestEnvironment,
) -> None:
    created = env.submitter_with(poyo=DoubtfulPoyo()).submit(order()).task

    assert (created.state, created.candidate_poyo_ids) == ("unknown", (POYO_ID,))
    assert created.due_at == START
    [message] = env.cloud.messages()
    assert (message["task_id"], message["poyo_id"]) == (created.task_id, POYO_ID)
    env.fake_poyo.respond_with("GET", finished_response())
    assert env.reconcile(created).state == "finished"


def test_id_that_a_doubtful_answer_named_is_enqueued_or_logged_when_dynamodb_is_unavailable(
    env: TestEnvironment,
) -> None:
    repository = UnavailableRepository(env.table)
    created = env.submitter_with(repository=repository, poyo=DoubtfulPoyo()).submit(order()).task

    [message] = env.cloud.messages()
    assert (message["task_id"], message["poyo_id"]) == (created.task_id, POYO_ID)
    with captured_logs() as log:
        env.submitter_with(
            repository=repository, poyo=DoubtfulPoyo(), queue=UnavailableQueue()
        ).submit(order("second"))
    line = next(each for each in log.getvalue().splitlines() if "enqueue_failed" in each)
    assert '"level":"ERROR"' in line
    assert POYO_ID in line


@pytest.mark.parametrize(
    "response",
    [
        ResponseLost("x"),
        RequestNotSent("x"),
        HttpResponse(429, b""),
        HttpResponse(400, b""),
        HttpResponse(500, b""),
    ],
)
def test_nothing_is_raised_after_the_post_when_dynamodb_and_sqs_are_unavailable(
    env: TestEnvironment, response: HttpResponse | Exception
) -> None:
    env.fake_poyo.respond_with("POST", response)
    submitter = env.submitter_with(
        repository=UnavailableRepository(env.table), queue=UnavailableQueue()
    )

    placement = submitter.submit(order())
    created, replayed = placement.task, placement.replayed

    assert (created.state, replayed) == ("submitting", False)
    assert env.is_due(created)


def test_poyo_id_of_another_task_is_not_confirmed(env: TestEnvironment) -> None:
    first = env.submitter.submit(order("first")).task
    with captured_logs() as log:
        second = env.submitter.submit(order("second")).task

    assert (second.state, second.poyo_id) == ("unknown", None)
    assert env.read(first).poyo_id == POYO_ID
    assert "poyo_id_conflict" in log.getvalue()


def test_callback_may_confirm_the_poyo_id_before_the_response_arrives(env: TestEnvironment) -> None:
    def concurrent() -> HttpResponse:
        task = env.repository.get(derive_task_id("owner", "key"))
        env.fake_poyo.respond_with("GET", status_response("running"))
        env.reconcile(task, source="callback", poyo_id=POYO_ID)
        return submit_response()

    env.fake_poyo.respond_with("POST", concurrent)
    with captured_logs() as log:
        created = env.submitter.submit(order()).task

    assert (created.state, created.poyo_id) == ("running", POYO_ID)
    assert "duplicate_poyo_task" not in log.getvalue()
    assert [entry["event"] for entry in created.history] == ["accepted", "submitted"]


def test_two_poyo_ids_for_one_task_raise_an_alarm(env: TestEnvironment) -> None:
    def concurrent() -> HttpResponse:
        task = env.repository.get(derive_task_id("owner", "key"))
        env.updater.confirm_submission(task, poyo_id="FIRST", source="answer")
        return submit_response("SECOND")

    env.fake_poyo.respond_with("POST", concurrent)
    with captured_logs() as log:
        created = env.submitter.submit(order()).task

    assert created.poyo_id == "FIRST"
    assert "duplicate_poyo_task" in log.getvalue()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "unavailable"), (403, "unavailable"), (402, "insufficient_credits")],
)
def test_rejected_account_raises_an_alarm(env: TestEnvironment, status: int, reason: str) -> None:
    env.fake_poyo.respond_with("POST", HttpResponse(status, b""))
    with captured_logs() as log:
        created = env.submitter.submit(order()).task

    assert created.reason == reason
    assert "poyo_account_rejected" in log.getvalue()


@pytest.mark.parametrize(
    "response",
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
@pytest.mark.parametrize("unavailable", [False, True])
def test_no_log_line_of_a_submit_contains_a_secret(
    env: TestEnvironment,
    response: HttpResponse | Exception,
    unavailable: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env.fake_poyo.respond_with("POST", response)
    submitter = (
        env.submitter_with(repository=UnavailableRepository(env.table), queue=UnavailableQueue())
        if unavailable
        else env.submitter
    )
    with captured_logs() as log:
        created = submitter.submit(order()).task

    output = log.getvalue() + capsys.readouterr().out
    token = signed_urls.callback_token(CALLBACK_KEY, created.task_id)
    assert created.task_id in output
    for canary in (PROMPT, POYO_KEY, CALLBACK_KEY, token, "https://", "/callbacks/"):
        assert canary not in output


def test_concurrent_replay_makes_no_second_post(env: TestEnvironment) -> None:
    seen: list[bool] = []

    def concurrent() -> HttpResponse:
        seen.append(env.submitter.submit(order()).replayed)
        return submit_response()

    env.fake_poyo.respond_with("POST", concurrent)
    env.submitter.submit(order())

    assert seen == [True]
    assert env.fake_poyo.request_count("POST") == 1
