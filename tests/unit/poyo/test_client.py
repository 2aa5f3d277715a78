"""PoyoClient: the requests it sends, and what it raises when there is no usable response."""

from decimal import Decimal

import pytest

from imagetasks.errors import (
    PoyoRejected,
    PoyoUnavailable,
    RequestNotSent,
    ResponseLost,
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.transport import HttpResponse
from tests.support.fakes import (
    POYO_ID,
    POYO_KEY,
    FakePoyo,
    poyo_client,
    poyo_response,
    status_response,
    submit_response,
)

CALLBACK_URL = "https://api.example/callbacks/poyo/k1/t/m"


@pytest.fixture
def fake_poyo() -> FakePoyo:
    return FakePoyo()


def test_submit_is_one_post_with_callback_url_and_idempotency_key(fake_poyo: FakePoyo) -> None:
    fake_poyo.respond_with("POST", submit_response())

    poyo_id = poyo_client(fake_poyo).submit(
        model="gpt-image-2", order={"prompt": "é"}, callback_url=CALLBACK_URL, idempotency_key="id"
    )

    assert poyo_id == POYO_ID
    [request] = fake_poyo.requests
    assert (request.method, request.url) == ("POST", "https://api.poyo.test/api/generate/submit")
    assert request.content == {
        "model": "gpt-image-2",
        "callback_url": CALLBACK_URL,
        "input": {"prompt": "é"},
    }
    assert request.headers["Authorization"] == f"Bearer {POYO_KEY}"
    assert request.headers["Idempotency-Key"] == "id"
    assert request.headers["User-Agent"]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(RequestNotSent("x"), PoyoUnavailable), (ResponseLost("x"), SubmitOutcomeUnknown)],
)
def test_submit_is_never_repeated_after_a_network_failure(
    fake_poyo: FakePoyo, failure: Exception, expected: type[Exception]
) -> None:
    fake_poyo.respond_with("POST", failure, submit_response())

    with pytest.raises(expected):
        poyo_client(fake_poyo).submit(
            model="m", order={}, callback_url=CALLBACK_URL, idempotency_key="id"
        )

    assert fake_poyo.request_count("POST") == 1


def test_id_in_a_lost_response_to_a_submit_is_kept(fake_poyo: FakePoyo) -> None:
    partial = b'{"code":200,"data":{"task_id":"ABC","stat'
    fake_poyo.respond_with("POST", ResponseLost("IncompleteRead", partial=partial))

    with pytest.raises(SubmitOutcomeUnknown) as unknown:
        poyo_client(fake_poyo).submit(
            model="m", order={}, callback_url=CALLBACK_URL, idempotency_key="id"
        )

    assert unknown.value.poyo_id == "ABC"


def test_prompt_that_was_sent_is_not_the_reason_of_an_error(fake_poyo: FakePoyo) -> None:
    prompt = "a poster about content policy"
    body = {"code": 400, "error": {"message": f"Could not tokenize {prompt}"}}
    fake_poyo.respond_with("POST", poyo_response(body, 400))
    fake_poyo.respond_with("GET", status_response("failed", error_message=f"Worker lost {prompt}"))

    with pytest.raises(PoyoRejected) as rejected:
        poyo_client(fake_poyo).submit(
            model="m", order={"prompt": prompt}, callback_url=CALLBACK_URL, idempotency_key="id"
        )

    assert rejected.value.reason == "rejected"
    assert not poyo_client(fake_poyo).status(POYO_ID, prompt=prompt).moderated


def test_status_is_asked_and_answered_for_one_id(fake_poyo: FakePoyo) -> None:
    fake_poyo.respond_with("GET", status_response("finished", task_id="SOMEBODYELSES001"))

    with pytest.raises(PoyoUnavailable) as unavailable:
        poyo_client(fake_poyo).status(POYO_ID)

    assert unavailable.value.mismatched


@pytest.mark.parametrize("failure", [RequestNotSent("x"), ResponseLost("x")])
def test_network_failure_of_a_poll_is_not_our_fault(
    fake_poyo: FakePoyo, failure: Exception
) -> None:
    fake_poyo.respond_with("GET", failure)

    with pytest.raises(PoyoUnavailable) as unavailable:
        poyo_client(fake_poyo).status(POYO_ID)

    assert not unavailable.value.ours


@pytest.mark.parametrize("status", [401, 200])
def test_401_for_a_rotated_key_asks_for_a_retry(fake_poyo: FakePoyo, status: int) -> None:
    response = poyo_response({"code": 401, "error": {"message": "Invalid API key"}}, status)
    fake_poyo.respond_with("POST", response)
    fake_poyo.respond_with("GET", response)
    client = poyo_client(fake_poyo, refresh_key=lambda _: True)

    with pytest.raises(PoyoUnavailable):
        client.submit(model="m", order={}, callback_url=CALLBACK_URL, idempotency_key="id")
    with pytest.raises(PoyoUnavailable) as unavailable:
        client.status(POYO_ID)

    assert not unavailable.value.ours


def test_401_for_the_current_key_is_our_fault(fake_poyo: FakePoyo) -> None:
    response = poyo_response({"code": 401, "error": {"message": "Invalid API key"}}, 401)
    fake_poyo.respond_with("POST", response)
    fake_poyo.respond_with("GET", response)
    client = poyo_client(fake_poyo)

    with pytest.raises(PoyoRejected):
        client.submit(model="m", order={}, callback_url=CALLBACK_URL, idempotency_key="id")
    with pytest.raises(PoyoUnavailable) as unavailable:
        client.status(POYO_ID)

    assert unavailable.value.ours


def test_key_is_refreshed_for_no_response_but_401(fake_poyo: FakePoyo) -> None:
    def fail(key: str) -> bool:
        raise AssertionError

    fake_poyo.respond_with(
        "GET",
        status_response("running", progress=1),
        HttpResponse(500, b""),
        HttpResponse(403, b""),
    )
    client = poyo_client(fake_poyo, refresh_key=fail)

    assert client.status(POYO_ID).progress == Decimal(1)
    for _ in range(2):
        with pytest.raises(PoyoUnavailable):
            client.status(POYO_ID)


@pytest.mark.parametrize("credits_amount", [12.5, "12.5"])
def test_balance_is_the_credits_of_the_account(fake_poyo: FakePoyo, credits_amount: object) -> None:
    data = {"email": "account@example.com", "credits_amount": credits_amount}
    fake_poyo.respond_with("GET", poyo_response({"code": 200, "data": data}))

    assert poyo_client(fake_poyo).balance() == Decimal("12.5")
    assert fake_poyo.requests[0].url == "https://api.poyo.test/api/user/balance"


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(500, b""),
        poyo_response({"code": 200, "data": {}}),
        poyo_response({"code": 500, "data": {"credits_amount": 1}}),
    ],
)
def test_balance_without_credits_raises_poyo_unavailable(
    fake_poyo: FakePoyo, response: HttpResponse
) -> None:
    fake_poyo.respond_with("GET", response)

    with pytest.raises(PoyoUnavailable):
        poyo_client(fake_poyo).balance()
