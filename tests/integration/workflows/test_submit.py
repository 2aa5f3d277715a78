"""Submitting: one order, one item and one POST, whatever its outcome, and nothing is paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagetasks.errors import (
    IdempotencyKeyReused,
    RequestNotSent,
    ResponseLost,
    SecretInvalid,
)
from imagetasks.limits import Limits
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
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
from tests.support.unavailable import UnavailableQueue, UnavailableRepository

LIMITS = Limits()


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        environment.fake_poyo.respond_with("POST", submit_response())
        yield environment


def test_accepted_order_runs_with_poyos_id(env: TestEnvironment) -> None:
    placement = env.submitter.submit(order())
    created, replayed = placement.task, placement.replayed

    assert not replayed
    assert created == env.read(created)
    assert (created.state, created.poyo_id, created.attempt) == ("running", POYO_ID, 1)
    assert created.due_at == START + LIMITS.first_poll_s * 1000
    assert [entry["event"] for entry in created.history] == ["accepted", "submitted"]
    assert env.is_due(created)


def test_post_carries_the_task_id_and_a_valid_callback_url(env: TestEnvironment) -> None:
    created = env.submitter.submit(order()).task

    [sent] = env.fake_poyo.requests
    path = signed_urls.callback_path("k1", CALLBACK_KEY, created.task_id)
    assert sent.content == {
        "model": "gpt-image-2",
        "callback_url": f"https://img.example{path}",
        "input": dict(order().input),
    }
    assert sent.headers["Idempotency-Key"] == created.task_id


def test_item_is_written_before_the_post(env: TestEnvironment) -> None:
    seen: list[str] = []

    def concurrent() -> HttpResponse:
        item = env.repository.get(derive_task_id("owner", "key"))
        seen.append(item.state)
        assert env.is_due(item)
        return submit_response()

    env.fake_poyo.respond_with("POST", concurrent)
    env.submitter.submit(order())

    assert seen == ["submitting"]


OUTCOMES: dict[str, tuple[HttpResponse | Exception, str, str | None]] = {
    **{
        f"accepted: {name}": (HttpResponse(200, b), "running", None)
        for name, b in poyo_responses.SUBMIT_ACCEPTED.items()
    },
    **{
        f"rejected: {n}": (HttpResponse(s, b), "failed", r)
        for n, (s, b, r) in poyo_responses.SUBMIT_REJECTED.items()
    },
    **{
        f"rate limited: {n}": (HttpResponse(s, b), "pending", None)
        for n, (s, b, _) in poyo_responses.SUBMIT_RATE_LIMITED.items()
    },
    **{
        f"ambiguous: {n}": (HttpResponse(s, b), "unknown", None)
        for n, (s, b) in poyo_responses.SUBMIT_AMBIGUOUS.items()
    },
    "not sent": (RequestNotSent("ConnectTimeout"), "pending", None),
    "response lost": (ResponseLost("ReadTimeout"), "unknown", None),
}


@pytest.mark.parametrize(("response", "state", "reason"), OUTCOMES.values(), ids=OUTCOMES)
def test_each_outcome_of_the_one_post(
    env: TestEnvironment, response: HttpResponse | Exception, state: str, reason: str | None
) -> None:
    env.fake_poyo.respond_with("POST", response, submit_response("UNUSED"))

    created = env.submitter.submit(order()).task
    placement = env.submitter.submit(order())
    replay, replayed = placement.task, placement.replayed

    assert (created.state, created.reason) == (state, reason)
    assert replayed
    assert replay == created == env.read(created)
    assert env.fake_poyo.request_count("POST") == 1
    assert env.is_due(created) is (state != "failed")


def test_rate_limited_order_waits_as_long_as_poyo_demands(env: TestEnvironment) -> None:
    body = {"code": 429, "error": {"message": "Please try again in 20 seconds."}}
    env.fake_poyo.respond_with("POST", poyo_response(body, 429))

    created = env.submitter.submit(order()).task

    assert created.not_before is not None
    assert 20_000 <= created.not_before - START <= 30_000
    assert created.due_at == created.not_before + LIMITS.sweep_fallback_s * 1000
    assert env.cloud.messages() == [{"delayed": True}]


def test_delay_that_poyo_demands_is_bounded(env: TestEnvironment) -> None:
    body = {"code": 429, "error": {"message": "try again in 9999 seconds"}}
    env.fake_poyo.respond_with("POST", poyo_response(body, 429))

    created = env.submitter.submit(order()).task

    assert created.not_before == START + LIMITS.submit_backoff_s[1] * 1000


def test_submit_with_an_unknown_outcome_is_due_after_an_hour(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", ResponseLost("ReadTimeout"))

    created = env.submitter.submit(order()).task

    assert created.due_at == START + LIMITS.unconfirmed_after_s * 1000
    assert created.detail == "answer lost: ReadTimeout"
    assert env.cloud.messages() == []


def test_idempotency_key_with_another_body_is_rejected(env: TestEnvironment) -> None:
    env.submitter.submit(order())

    for other in (
        order(input={"prompt": "another"}),
        order(model="gpt-image-2-edit"),
        order(metadata={"a": "b"}),
    ):
        with pytest.raises(IdempotencyKeyReused):
            env.submitter.submit(other)
    assert env.fake_poyo.request_count("POST") == 1


def test_same_key_of_another_owner_creates_another_task(env: TestEnvironment) -> None:
    env.fake_poyo.respond_with("POST", submit_response("ONE"), submit_response("TWO"))

    first = env.submitter.submit(order()).task
    placement = env.submitter.submit(order(owner="other", input={"prompt": "another"}))
    second, replayed = placement.task, placement.replayed

    assert not replayed
    assert first.task_id != second.task_id


def test_nothing_is_written_without_an_api_key(env: TestEnvironment) -> None:
    def missing() -> str:
        raise SecretInvalid("poyo_api_key")

    without_key = replace(poyo_client(env.fake_poyo), key=missing)

    with pytest.raises(SecretInvalid):
        env.submitter_with(poyo=without_key).submit(order())
    assert env.cloud.items() == []


def test_poyo_id_that_could_not_be_written_is_enqueued(env: TestEnvironment) -> None:
    created = env.submitter_with(repository=UnavailableRepository(env.table)).submit(order()).task

    assert created.state == "submitting"
    assert env.cloud.messages() == [
        {"task_id": created.task_id, "source": "submit", "poyo_id": POYO_ID}
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
        env.fake_poyo.respond_with(
            "GET", poyo_response({"code": 200, "data": {"status": "running"}})
        )
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
        env.fake_poyo.respond_with(
            "GET", poyo_response({"code": 200, "data": {"status": "running"}})
        )
        env.reconcile(task, source="callback", poyo_id="FIRST")
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
