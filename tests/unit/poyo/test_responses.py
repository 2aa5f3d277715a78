"""PoYo's answers read: one value or exactly one exception for every shape seen."""

import json
from decimal import Decimal

import pytest

from imagetasks.errors import (
    PoyoRejected,
    PoyoTaskNotFound,
    PoyoUnavailable,
    RequestNotSent,
    ResponseLost,
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.responses import (
    MAX_DETAIL_CHARS,
    is_moderation_error,
    parse_callback_id,
    parse_status,
    parse_submit,
)
from imagetasks.poyo.signature import verify
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import MAX_FILES
from tests.fixtures import poyo_callbacks, poyo_responses
from tests.support.fakes import (
    POYO_ID,
    POYO_KEY,
    FakePoyo,
    finished_response,
    poyo_client,
    poyo_response,
    status_response,
    submit_response,
)

VECTOR_KEY = "whsec_test_0123456789abcdef"
VECTOR = "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU="
URL = "https://api.example/callbacks/poyo/k1/t/m"


@pytest.mark.parametrize(
    "body", poyo_responses.SUBMIT_ACCEPTED.values(), ids=poyo_responses.SUBMIT_ACCEPTED
)
def test_an_accepted_submit_gives_the_id(body: bytes) -> None:
    assert parse_submit(HttpResponse(200, body)) == poyo_responses.POYO_ID


@pytest.mark.parametrize("found", ["A", "task-unified-1757156493-imcg5zqt", "a.b_c:d-e", "A" * 128])
def test_every_documented_form_of_an_id_is_taken(found: str) -> None:
    assert parse_submit(submit_response(found)) == found


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    poyo_responses.SUBMIT_REJECTED.values(),
    ids=poyo_responses.SUBMIT_REJECTED,
)
def test_a_refused_submit_ends_with_a_reason(status: int, body: bytes, reason: str) -> None:
    with pytest.raises(PoyoRejected) as refused:
        parse_submit(HttpResponse(status, body))

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("status", "body", "wait_s"),
    poyo_responses.SUBMIT_RATE_LIMITED.values(),
    ids=poyo_responses.SUBMIT_RATE_LIMITED,
)
def test_a_rate_limit_created_nothing(status: int, body: bytes, wait_s: float | None) -> None:
    with pytest.raises(PoyoUnavailable) as later:
        parse_submit(HttpResponse(status, body))

    assert later.value.wait_s == wait_s


@pytest.mark.parametrize(
    ("status", "body"),
    poyo_responses.SUBMIT_AMBIGUOUS.values(),
    ids=poyo_responses.SUBMIT_AMBIGUOUS,
)
def test_every_other_answer_to_a_submit_is_ambiguous(status: int, body: bytes) -> None:
    with pytest.raises(SubmitOutcomeUnknown):
        parse_submit(HttpResponse(status, body))


@pytest.mark.parametrize(
    "said", poyo_responses.STATUS_RESPONSES.values(), ids=poyo_responses.STATUS_RESPONSES
)
def test_a_status_is_read_whatever_is_missing(said: poyo_responses.ExpectedStatus) -> None:
    body, status, progress, urls, charged, error, moderated = said

    report = parse_status(HttpResponse(200, body))

    assert report.status == status
    assert report.progress == progress
    assert report.file_urls == urls
    assert report.credits == charged
    assert report.error == error
    assert report.moderated is moderated


@pytest.mark.parametrize(("word", "status"), poyo_responses.STATUS_WORDS.items())
def test_every_word_for_a_status_is_one_of_four(word: str, status: str) -> None:
    assert parse_status(status_response(word)).status == status


@pytest.mark.parametrize(
    ("status", "body", "ours"),
    poyo_responses.STATUS_UNAVAILABLE.values(),
    ids=poyo_responses.STATUS_UNAVAILABLE,
)
def test_an_answer_that_says_nothing_is_trouble(status: int, body: bytes, ours: bool) -> None:
    with pytest.raises(PoyoUnavailable) as trouble:
        parse_status(HttpResponse(status, body))

    assert trouble.value.ours is ours


@pytest.mark.parametrize(
    ("status", "body"),
    poyo_responses.STATUS_NOT_FOUND.values(),
    ids=poyo_responses.STATUS_NOT_FOUND,
)
def test_an_id_poyo_does_not_know_is_missing(status: int, body: bytes) -> None:
    with pytest.raises(PoyoTaskNotFound):
        parse_status(HttpResponse(status, body))


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_raw_error_text_is_kept_short(status: int) -> None:
    said = poyo_response({"code": status, "error": {"message": "x" * 10_000}}, status)

    with pytest.raises((PoyoRejected, SubmitOutcomeUnknown)) as raised:
        parse_submit(said)

    assert len(str(raised.value)) <= MAX_DETAIL_CHARS
    assert (
        len(parse_status(status_response("failed", error_message="x" * 10_000)).error)
        == MAX_DETAIL_CHARS
    )


def test_half_a_character_is_never_passed_on() -> None:
    report = parse_status(status_response("failed", error_message="a \ud83d b"))

    assert report.error.encode() == b"a ? b"


@pytest.mark.parametrize(
    ("text", "moderated"),
    [
        ("Server exception", False),
        ("Please enter a prompt and try again", False),
        ("", False),
        ("blocked by SAFETY system", True),
        ("content_policy_violation", True),
        ("content policy", True),
        ("NSFW", True),
        (poyo_responses.CHINESE_MODERATION_ERROR, True),
        ('{"a": {"b": ["\\u5ba1\\u6838"]}}', True),
        ("[" * 100_000, False),
    ],
)
def test_a_moderation_text_is_told_from_a_fault(text: str, moderated: bool) -> None:
    assert is_moderation_error(text) is moderated


