"""Each role has exactly the permissions its function needs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.translated_template import (
    FUNCTIONS,
    JsonObject,
    managed_policies,
    properties,
    resources,
    statements,
    trusted_services,
)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# AWS managed policies that SAM attaches: to write logs and to receive from a queue.
LOGS, QUEUE = "AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole"
MANAGED = {
    "ApiFunctionRole": [LOGS],
    "WebhookFunctionRole": [LOGS],
    "WorkerFunctionRole": [LOGS, QUEUE],
    "SweepFunctionRole": [LOGS],
    "SweepFunctionEveryMinuteRole": [],
}
# The template gives the reason of each statement beside it.
PERMISSIONS = {
    "ApiFunctionRole": {
        "TasksTable": "dynamodb: BatchGetItem GetItem PutItem UpdateItem",
        "TasksTable/index/by_owner": "dynamodb: Query",
        "TasksTable/index/by_owner_status": "dynamodb: Query",
        "ImagesBucket/images/*": "s3: GetObject",
        "ImagesBucket/uploads/*": "s3: GetObject PutObject",
        "TaskQueue": "sqs: SendMessage",
        "ApiSecret": "secretsmanager: GetSecretValue",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "WebhookFunctionRole": {
        "TaskQueue": "sqs: SendMessage",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "WorkerFunctionRole": {
        "TasksTable": "dynamodb: GetItem PutItem UpdateItem",
        "ImagesBucket/images/*": "s3: DeleteObject GetObject PutObject",
        "ImagesBucket/uploads/*": "s3: GetObject",
        "TaskQueue": "sqs: SendMessage",
        "ApiSecret": "secretsmanager: GetSecretValue",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "SweepFunctionRole": {
        "TasksTable/index/due": "dynamodb: Query",
        "TasksTable": "dynamodb: UpdateItem",
        "TaskQueue": "sqs: SendMessage",
        "FailedInvocationQueue": "sqs: SendMessage",
    },
    "SweepFunctionEveryMinuteRole": {
        "SweepFunctionAliaslive": "lambda: InvokeFunction",
        "FailedInvocationQueue": "sqs: SendMessage",
    },
}


def resource_name(resource: Any) -> str:
    """A statement's resource as a logical id, with the path inside that resource."""
    match resource:
        case {"Ref": name}:
            return str(name)
        case {"Fn::GetAtt": [name, "Arn" | "Id"]}:
            return str(name)
        case {"Fn::Sub": text}:
            return re.sub(r"^\$\{(\w+)\.Arn\}", r"\1", text)
    raise AssertionError(f"not a resource of this stack: {resource}")


def permissions(role: JsonObject) -> dict[str, str]:
    """The allowed actions by resource."""
    found: dict[str, set[str]] = {}
    for statement in statements(role):
        assert statement["Effect"] == "Allow"
        for resource in as_list(statement["Resource"]):
            found.setdefault(resource_name(resource), set()).update(as_list(statement["Action"]))
    services = {name: {each.split(":")[0] for each in actions} for name, actions in found.items()}
    assert all(len(each) == 1 for each in services.values())
    return {
        name: f"{services[name].pop()}: {' '.join(sorted(each.split(':')[1] for each in actions))}"
        for name, actions in found.items()
    }


def test_roles_have_only_the_managed_policies_that_sam_attaches() -> None:
    assert {
        name: managed_policies(role["Properties"]) for name, role in _roles().items()
    } == MANAGED


@pytest.mark.parametrize("name", PERMISSIONS)
def test_role_has_exactly_the_permissions_its_function_needs(name: str) -> None:
    role = properties(name)
    service = "scheduler" if name == "SweepFunctionEveryMinuteRole" else "lambda"

    assert permissions(role) == PERMISSIONS[name]
    assert trusted_services(role) == [f"{service}.amazonaws.com"]


def _roles() -> dict[str, JsonObject]:
    return resources("AWS::IAM::Role")


def test_no_role_policy_contains_a_wildcard() -> None:
    text = json.dumps([role["Properties"]["Policies"] for role in _roles().values()])

    assert not re.search(r'"(\w+:)?\*"', text)


def test_functions_roles_and_table_are_tagged() -> None:
    tagged = [*FUNCTIONS, *(f"{name}Role" for name in FUNCTIONS), "TasksTable"]

    for name in tagged:
        assert {"Key": "application", "Value": "imagetasks"} in properties(name)["Tags"], name
