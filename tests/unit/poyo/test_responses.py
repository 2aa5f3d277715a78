"""Parsing PoYo's responses: one value or exactly one exception for every shape."""

import json
from dataclasses import replace

import pytest

from imagetasks.errors import (
    PoyoRejected,
    PoyoTaskNotFound,
    PoyoUnavailable,
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.responses import (
    MAX_DETAIL_CHARS,
    TaskStatus,
    is_moderation_error,
    parse_callback_id,
    parse_status,
    parse_submit,
)
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import MAX_FILES
from tests.fixtures import poyo_callbacks, poyo_responses
from tests.support.fakes import (
    finished_response,
    poyo_response,
    status_response,
    submit_response,
)

# Submit


@pytest.mark.parametrize(
    "body", poyo_responses.SUBMIT_ACCEPTED.values(), ids=poyo_responses.SUBMIT_ACCEPTED
)
def test_accepted_submit_returns_the_poyo_id(body: bytes) -> None:
    assert parse_submit(HttpResponse(200, body)) == poyo_responses.POYO_ID


@pytest.mark.parametrize(
    "poyo_id", ["A", "task-unified-1757156493-imcg5zqt", "a.b_c:d-e", "A" * 128]
)
def test_every_documented_form_of_a_poyo_id_is_accepted(poyo_id: str) -> None:
    assert parse_submit(submit_response(poyo_id)) == poyo_id


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    poyo_responses.SUBMIT_REJECTED.values(),
    ids=poyo_responses.SUBMIT_REJECTED,
)
def test_rejected_submit_raises_poyo_rejected_with_a_reason(
    status: int, body: bytes, reason: str
) -> None:
    with pytest.raises(PoyoRejected) as rejected:
        parse_submit(HttpResponse(status, body))

    assert rejected.value.reason == reason


@pytest.mark.parametrize(
    ("status", "body", "wait_s"),
    poyo_responses.SUBMIT_RATE_LIMITED.values(),
    ids=poyo_responses.SUBMIT_RATE_LIMITED,
)
def test_rate_limited_submit_raises_poyo_unavailable_with_the_wait(
    status: int, body: bytes, wait_s: float | None
) -> None:
    with pytest.raises(PoyoUnavailable) as unavailable:
        parse_submit(HttpResponse(status, body))

    assert unavailable.value.wait_s == wait_s


@pytest.mark.parametrize(
    ("status", "body"),
    poyo_responses.SUBMIT_AMBIGUOUS.values(),
    ids=poyo_responses.SUBMIT_AMBIGUOUS,
)
def test_every_other_response_to_a_submit_has_an_unknown_outcome(status: int, body: bytes) -> None:
    with pytest.raises(SubmitOutcomeUnknown):
        parse_submit(HttpResponse(status, body))


# Status


@pytest.mark.parametrize(
    ("body", "expected"),
    poyo_responses.STATUS_RESPONSES.values(),
    ids=poyo_responses.STATUS_RESPONSES,
)
def test_status_is_parsed_although_keys_are_missing_or_invalid(
    body: bytes, expected: TaskStatus
) -> None:
    found = parse_status(HttpResponse(200, body))

    assert found == expected
    assert found.moderated is False


@pytest.mark.parametrize(
    ("body", "expected"),
    poyo_responses.STATUS_RESPONSES.values(),
    ids=poyo_responses.STATUS_RESPONSES,
)
def test_status_is_the_same_with_and_without_envelope(body: bytes, expected: TaskStatus) -> None:
    content = json.loads(body)
    data = content.get("data", content)

    bare = parse_status(HttpResponse(200, json.dumps(data).encode()))
    enveloped = parse_status(HttpResponse(200, json.dumps({"code": 0, "data": data}).encode()))

    assert bare == enveloped == expected


@pytest.mark.parametrize(("word", "status"), poyo_responses.STATUS_WORDS.items())
def test_every_status_word_is_mapped_to_a_documented_one(word: str, status: str) -> None:
    assert parse_status(status_response(word)).status == status


@pytest.mark.parametrize(
    ("status", "body", "ours"),
    poyo_responses.STATUS_UNAVAILABLE.values(),
    ids=poyo_responses.STATUS_UNAVAILABLE,
)
def test_response_without_a_status_raises_poyo_unavailable(
    status: int, body: bytes, ours: bool
) -> None:
    with pytest.raises(PoyoUnavailable) as unavailable:
        parse_status(HttpResponse(status, body))

    assert unavailable.value.ours is ours


@pytest.mark.parametrize(
    ("status", "body"),
    poyo_responses.STATUS_NOT_FOUND.values(),
    ids=poyo_responses.STATUS_NOT_FOUND,
)
def test_unknown_poyo_id_raises_poyo_task_not_found(status: int, body: bytes) -> None:
    with pytest.raises(PoyoTaskNotFound):
        parse_status(HttpResponse(status, body))


def test_file_urls_are_limited_to_the_number_that_can_be_erased() -> None:
    urls = [f"https://cdn.doculator.org/{n}.png" for n in range(MAX_FILES + 1)]

    assert parse_status(finished_response(*urls)).file_urls == tuple(urls[:MAX_FILES])


# Error texts


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_raw_error_text_is_cut_to_the_limit(status: int) -> None:
    response = poyo_response({"code": status, "error": {"message": "x" * 10_000}}, status)

    with pytest.raises((PoyoRejected, SubmitOutcomeUnknown)) as raised:
        parse_submit(response)

    assert len(str(raised.value)) <= MAX_DETAIL_CHARS
    failed = parse_status(status_response("failed", error_message="x" * 10_000))
    assert len(failed.error) == MAX_DETAIL_CHARS


def test_half_a_surrogate_pair_in_an_error_text_is_replaced() -> None:
    found = parse_status(status_response("failed", error_message="a \ud83d b"))

    assert found.error.encode() == b"a ? b"


@pytest.mark.parametrize(
    "message",
    poyo_responses.MODERATION_MESSAGES.values(),
    ids=poyo_responses.MODERATION_MESSAGES,
)
def test_failed_status_with_a_moderation_message_is_moderated(message: str) -> None:
    found = parse_status(status_response("failed", error_message=message))

    assert found == TaskStatus(status="failed", error=message)
    assert found.moderated is True
    assert replace(found, error="Server exception").moderated is False


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
def test_moderation_errors_are_distinguished_from_other_errors(text: str, moderated: bool) -> None:
    assert is_moderation_error(text) is moderated


# Callback


@pytest.mark.parametrize(
    ("body", "expected"),
    [(body, poyo_id) for body, _, poyo_id in poyo_callbacks.CALLBACK_BODIES.values()],
    ids=list(poyo_callbacks.CALLBACK_BODIES),
)
def test_nothing_but_a_valid_poyo_id_is_read_from_a_callback(
    body: bytes, expected: str | None
) -> None:
    assert parse_callback_id(body) == expected
