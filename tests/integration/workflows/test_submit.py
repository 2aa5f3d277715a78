"""Submitting: one order, one item and one POST, whatever its outcome, and nothing is paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagetasks.errors import (
    RequestNotSent,
    ResponseLost,
    SecretInvalid,
)
from imagetasks.limits import Limits
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id
from tests.fixtures import poyo_responses
from tests.support.emulated_aws import CALLBACK_KEY
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.fakes import (
    POYO_ID,
    START,
    poyo_client,
    poyo_response,
    submit_response,
)

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


def test_idempotency_key_of_another_order_submits_nothing(env: TestEnvironment) -> None:
    first = env.submitter.submit(order()).task

    for other in (
        order(input={"prompt": "another"}),
        order(model="gpt-image-2-edit"),
        order(metadata={"a": "b"}),
    ):
        placement = env.submitter.submit(other)
        assert (placement.replayed, placement.task.fingerprint) == (True, first.fingerprint)
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
