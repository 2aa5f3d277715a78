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


OWN_LOG = "logs: CreateLogStream PutLogEvents"
SHIFT = "lambda: GetAlias GetProvisionedConcurrencyConfig UpdateAlias"
# The template gives the reason of each statement beside it.
PERMISSIONS = {
    "ApiFunctionRole": {
        "TasksTable": "dynamodb: BatchGetItem GetItem PutItem UpdateItem",
        "TasksTable/index/by_owner": "dynamodb: Query",
        "TasksTable/index/by_owner_status": "dynamodb: Query",
        "ImagesBucket/images/*": "s3: GetObject",
        "ImagesBucket/uploads/*": "s3: GetObject PutObject",
        "TaskQueue": "sqs: SendMessage",
        "ApiLogs": OWN_LOG,
        "ApiSecret": "secretsmanager: GetSecretValue",
        "CallbackSecret": "secretsmanager: GetSecretValue",
        "TokenSecret": "secretsmanager: GetSecretValue",
    },
    "WebhookFunctionRole": {
        "WebhookLogs": OWN_LOG,
        "TaskQueue": "sqs: SendMessage",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "WorkerFunctionRole": {
        "TasksTable": "dynamodb: GetItem PutItem UpdateItem",
        "ImagesBucket/images/*": "s3: DeleteObject GetObject PutObject",
        "ImagesBucket/uploads/*": "s3: GetObject",
        "TaskQueue": "sqs: DeleteMessage GetQueueAttributes ReceiveMessage SendMessage",
        "NotificationQueue": "sqs: SendMessage",
        "WorkerLogs": OWN_LOG,
        "ApiSecret": "secretsmanager: GetSecretValue",
        "CallbackSecret": "secretsmanager: GetSecretValue",
    },
    "NotifyFunctionRole": {
        "TasksTable": "dynamodb: GetItem UpdateItem",
        "TaskQueue": "sqs: SendMessage",
        "NotificationQueue": "sqs: DeleteMessage GetQueueAttributes ReceiveMessage",
        "ApiSecret": "secretsmanager: GetSecretValue",
        "NotifyLogs": OWN_LOG,
    },
    "SweepFunctionRole": {
        "TasksTable/index/due": "dynamodb: Query",
        "TasksTable": "dynamodb: UpdateItem",
        "TaskQueue": "sqs: SendMessage",
        "SweepLogs": OWN_LOG,
        "FailedInvocationQueue": "sqs: SendMessage",
    },
    "DriftFunctionRole": {"DriftLogs": OWN_LOG},
    "DriftFunctionEveryDayRole": {"DriftFunctionAliaslive": "lambda: InvokeFunction"},
    "SweepFunctionEveryMinuteRole": {
        "SweepFunctionAliaslive": "lambda: InvokeFunction",
        "FailedInvocationQueue": "sqs: SendMessage",
    },
    "DeploymentRole": {
        **dict.fromkeys([*FUNCTIONS, *(f"{name}:live" for name in FUNCTIONS)], SHIFT),
        "alarms of the account and region": "cloudwatch: DescribeAlarms",
    },
}
SERVICES = {
    "SweepFunctionEveryMinuteRole": "scheduler",
    "DriftFunctionEveryDayRole": "scheduler",
    "DeploymentRole": "codedeploy",
}
ALARMS_OF_THE_ACCOUNT = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"


def resource_name(resource: Any) -> str:
    """A statement's resource as a logical id, with the path inside that resource."""
    match resource:
        case {"Ref": name}:
            return str(name)
        case {"Fn::GetAtt": [name, "Arn" | "Id"]}:
            return str(name)
        case {"Fn::Sub": text} if text == ALARMS_OF_THE_ACCOUNT:
            return "alarms of the account and region"
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


def test_no_role_has_a_managed_policy_and_each_has_its_row_here() -> None:
    """SAM would attach policies that cover every queue and every log group of the account."""
    managed = {name: managed_policies(role["Properties"]) for name, role in _roles().items()}

    assert managed == {name: [] for name in PERMISSIONS}


@pytest.mark.parametrize("name", PERMISSIONS)
def test_role_has_exactly_the_permissions_its_function_needs(name: str) -> None:
    role = properties(name, "gradual")

    assert permissions(role) == PERMISSIONS[name]
    assert trusted_services(role) == [f"{SERVICES.get(name, 'lambda')}.amazonaws.com"]


def _roles() -> dict[str, JsonObject]:
    """Every role that a stack can have: those of gradual deployments, too."""
    return resources("AWS::IAM::Role", "gradual")


def test_no_role_policy_contains_a_wildcard() -> None:
    text = json.dumps([role["Properties"]["Policies"] for role in _roles().values()])

    assert not re.search(r'"(\w+:)?\*"', text)


def test_functions_roles_and_table_are_tagged() -> None:
    tagged = [*FUNCTIONS, *(f"{name}Role" for name in FUNCTIONS), "TasksTable"]

    for name in tagged:
        assert {"Key": "application", "Value": "imagetasks"} in properties(name)["Tags"], name
