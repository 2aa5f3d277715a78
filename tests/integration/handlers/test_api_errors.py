"""Problem responses: each problem in our shape (RFC 9457) and in PoYo's, and the problem of each error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagetasks.api import error_mapping, poyo_problems, problems
from imagetasks.api.problem_details import Problem
from imagetasks.errors import (
    AwsError,
    DatabaseUnavailable,
    IdempotencyKeyReused,
    ImageTasksError,
    InvalidOrder,
    InvalidParameter,
    PoyoRejected,
    PoyoUnavailable,
    QueueUnavailable,
    SecretInvalid,
    SecretUnavailable,
    StorageUnavailable,
    SubmitOutcomeUnknown,
    TaskNotFound,
)
from imagetasks.poyo import compat
from imagetasks.tasks.failure_reasons import REASONS

FIELD_ERRORS = [{"pointer": "/input/size", "detail": "must be auto"}]


def all_problems() -> dict[str, Problem]:
    """Every problem by its code; those of submits that PoYo rejected have the prefix `poyo`."""
    ours = [each for each in vars(problems).values() if isinstance(each, Problem)]
    rejected = {f"poyo {each.code}": each for each in error_mapping.SUBMISSION_PROBLEMS}
    assert len({each.code for each in ours}) == len(ours)
    return {each.code: each for each in ours} | rejected


PROBLEMS = all_problems()


def body_and_headers(problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
    """Body and headers of the response."""
    response = problem.response("request")
    assert response.status == (json.loads(response.body).get("status", problem.status))
    return json.loads(response.body), dict(response.headers)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_has_the_members_of_rfc_9457(name: str) -> None:
    code = PROBLEMS[name].code
    body, headers = body_and_headers(PROBLEMS[name])

    assert body["type"] == "about:blank"
    assert body["title"] == code.replace("_", " ")
    assert 400 <= body["status"] < 600
    assert body["code"] == code
    assert body["detail"].endswith((".", "-", "+"))
    defect = code in (
        "internal",
        "not_configured",
        "orders_paused",
    )  # nobody knows when the operator mends it
    assert ("Retry-After" in headers) is (body["retry"] == "same_key" and not defect)
    assert body["request_id"] == "request"
    challenged = body["status"] == 401 or code == "insufficient_scope"
    assert ("WWW-Authenticate" in headers) is challenged
    assert not {"task_id", "errors"} & set(body)


def test_retry_says_under_which_key() -> None:
    by_retry: dict[str, set[str]] = {}
    for name, problem in PROBLEMS.items():
        by_retry.setdefault(problem.retry, set()).add(name)

    passing = {
        "internal",
        "orders_paused",
        "service_unavailable",
        "not_configured",
        "too_many_orders",
    }
    assert by_retry["same_key"] == passing
    assert by_retry["new_key"] == {"poyo insufficient_credits", "poyo unavailable"}
    assert by_retry["never"] == set(PROBLEMS) - by_retry["same_key"] - by_retry["new_key"]


def test_no_code_is_both_a_problem_of_ours_and_a_reason_of_a_failed_task() -> None:
    ours = {each.code for each in vars(problems).values() if isinstance(each, Problem)}

    assert ours & set(REASONS) == set()


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_has_an_error_in_poyos_shape(name: str) -> None:
    problem = PROBLEMS[name]
    response = poyo_problems.error_response(problem)
    body = json.loads(response.body)

    status = poyo_problems.POYO_STATUS.get(problem.status, problem.status)
    assert (response.status, body["code"]) == (status, status)
    assert body["error"]["message"].startswith(problem.detail)
    types = {*compat.TYPE_BY_STATUS.values(), *compat.TYPE_BY_CODE.values(), compat.DEFAULT_TYPE}
    assert body["error"]["type"] in types
    assert status in (400, 401, 402, 403, 404, 405, 429, 500, 503)


def test_field_errors_are_a_list_in_our_shape_and_a_sentence_in_poyos() -> None:
    problem = error_mapping.problem_for(InvalidOrder(FIELD_ERRORS))
    ours, _ = body_and_headers(problem)
    compat_body = json.loads(poyo_problems.error_response(problem).body)

    assert ours["errors"] == FIELD_ERRORS
    assert compat_body["error"]["message"] == "The order is not valid. /input/size: must be auto"


@pytest.mark.parametrize(
    ("error", "code", "field_errors"),
    [
        (InvalidOrder(FIELD_ERRORS), "invalid_order", FIELD_ERRORS),
        (
            InvalidParameter("limit", "must be 1 to 100"),
            "invalid_parameter",
            [{"parameter": "limit", "detail": "must be 1 to 100"}],
        ),
        (IdempotencyKeyReused("task"), "idempotency_key_reused", []),
        (TaskNotFound("task"), "no_such_task", []),
    ],
)
def test_each_error_has_its_problem(
    error: ImageTasksError, code: str, field_errors: list[dict[str, str]]
) -> None:
    problem = error_mapping.problem_for(error)

    assert (problem.code, list(problem.errors)) == (code, field_errors)
    assert problem.charged is False


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailable("x"),
        SecretUnavailable("x"),
        SecretInvalid("x"),
        QueueUnavailable("x"),
        PoyoUnavailable("x"),
        PoyoRejected("rejected", "x"),
        SubmitOutcomeUnknown("x"),
        ImageTasksError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_that_is_not_the_callers_gets_a_retryable_503(error: ImageTasksError) -> None:
    assert error_mapping.problem_for(error).status == 503
    assert error_mapping.problem_for(error).retry == "same_key"
    assert error_mapping.problem_for(error).charged is None  # an earlier request may be paid for


@pytest.mark.parametrize(
    "kind", [DatabaseUnavailable, SecretUnavailable, QueueUnavailable, StorageUnavailable]
)
def test_error_of_aws_that_does_not_pass_is_an_internal_one(kind: type[AwsError]) -> None:
    assert error_mapping.problem_for(kind("AccessDenied", passing=False)).code == "internal"
    assert error_mapping.problem_for(kind("Throttling")).code == "service_unavailable"


def test_problem_does_not_contain_the_text_of_its_error() -> None:
    for error in (DatabaseUnavailable("canary"), SecretInvalid("canary"), TaskNotFound("canary")):
        body, headers = body_and_headers(error_mapping.problem_for(error))
        assert "canary" not in json.dumps([body, headers])
