"""Errors: one table of codes and statuses, which says the same in our shape and in PoYo's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagetasks.api import error_mapping, problems
from imagetasks.api.problem_details import Problem
from imagetasks.api.routes import poyo_compat
from imagetasks.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    ImageTasksError,
    InvalidOrder,
    InvalidParameter,
    InvalidUpload,
    PoyoRejected,
    PoyoUnavailable,
    QueueUnavailable,
    SecretInvalid,
    SecretUnavailable,
    SubmitOutcomeUnknown,
    TaskNotFound,
)
from imagetasks.poyo import compat

WRONG = [{"pointer": "/input/size", "detail": "must be auto"}]


def table() -> dict[str, Problem]:
    """Every problem there is by its code, those of PoYo's refusals with its name before it."""
    ours = [each for each in vars(problems).values() if isinstance(each, Problem)]
    poyos = {f"poyo {each.code}": each for each in error_mapping.SUBMISSION_PROBLEMS}
    assert len({each.code for each in ours}) == len(ours)
    return {each.code: each for each in ours} | poyos


TABLE = table()


def said(problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body and the headers on the wire."""
    response = problem.response()
    assert response.status_code == (json.loads(str(response.body)).get("status", problem.status))
    return json.loads(str(response.body)), dict(response.headers)


@pytest.mark.parametrize("name", TABLE)
def test_every_problem_is_said_as_rfc_9457_has_it(name: str) -> None:
    code = TABLE[name].code
    body, headers = said(TABLE[name])

    assert body["type"] == "about:blank"
    assert body["title"] == code.replace("_", " ")
    assert 400 <= body["status"] < 600
    assert body["code"] == code
    assert body["detail"].endswith((".", "-", "+"))
    assert ("Retry-After" in headers) is body["retryable"]
    assert ("WWW-Authenticate" in headers) is (body["status"] == 401)
    assert not {"task_id", "errors"} & set(body)


def test_only_what_may_pass_by_itself_is_worth_another_try() -> None:
    again = {name for name, problem in TABLE.items() if problem.retryable}

    assert again == {"internal", "unavailable", "not_configured"}


@pytest.mark.parametrize("name", TABLE)
def test_every_problem_is_said_as_poyo_would(name: str) -> None:
    problem = TABLE[name]
    response = poyo_compat.error_response(problem)
    body = json.loads(str(response.body))

    status = poyo_compat.POYO_STATUS.get(problem.status, problem.status)
    assert (response.status_code, body["code"]) == (status, status)
    assert body["error"]["message"].startswith(problem.detail)
    known = {*compat.TYPE_BY_STATUS.values(), *compat.TYPE_BY_CODE.values(), compat.DEFAULT_TYPE}
    assert body["error"]["type"] in known
    assert status in (400, 401, 402, 404, 405, 500, 503)


def test_what_is_wrong_is_listed_by_us_and_told_in_a_sentence_by_poyo() -> None:
    problem = error_mapping.problem_for(InvalidOrder(WRONG))
    ours, _ = said(problem)
    poyos = json.loads(str(poyo_compat.error_response(problem).body))

    assert ours["errors"] == WRONG
    assert poyos["error"]["message"] == "The order is not valid. /input/size: must be auto"


@pytest.mark.parametrize(
    ("error", "code", "wrong"),
    [
        (InvalidOrder(WRONG), "invalid_order", WRONG),
        (
            InvalidUpload("id", "no such upload"),
            "invalid_order",
            [{"pointer": "/input/image_urls", "detail": "no such upload"}],
        ),
        (
            InvalidParameter("limit", "must be 1 to 100"),
            "invalid_parameter",
            [{"parameter": "limit", "detail": "must be 1 to 100"}],
        ),
        (IdempotencyKeyReused("task"), "idempotency_key_reused", []),
        (TaskNotFound("task"), "no_such_task", []),
        (SecretInvalid("missing"), "not_configured", []),
    ],
)
def test_each_error_is_told_as_what_it_is(
    error: ImageTasksError, code: str, wrong: list[dict[str, str]]
) -> None:
    problem = error_mapping.problem_for(error)

    assert (problem.code, list(problem.errors)) == (code, wrong)
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
def test_every_trouble_of_ours_is_worth_another_try(error: ImageTasksError) -> None:
    assert error_mapping.problem_for(error).status == 503
    assert error_mapping.problem_for(error).retryable


def test_an_error_tells_nothing_of_what_caused_it() -> None:
    for error in (DatabaseUnavailable("canary"), SecretInvalid("canary"), TaskNotFound("canary")):
        body, headers = said(error_mapping.problem_for(error))
        assert "canary" not in json.dumps([body, headers])
