"""Parsing PoYo's responses: one value or exactly one exception for every shape."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetasks.errors import (
    PoyoRejected,
    PoyoTaskNotFound,
    PoyoUnavailable,
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.answer import MAX_CALLBACK_BYTES, parse_callback_id, parse_json
from imagetasks.poyo.responses import (
    MAX_DETAIL_CHARS,
    TaskStatus,
    is_unauthorized,
    parse_balance,
    parse_status,
    parse_submit,
)
from imagetasks.poyo.task_ids import broken_id
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import MAX_FILES
from tests.fixtures import poyo_callbacks, poyo_responses
from tests.support.fakes import (
    POYO_ID,
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
    with pytest.raises(SubmitOutcomeUnknown) as unknown:
        parse_submit(HttpResponse(status, body))

    assert unknown.value.poyo_id is None


@pytest.mark.parametrize(
    ("status", "body", "poyo_id"),
    poyo_responses.SUBMIT_DOUBTFUL.values(),
    ids=poyo_responses.SUBMIT_DOUBTFUL,
)
def test_id_in_a_doubtful_response_to_a_submit_is_kept(
    status: int, body: bytes, poyo_id: str
) -> None:
    with pytest.raises(SubmitOutcomeUnknown) as unknown:
        parse_submit(HttpResponse(status, body))

    assert unknown.value.poyo_id == poyo_id


@pytest.mark.parametrize(
    ("status", "body"),
    poyo_responses.SUBMIT_INTERCEPTED.values(),
    ids=poyo_responses.SUBMIT_INTERCEPTED,
)
def test_refusal_that_is_not_poyos_is_deferred_and_not_our_fault(status: int, body: bytes) -> None:
    response = HttpResponse(status, body)

    with pytest.raises(PoyoUnavailable) as unavailable:
        parse_submit(response)

    assert unavailable.value.ours is False
    assert not is_unauthorized(response)


@pytest.mark.parametrize(
    ("body", "poyo_id"),
    poyo_responses.SUBMIT_BROKEN.values(),
    ids=poyo_responses.SUBMIT_BROKEN,
)
def test_id_is_found_in_json_that_broke_off(body: bytes, poyo_id: str | None) -> None:
    assert broken_id(body) == poyo_id


def test_id_in_an_echo_of_our_request_is_no_evidence() -> None:
    body = {"code": 400, "input": {"task_id": "ABC"}, "error": {"message": "no"}}

    with pytest.raises(PoyoRejected):
        parse_submit(poyo_response(body, 400))


def test_wait_of_the_header_outranks_the_one_in_words() -> None:
    body = b'{"code":429,"error":{"message":"try again in 5 seconds"}}'

    with pytest.raises(PoyoUnavailable) as unavailable:
        parse_submit(HttpResponse(429, body, 33.0))

    assert unavailable.value.wait_s == 33.0


def test_prompt_that_an_error_repeats_is_not_its_reason() -> None:
    prompt = "a poster about content policy"
    body = {"code": 400, "error": {"message": f"Could not tokenize: {prompt}"}}

    with pytest.raises(PoyoRejected) as rejected:
        parse_submit(poyo_response(body, 400), prompt=prompt)
    failed = parse_status(
        status_response("failed", error_message=f"Worker lost: {prompt}"), POYO_ID, prompt=prompt
    )

    assert rejected.value.reason == "rejected"
    assert failed.moderated is False


def test_401_beside_an_id_does_not_say_that_nothing_was_created() -> None:
    assert is_unauthorized(poyo_response({"code": 401, "error": {"message": "x"}}, 401))
    assert not is_unauthorized(poyo_response({"code": 401, "data": {"task_id": "ABC"}}, 401))


# Status


@pytest.mark.parametrize(
    ("body", "expected"),
    poyo_responses.STATUS_RESPONSES.values(),
    ids=poyo_responses.STATUS_RESPONSES,
)
def test_status_is_parsed_although_keys_are_missing_or_invalid(
    body: bytes, expected: TaskStatus
) -> None:
    found = parse_status(HttpResponse(200, body), POYO_ID)

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

    bare = parse_status(poyo_response(data[0] if isinstance(data, list) else data), POYO_ID)
    enveloped = parse_status(poyo_response({"code": 0, "data": data}), POYO_ID)

    assert bare == enveloped == expected


@pytest.mark.parametrize(("word", "status"), poyo_responses.STATUS_WORDS.items())
def test_every_status_word_is_mapped_to_a_documented_one(word: str, status: str) -> None:
    assert parse_status(status_response(word), POYO_ID).status == status


@pytest.mark.parametrize(
    ("status", "body", "ours"),
    poyo_responses.STATUS_UNAVAILABLE.values(),
    ids=poyo_responses.STATUS_UNAVAILABLE,
)
def test_response_without_a_status_raises_poyo_unavailable(
    status: int, body: bytes, ours: bool
) -> None:
    with pytest.raises(PoyoUnavailable) as unavailable:
        parse_status(HttpResponse(status, body), POYO_ID)

    assert unavailable.value.ours is ours


@pytest.mark.parametrize(
    ("status", "body"),
    poyo_responses.STATUS_NOT_FOUND.values(),
    ids=poyo_responses.STATUS_NOT_FOUND,
)
def test_unknown_poyo_id_raises_poyo_task_not_found(status: int, body: bytes) -> None:
    with pytest.raises(PoyoTaskNotFound):
        parse_status(HttpResponse(status, body), POYO_ID)


@pytest.mark.parametrize("task_id", ["SOMEBODYELSES001", POYO_ID.lower(), POYO_ID + "0"])
@pytest.mark.parametrize("status", ["finished", "failed", "running"])
def test_status_of_another_task_is_trouble_that_is_marked(task_id: str, status: str) -> None:
    with pytest.raises(PoyoUnavailable) as unavailable:
        parse_status(status_response(status, task_id=task_id), POYO_ID)

    assert unavailable.value.mismatched is True


def test_id_that_is_a_number_is_compared_as_its_digits() -> None:
    assert parse_status(status_response("running", task_id=712), "712").status == "running"


def test_wait_that_poyo_names_for_a_poll_is_kept() -> None:
    body = b'{"code":429,"error":{"message":"try again in 1 minute"}}'

    with pytest.raises(PoyoUnavailable) as unavailable:
        parse_status(HttpResponse(429, body), POYO_ID)

    assert unavailable.value.wait_s == 60


def test_file_urls_are_limited_to_the_number_that_can_be_erased() -> None:
    urls = [f"https://cdn.doculator.org/{n}.png" for n in range(MAX_FILES + 1)]

    assert parse_status(finished_response(*urls), POYO_ID).file_urls == tuple(urls[:MAX_FILES])


# Error texts


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_raw_error_text_is_cut_to_the_limit(status: int) -> None:
    response = poyo_response({"code": status, "error": {"message": "x" * 10_000}}, status)

    with pytest.raises((PoyoRejected, SubmitOutcomeUnknown)) as raised:
        parse_submit(response)

    assert len(str(raised.value)) <= MAX_DETAIL_CHARS
    failed = parse_status(status_response("failed", error_message="x" * 10_000), POYO_ID)
    assert len(failed.error) == MAX_DETAIL_CHARS


def test_half_a_surrogate_pair_in_an_error_text_is_replaced() -> None:
    found = parse_status(status_response("failed", error_message="a \ud83d b"), POYO_ID)

    assert found.error.encode() == b"a ? b"


@pytest.mark.parametrize(
    "message",
    poyo_responses.MODERATION_MESSAGES.values(),
    ids=poyo_responses.MODERATION_MESSAGES,
)
def test_failed_status_with_a_moderation_message_is_moderated(message: str) -> None:
    found = parse_status(status_response("failed", error_message=message), POYO_ID)

    assert found == TaskStatus(status="failed", error=message, moderated=True)


def test_failed_status_with_a_code_in_an_error_object_is_moderated() -> None:
    error = {"code": "moderation_blocked", "message": "no"}

    for facts in ({"error_message": error}, {"error": error}, {"error_code": "content_filter"}):
        assert parse_status(status_response("failed", **facts), POYO_ID).moderated is True


@pytest.mark.parametrize(
    "key", ["message", "msg", "error_msg", "failure_reason", "fail_reason", "reason", "error_code"]
)
def test_reason_of_a_failed_task_is_read_wherever_it_stands(key: str) -> None:
    response = status_response("failed", error_message=None, **{key: "content_policy_violation"})

    assert parse_status(response, POYO_ID).moderated is True


def test_reason_behind_the_limit_of_the_detail_is_read() -> None:
    message = "x " * MAX_DETAIL_CHARS + "The prompt violates our content policy"

    assert parse_status(status_response("failed", error_message=message), POYO_ID).moderated


# Balance


@pytest.mark.parametrize("credits_amount", [-12.5, "-12.5"])
def test_negative_balance_is_a_balance(credits_amount: object) -> None:
    response = poyo_response({"code": 200, "data": {"credits_amount": credits_amount}})

    assert parse_balance(response) == Decimal("-12.5")


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


def test_callback_that_is_parsed_may_repeat_the_longest_prompt_and_addresses() -> None:
    longest = json.dumps({"prompt": "\U0001f426" * 20_000, "image_urls": ["u" * 2048] * 16})

    assert 2 * len(longest) < MAX_CALLBACK_BYTES


# Any bytes

KEYS = (
    "code",
    "data",
    "task_id",
    "taskId",
    "id",
    "status",
    "error",
    "type",
    "message",
    "detail",
    "files",
    "file_url",
    "file_type",
    "error_message",
    "credits_amount",
    "retry_after",
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=20)
        | st.sampled_from([POYO_ID, "finished", "failed", "validation_error", "200", 429, 404]),
        lambda values: (
            st.lists(values, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYS),
                values,
                max_size=6,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=400, deadline=None)
@given(status=st.integers(100, 599), body=BODIES)
def test_any_bytes_are_one_value_or_one_declared_error(status: int, body: bytes) -> None:
    response = HttpResponse(status, body)

    with contextlib.suppress(PoyoRejected, PoyoUnavailable, SubmitOutcomeUnknown):
        poyo_id = parse_submit(response)
        assert 200 <= status < 300
        assert poyo_id in str(parse_json(body))
    with contextlib.suppress(PoyoTaskNotFound, PoyoUnavailable):
        found = parse_status(response, POYO_ID)
        assert POYO_ID in str(parse_json(body))
        assert found.status in {"not_started", "running", "finished", "failed"}
    with contextlib.suppress(PoyoUnavailable):
        parse_balance(response)
    parse_callback_id(body)
    broken_id(body)


@settings(max_examples=300, deadline=None)
@given(status=st.integers(100, 599), body=BODIES)
def test_submit_with_an_id_is_never_said_to_have_created_nothing(status: int, body: bytes) -> None:
    content = parse_json(body)
    if isinstance(content, dict):
        content["task_id"] = POYO_ID

        with pytest.raises(SubmitOutcomeUnknown) as unknown:
            raise SubmitOutcomeUnknown("", poyo_id=parse_submit(poyo_response(content, status)))

        assert unknown.value.poyo_id
        if b"task_id" not in body:  # the body may name another id, in a place that counts more
            assert unknown.value.poyo_id == POYO_ID
