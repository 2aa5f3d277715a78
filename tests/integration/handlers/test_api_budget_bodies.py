"""Bodies of `PUT /v1/budgets/{scope}`: exact amounts, and for each wrong field what is allowed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api import Api, assert_problem, loaded_api
from tests.support.budgets import set_budget
from tests.support.lambdas import HandlerResponse


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def budget_items(api: Api) -> list[str]:
    return [item["pk"]["S"] for item in api.cloud.items() if "budget#" in item["pk"]["S"]]


def wrong_fields(response: HandlerResponse) -> dict[str, str]:
    """The detail of each wrong field by its pointer."""
    body = assert_problem(response, 422, "invalid_request")
    return {each["pointer"]: each["detail"] for each in body["errors"]}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (-1, "is negative"),
        (-0.5, "is negative"),
        (1_000_000_001, "is too large"),
        (1e9 + 0.5, "is too large"),
        (1e300, "is too large"),
        (0.00001, "has more than 4 decimals"),
        (1.23456, "has more than 4 decimals"),
        (True, "is a boolean"),
        (False, "is a boolean"),
        ("10", "is a string"),
        (None, "is null"),
        ([1], "is an array"),
        ({}, "is an object"),
    ],
)
def test_bad_amount_is_told_what_is_allowed(api: Api, value: object, fault: str) -> None:
    found = wrong_fields(set_budget(api, "key", value))

    assert found == {
        "/max_credits": f"`max_credits` {fault}; `max_credits` must be a number of credits from 0, which "
        "refuses every order, to 1,000,000,000, with at most 4 decimals"
    }
    assert "budget#key:owner" not in budget_items(api)


def test_zeros_behind_an_amount_do_not_exceed_the_digits_of_dynamodb(api: Api) -> None:
    amount = "10." + "0" * 60
    body = f'{{"max_credits": {amount}, "soft_credits": {amount}}}'

    budget = api.request("PUT", "/v1/budgets/owner:ada", body).json

    assert (budget["max_credits"], budget["soft_credits"]) == (10, 10)


@pytest.mark.parametrize(
    "text",
    [
        "1.00000000000000000000000000000000000001",
        "999999999.00000001",
        "1e-400",
        "1e-99999999999999999999",
        "1e99999999999999999999",
        "1e400",
        "NaN",
        "Infinity",
        "1" * 400,
    ],
)
def test_number_that_a_float_would_round_is_refused_as_it_was_written(api: Api, text: str) -> None:
    response = api.request("PUT", "/v1/budgets/key", f'{{"max_credits": {text}}}')

    assert set(wrong_fields(response)) == {"/max_credits"}
    assert "budget#key:owner" not in budget_items(api)


@pytest.mark.parametrize(
    "text", ["0.1", "0.0001", "1e1", "1.50000000000000000000", "1000000000", "0"]
)
def test_amount_is_stored_exactly(api: Api, text: str) -> None:
    response = api.request("PUT", "/v1/budgets/owner:ada", f'{{"max_credits": {text}}}')

    assert (response.status, response.json["max_credits"]) == (200, float(text))
    [item] = [each for each in api.cloud.items() if each["pk"]["S"] == "budget#owner:owner/ada"]
    assert float(item["max_credits"]["N"]) == float(text)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("1w", "is not a period"),
        ("0d", "is not a period"),
        ("01d", "is not a period"),
        ("1.5d", "is not a period"),
        ("-1d", "is not a period"),
        ("1D", "is not a period"),
        (" 1d", "is not a period"),
        ("", "is not a period"),
        ("d", "is not a period"),
        ("٣d", "is not a period"),
        ("367d", "is longer than 366 days"),
        ("8785h", "is longer than 366 days"),
        (1, "is a number"),
        (True, "is a boolean"),
        (["1d"], "is an array"),
    ],
)
def test_unknown_duration_is_told_what_is_allowed(api: Api, value: object, fault: str) -> None:
    found = wrong_fields(set_budget(api, "key", budget_duration=value))

    assert found == {
        "/budget_duration": f"`budget_duration` {fault}; `budget_duration` must be a period of hours or days "
        "such as 1h, 12h, 1d or 30d, of at most 366 days, or null for a budget that never resets"
    }


@pytest.mark.parametrize("duration", ["1h", "8784h", "366d"])
def test_duration_may_be_from_an_hour_to_366_days(api: Api, duration: str) -> None:
    assert (
        set_budget(api, "owner:ada", budget_duration=duration).json["budget_duration"] == duration
    )


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (10.0001, "is greater than `max_credits`"),
        (-1, "is negative"),
        ("1", "is a string"),
        (True, "is a boolean"),
        (0.00001, "has more than 4 decimals"),
    ],
)
def test_bad_soft_limit_is_told_what_is_allowed(api: Api, value: object, fault: str) -> None:
    found = wrong_fields(set_budget(api, "key", soft_credits=value))

    assert found == {
        "/soft_credits": f"`soft_credits` {fault}; `soft_credits` must be a number of credits from 0 to "
        "`max_credits`, with at most 4 decimals"
    }


def test_soft_limit_may_be_as_high_as_the_budget_or_null(api: Api) -> None:
    assert set_budget(api, "owner:ada", soft_credits=10).json["soft_credits"] == 10
    assert set_budget(api, "owner:ada", soft_credits=None).json["soft_credits"] is None


def test_every_wrong_field_and_every_unknown_one_is_named_at_once(api: Api) -> None:
    body = {"max_credit": 1, "budget_duration": "x", "soft_credits": -1, "ttl": 1}

    found = wrong_fields(api.request("PUT", "/v1/budgets/key", body))

    assert set(found) == {
        "/max_credits",
        "/budget_duration",
        "/soft_credits",
        "/max_credit",
        "/ttl",
    }
    assert found["/max_credits"].startswith("`max_credits` is missing")
    assert found["/max_credit"] == (
        "unknown field, allowed are max_credits, budget_duration, soft_credits; did you mean max_credits?"
    )


@pytest.mark.parametrize("body", [None, "", "[]", "7", "{", '{"max_credits": 1, "max_credits": 2}'])
def test_body_that_is_no_single_object_is_refused(api: Api, body: str | None) -> None:
    assert_problem(api.request("PUT", "/v1/budgets/key", body), 422, "invalid_request")
    assert "budget#key:owner" not in budget_items(api)


def test_query_parameter_is_refused(api: Api) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = api.request(method, "/v1/budgets/key?dry_run=1", {"max_credits": 1})
        assert_problem(response, 400, "invalid_parameter")
    assert "budget#key:owner" not in budget_items(api)
