"""The deployed stack against its OpenAPI document: schemathesis sends valid and invalid requests.

`make schemathesis CASES=2000 SEED=7` sends more than the gate.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import requests
import schemathesis
from requests.structures import CaseInsensitiveDict
from schemathesis.config._checks import POSITIVE_DATA_ACCEPTANCE_EXPECTED_STATUSES as RIGHT
from schemathesis.engine import events, from_schema
from schemathesis.schemas import BaseSchema

from imagetasks.api import credit_amount, pagination, request, token_request, usage_request
from imagetasks.poyo.custom_size import custom_size
from imagetasks.poyo.served_schema import IMAGE, NOT_BLANK
from imagetasks.tasks.budgets import DURATION
from imagetasks.tasks.caller import TOKEN_ID
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.usage import UsageKey
from local.system import System
from openapi import parameters
from openapi.operations import OPERATIONS
from openapi.schemas import CALLBACK

CASES = int(os.environ.get("CASES", "5"))
SEED = int(os.environ.get("SEED", "1"))
PLACE = pagination.encode_cursor(ListPosition(1_790_000_000_000, "a" * 26))
SCOPE = re.compile(parameters.PARAMETERS["scope"][2]["pattern"])
TASK_IDS = re.compile(parameters.PARAMETERS["task_ids"][2]["pattern"])
STATUS = re.compile("|".join(pagination.STATUSES))
LIMIT = re.compile("[1-9][0-9]?|100")
WAIT = re.compile("1?[0-9]|20")
RESERVED_URL = "https://pages.example/boat.png"  # a reserved name that no server has
MAX_URL_CHARS = 2048
TOKEN_OWNER = "schemathesis"
TOKEN_IDS: list[str] = []  # of the token that the hooks put in, once it is issued
KEY = re.compile(parameters.IDEMPOTENCY_KEY)
# The first documented response of each operation must occur, except for two operations: no generator can
# guess a signed file URL, and schemathesis does not call the URL of the document itself.
SUCCESSES = [
    f"{each.method} {each.path} {each.successes[0].status}"
    for each in OPERATIONS
    if each.id not in ("openLink", "readContract")
]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
    "code_conformance",
)


@schemathesis.check
def code_conformance(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """A problem's code is documented for the operation and the status."""
    if response.headers.get("content-type", [""])[0] != "application/problem+json":
        return
    documented = case.operation.definition.raw["responses"].get(str(response.status_code))
    if documented and "content" in documented:  # a response to HEAD has none
        codes = documented["content"]["application/problem+json"]["examples"]
        assert response.json()["code"] in codes, f"{response.json()['code']} is not documented"


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Exclude requests that the local gateway changes: it drops a header that is not UTF-8, and it
    does not forward a path with a line break."""
    broken = any("\n" in str(part) for part in (case.path_parameters or {}).values())
    return not broken and all(str(each).isascii() for each in (case.headers or {}).values())


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """Repair what JSON Schema cannot express, so that a request that is valid by its schema is valid.
    A request that is invalid by its schema stays invalid. No URL leads to an existing server."""
    if isinstance(case.body, dict) and case.operation.path == "/v1/tokens":
        _repair_token(case.body)
    elif isinstance(case.body, dict) and case.operation.path == "/v1/budgets/{scope}":
        _repair_budget(case.body)
    elif isinstance(case.body, dict):
        _repair_order(case.body)
    headers, query = case.headers or CaseInsensitiveDict(), case.query or {}
    if KEY.fullmatch(str(headers.get("Idempotency-Key", ""))):
        body = json.dumps(case.body, default=str).encode(errors="replace")
        headers["Idempotency-Key"] = hashlib.sha256(body).hexdigest()  # another body, another key
    given = query.get("cursor")
    known = isinstance(given, str) and len(given) <= pagination.MAX_CURSOR_CHARS
    if known and case.operation.path == "/v1/tasks":
        query["cursor"] = PLACE  # no generator can create a valid cursor
    if case.operation.path == "/v1/tasks":
        _repair_list(query)
    if case.operation.path == "/v1/usage":
        _repair_usage(query, str(headers.get("X-Owner", "")))
    _name_the_token(case, headers)
    scope = (case.path_parameters or {}).get("scope")
    if isinstance(scope, str) and SCOPE.fullmatch(scope):  # a budget of a user who orders nothing
        case.path_parameters["scope"] = "owner:schemathesis"


def _name_the_token(case: schemathesis.Case[Any], headers: CaseInsensitiveDict[Any]) -> None:
    """No generator can guess the id of a token and its owner: a valid id becomes that of a real one."""
    token_id = (case.path_parameters or {}).get("token_id")
    if not (isinstance(token_id, str) and TOKEN_ID.fullmatch(token_id)):
        return
    case.path_parameters["token_id"] = TOKEN_IDS[-1]
    if request.USER.fullmatch(str(headers.get("X-Owner", ""))):
        headers["X-Owner"] = TOKEN_OWNER


def _repair_list(query: dict[str, Any]) -> None:
    """No schema can say that parameters exclude or need each other. One that is invalid by itself stays."""
    if not TASK_IDS.fullmatch(str(query.get("task_ids", ""))):
        if "task_ids" not in query and WAIT.fullmatch(str(query.get("wait", ""))):
            del query["wait"]
        return
    of_a_page = {"status": STATUS, "limit": LIMIT, "cursor": re.compile(re.escape(PLACE))}
    for name, valid in of_a_page.items():
        if valid.fullmatch(str(query.get(name, ""))):
            del query[name]


def _repair_usage(query: dict[str, Any], user: str) -> None:
    """No schema can relate two days or make a valid cursor."""
    for name in ("from", "to"):
        if re.fullmatch(usage_request.DAY, str(query.get(name))):
            query[name] = "2026-11-28"
    given = query.get("cursor")
    if isinstance(given, str) and len(given) <= usage_request.MAX_CURSOR_CHARS:
        owner = f"default/{user}" if request.USER.fullmatch(user) else "default"
        place = UsageKey(day="2026-11-28", model="gpt-image-2", owner=owner)
        query |= {"from": place.day, "to": place.day, "cursor": usage_request.cursor(place)}


def _repair_budget(body: dict[str, Any]) -> None:
    """No schema can count decimals or hours, or compare two fields."""
    for name in ("max_credits", "soft_credits"):
        value = body.get(name)
        if isinstance(value, float) and 0 <= value <= credit_amount.MAX_CREDITS:
            body[name] = round(value, credit_amount.MAX_DECIMALS)
    highest, soft, duration = (
        body.get(name) for name in ("max_credits", "soft_credits", "budget_duration")
    )
    if isinstance(highest, int | float) and isinstance(soft, int | float) and 0 <= highest < soft:
        body["soft_credits"] = min(soft, highest) if soft <= credit_amount.MAX_CREDITS else soft
    if isinstance(duration, str) and DURATION.fullmatch(duration):
        body["budget_duration"] = "366d"


def _repair_token(body: dict[str, Any]) -> None:
    limit, origin = body.get("max_credits"), body.get("origin")
    if isinstance(limit, float) and 0 < limit <= credit_amount.MAX_CREDITS:
        body["max_credits"] = round(limit, credit_amount.MAX_DECIMALS) or 1
    if isinstance(origin, str) and token_request.ORIGIN.fullmatch(origin):
        body["origin"] = "https://pages.example"  # maybe with the scheme's own port


def _repair_order(body: dict[str, Any]) -> None:
    limit, callback, requested = (body.get(key) for key in ("max_credits", "callback_url", "input"))
    if isinstance(limit, int | float) and not isinstance(limit, bool) and limit > 0:
        body["max_credits"] = 1000  # the price of an order is not part of the schema
    if (
        isinstance(callback, str)
        and re.search(CALLBACK, callback)
        and len(callback) <= MAX_URL_CHARS
    ):
        body["callback_url"] = RESERVED_URL
    if not isinstance(requested, dict):
        return
    size, prompt = requested.get("size"), requested.get("prompt")
    if isinstance(prompt, str) and re.search(NOT_BLANK, prompt):  # maybe by an invisible character
        requested["prompt"] = f"A{prompt[1:]}"
    if isinstance(size, str) and custom_size(size):
        requested["size"] = "2048x1152"  # JSON Schema cannot express the rules of a custom size
    if isinstance(requested.get("image_urls"), list):
        requested["image_urls"] = [_reserved(each) for each in requested["image_urls"]]
    if isinstance(requested.get("mask_url"), str):
        requested["mask_url"] = _reserved(requested["mask_url"])


def _reserved(url: object) -> object:
    good = isinstance(url, str) and re.search(IMAGE, url) and len(url) <= MAX_URL_CHARS
    return RESERVED_URL if good else url


def issue_token(stack: System) -> str:
    """The id of a token that exists."""
    body = {"owner": TOKEN_OWNER, "max_credits": 1}
    key = {"Authorization": f"Bearer {stack.api_key}"}
    response = requests.post(f"{stack.url}/v1/tokens", json=body, headers=key, timeout=30)
    return str(response.json()["token_id"])


def document_of(stack: System) -> BaseSchema:
    """The OpenAPI document of the stack, and the configuration of the checks."""
    TOKEN_IDS.append(issue_token(stack))
    checks: dict[str, Any] = {name: {"enabled": True} for name in CHECKS}
    # 410 is correct for a valid order with the key of a deleted task.
    checks["positive_data_acceptance"]["expected-statuses"] = [*RIGHT, "410"]
    # This check needs a second key; test_api calls every route with other keys.
    checks["object_level_authorization"] = {"enabled": False}
    config = schemathesis.Config.from_dict({
        "seed": SEED,
        "generation": {"max-examples": CASES, "deterministic": True, "database": "none"},
        "auth": {"openapi": {"serverKey": {"bearer": stack.api_key}}},
        "checks": checks,
        # A revoked token is still readable: it says what it has spent.
        "operations": [
            {
                "include-path": "/v1/tokens/{token_id}",
                "checks": {"use_after_free": {"enabled": False}},
            }
        ],
        "continue-on-failure": True,
        "output": {"sanitization": {"enabled": False}},  # so that a failing request can be repeated
        "request-timeout": 40,
    })  # fmt: skip
    return schemathesis.openapi.from_url(f"{stack.url}/openapi.json", config=config)


@pytest.mark.filterwarnings("default")  # warnings of schemathesis itself
def test_every_response_is_documented(stack: System) -> None:
    counted: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    for event in from_schema(document_of(stack)).execute():
        if isinstance(event, events.ScenarioFinished):
            for case_id, interaction in event.recorder.interactions.items():
                status = interaction.response.status_code if interaction.response else 0
                counted[f"{event.recorder.cases[case_id].value.operation.label} {status}"] += 1
            wrong |= failures(event)
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong[str(event)[:200]] = repr(event)
    sys.stderr.writelines(f"{label}: {count}\n" for label, count in sorted(counted.items()))

    assert not wrong, "\n\n".join(wrong.values())
    assert [label for label in SUCCESSES if label not in counted] == []


def failures(event: events.ScenarioFinished) -> Mapping[str, str]:
    """The failures, one for each check and operation."""
    found: dict[str, str] = {}
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info:
                label = event.recorder.cases[case_id].value.operation.label
                failure = check.failure_info.failure
                found[f"{check.name} {label}"] = (
                    f"{check.name}: {label} ({event.phase})\n{failure.title}: {failure.message}\n"
                    f"{check.failure_info.code_sample}"
                )
    return found