@pytest.mark.parametrize(
    ("body", "read"),
    [(body, read) for body, _, read in poyo_callbacks.CALLBACK_BODIES.values()],
    ids=list(poyo_callbacks.CALLBACK_BODIES),
)
def test_a_callback_gives_at_most_an_id(body: bytes, read: str | None) -> None:
    assert parse_callback_id(body) == read


def test_the_published_check_vector_of_the_signature_holds() -> None:
    headers = {"x-webhook-timestamp": "1783680000", "x-webhook-signature": VECTOR}

    assert verify(VECTOR_KEY, "TESTTASK00000001", headers)


@pytest.mark.parametrize(
    ("key", "task_id", "headers"),
    [
        ("whsec_other", "TESTTASK00000001", {}),
        (VECTOR_KEY, "TESTTASK00000002", {}),
        (VECTOR_KEY, "TESTTASK00000001", {"x-webhook-timestamp": "1783680001"}),
        (VECTOR_KEY, "TESTTASK00000001", {"x-webhook-signature": VECTOR[:-1]}),
        (VECTOR_KEY, "TESTTASK00000001", {"x-webhook-signature": ""}),
        (VECTOR_KEY, "TESTTASK00000001", {"x-webhook-signature": "ü" * 44}),
        (VECTOR_KEY, "TESTTASK00000001", {"x-webhook-timestamp": "\ud83d"}),
    ],
)
def test_no_other_signature_holds(key: str, task_id: str, headers: dict[str, str]) -> None:
    right = {"x-webhook-timestamp": "1783680000", "x-webhook-signature": VECTOR}

    assert not verify(key, task_id, right | headers)


def test_a_submit_is_one_post_with_our_id_in_it() -> None:
    upstream = FakePoyo()
    upstream.respond_with("POST", submit_response())

    found = poyo_client(upstream).submit(
        model="gpt-image-2", order={"prompt": "é"}, callback_url=URL, idempotency_key="id"
    )

    assert found == POYO_ID
    [sent] = upstream.requests
    assert (sent.method, sent.url) == ("POST", "https://api.poyo.test/api/generate/submit")
    assert sent.content == {
        "model": "gpt-image-2",
        "callback_url": URL,
        "input": {"prompt": "é"},
    }
    assert sent.headers["Authorization"] == f"Bearer {POYO_KEY}"
    assert sent.headers["Idempotency-Key"] == "id"
    assert sent.headers["User-Agent"]


@pytest.mark.parametrize(
    ("failure", "meaning"),
    [(RequestNotSent("x"), PoyoUnavailable), (ResponseLost("x"), SubmitOutcomeUnknown)],
)
def test_a_submit_that_failed_on_the_wire_is_never_repeated(
    failure: Exception, meaning: type[Exception]
) -> None:
    upstream = FakePoyo()
    upstream.respond_with("POST", failure, submit_response())

    with pytest.raises(meaning):
        poyo_client(upstream).submit(model="m", order={}, callback_url=URL, idempotency_key="id")

    assert upstream.request_count("POST") == 1


@pytest.mark.parametrize("failure", [RequestNotSent("x"), ResponseLost("x")])
def test_a_status_that_failed_on_the_wire_is_trouble_of_the_moment(failure: Exception) -> None:
    upstream = FakePoyo()
    upstream.respond_with("GET", failure)

    with pytest.raises(PoyoUnavailable) as trouble:
        poyo_client(upstream).status(POYO_ID)

    assert not trouble.value.ours


@pytest.mark.parametrize("status", [401, 200])
def test_a_key_that_was_rotated_meanwhile_is_no_refusal(status: int) -> None:
    upstream = FakePoyo()
    answer = poyo_response({"code": 401, "error": {"message": "Invalid API key"}}, status)
    upstream.respond_with("POST", answer)
    upstream.respond_with("GET", answer)
    account = poyo_client(upstream, refresh_key=lambda _: True)

    with pytest.raises(PoyoUnavailable):
        account.submit(model="m", order={}, callback_url=URL, idempotency_key="id")
    with pytest.raises(PoyoUnavailable) as trouble:
        account.status(POYO_ID)

    assert not trouble.value.ours


def test_no_other_answer_asks_for_a_new_key() -> None:
    def never(key: str) -> bool:
        raise AssertionError

    upstream = FakePoyo()
    upstream.respond_with(
        "GET",
        status_response("running", progress=1),
        HttpResponse(500, b""),
        HttpResponse(403, b""),
    )
    account = poyo_client(upstream, refresh_key=never)

    assert account.status(POYO_ID).progress == Decimal(1)
    for _ in range(2):
        with pytest.raises(PoyoUnavailable):
            account.status(POYO_ID)


def test_every_sample_of_an_answer_is_read_the_same_with_and_without_its_wrapping() -> None:
    for body, *_ in poyo_responses.STATUS_RESPONSES.values():
        said = json.loads(body)
        inner = said.get("data", said)

        bare = parse_status(HttpResponse(200, json.dumps(inner).encode()))
        wrapped = parse_status(HttpResponse(200, json.dumps({"code": 0, "data": inner}).encode()))

        assert bare == wrapped


def test_no_more_files_are_taken_than_can_be_erased() -> None:
    urls = [f"https://cdn.doculator.org/{n}.png" for n in range(MAX_FILES + 1)]

    assert parse_status(finished_response(*urls)).file_urls == tuple(urls[:MAX_FILES])
