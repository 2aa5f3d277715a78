"""The deployed stack against its contract: schemathesis makes requests of it, right ones and wrong ones.

`make schemathesis CASES=2000 SEED=7` asks for more than the gate does.
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
import schemathesis
from requests.structures import CaseInsensitiveDict
from schemathesis.config._checks import POSITIVE_DATA_ACCEPTANCE_EXPECTED_STATUSES as RIGHT
from schemathesis.engine import events, from_schema
from schemathesis.schemas import BaseSchema

from imagetasks.api import pagination
from imagetasks.poyo.catalog import IMAGE
from imagetasks.poyo.models import CUSTOM_SIZE
from imagetasks.tasks.list_position import ListPosition
from local.system import System
from openapi import parameters
from openapi.operations import OPERATIONS
from openapi.schemas import CALLBACK

CASES = int(os.environ.get("CASES", "5"))
SEED = int(os.environ.get("SEED", "1"))
PLACE = pagination.encode_cursor(ListPosition(1_790_000_000_000, "a" * 26))
ELSEWHERE = "https://pages.example/boat.png"  # a name that is reserved: nobody is there
LONGEST = 2048  # an address
KEY = re.compile(parameters.IDEMPOTENCY_KEY)
# Each operation's first answer must be among those that came. Not these two: a file's link no generator
# can guess, and the address that the contract itself came from schemathesis leaves out.
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
    """A problem's code is one that this operation promises for this status."""
    if response.headers.get("content-type", [""])[0] != "application/problem+json":
        return
    promised = case.operation.definition.raw["responses"].get(str(response.status_code))
    if promised:
        codes = promised["content"]["application/problem+json"]["examples"]
        assert response.json()["code"] in codes, f"{response.json()['code']} is not promised"


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Leave out what the local gateway changes on the way: from a header it drops what is not UTF-8,
    and then there is none, and an address with a line break the local gateway does not pass on."""
    broken = any("\n" in str(part) for part in (case.path_parameters or {}).values())
    return not broken and all(str(each).isascii() for each in (case.headers or {}).values())


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """Take out what no schema can say, so that what is right by the schema is right; what is wrong
    by the schema stays so. Addresses lead to nobody: no test calls a stranger's server."""
    if isinstance(case.body, dict):
        _repair_order(case.body)
    headers, query = case.headers or CaseInsensitiveDict(), case.query or {}
    if KEY.fullmatch(str(headers.get("Idempotency-Key", ""))):
        said = json.dumps(case.body, default=str).encode(errors="replace")
        headers["Idempotency-Key"] = hashlib.sha256(said).hexdigest()  # another body, another key
    given = query.get("cursor")
    known = isinstance(given, str) and len(given) <= pagination.MAX_CURSOR_CHARS
    if known and case.operation.path == "/v1/tasks":
        query["cursor"] = PLACE  # only we know how a cursor is made


def _repair_order(body: dict[str, Any]) -> None:
    limit, callback, wish = body.get("max_credits"), body.get("callback_url"), body.get("input")
    if isinstance(limit, int | float) and not isinstance(limit, bool) and limit > 0:
        body["max_credits"] = 1000  # what an order costs is no matter of its shape
    if isinstance(callback, str) and re.search(CALLBACK, callback) and len(callback) <= LONGEST:
        body["callback_url"] = ELSEWHERE
    if not isinstance(wish, dict):
        return
    size = wish.get("size")
    if isinstance(size, str) and CUSTOM_SIZE.fullmatch(size):
        wish["size"] = "2048x1152"  # a custom size's arithmetic is beyond JSON Schema
    if isinstance(wish.get("image_urls"), list):
        wish["image_urls"] = [_nowhere(each) for each in wish["image_urls"]]


def _nowhere(url: object) -> object:
    good = isinstance(url, str) and re.search(IMAGE, url) and len(url) <= LONGEST
    return ELSEWHERE if good else url


def contract_of(stack: System) -> BaseSchema:
    """The contract as the stack hands it out, and how it is tried."""
    checks: dict[str, Any] = {name: {"enabled": True} for name in CHECKS}
    # 410 is right for a good order, too: under the key of a task that was deleted.
    checks["positive_data_acceptance"]["expected-statuses"] = [*RIGHT, "410"]
    # Not tried here, since it needs a second key; test_api has strangers at every route.
    checks["object_level_authorization"] = {"enabled": False}
    config = schemathesis.Config.from_dict({
        "seed": SEED,
        "generation": {"max-examples": CASES, "deterministic": True, "database": "none"},
        "auth": {"openapi": {"serverKey": {"bearer": stack.api_key}}},
        "checks": checks,
        "continue-on-failure": True,
        "output": {"sanitization": {"enabled": False}},  # so that a failure can be sent again
        "request-timeout": 40,
    })  # fmt: skip
    return schemathesis.openapi.from_url(f"{stack.url}/openapi.json", config=config)


@pytest.mark.filterwarnings("default")  # of schemathesis' own
def test_every_answer_is_one_that_the_contract_promises(stack: System) -> None:
    counted: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    for event in from_schema(contract_of(stack)).execute():
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
    """What failed, once for each check and operation."""
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
