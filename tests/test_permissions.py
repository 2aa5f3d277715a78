"""Least privilege: with IAM enforced, each function's role is refused what its work does not need.

That each *can* do its work is shown by every other test of the deployed stack, which run under the
same enforcement. One limit cannot be shown here: the emulator does not look into update expressions, so
that the sweep may change nothing but `due_at` is written in the template and read by a test below.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.cloud import REGION
from local.system import System

Act = Callable[["Role"], object]
ROLES = ("Api", "Webhook", "Worker", "Sweep")


class Role:
    """A function's role, and the clients that act with nothing but its permissions."""

    def __init__(self, stack: System, function: str) -> None:
        self.outputs = stack.outputs
        name = stack.outputs[f"{function}FunctionName"]
        arn = stack.client("lambda").get_function_configuration(FunctionName=name)["Role"]
        assumed = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="tests")
        self._credentials = assumed["Credentials"]
        self._url = stack.cloud_url

    def client(self, service: str) -> Any:
        make: Any = boto3.session.Session(
            aws_access_key_id=self._credentials["AccessKeyId"],
            aws_secret_access_key=self._credentials["SecretAccessKey"],
            aws_session_token=self._credentials["SessionToken"],
            region_name=REGION,
        ).client
        return make(service, endpoint_url=self._url)

    @property
    def table(self) -> dict[str, str]:
        return {"TableName": self.outputs["TasksTableName"]}

    def object(self, key: str) -> dict[str, str]:
        return {"Bucket": self.outputs["ImagesBucketName"], "Key": key}


KEY = {"pk": {"S": "test#nobody"}}
DUE = "due_shard = :shard"
SHARD = {":shard": {"S": "0"}}
ACTS: dict[str, Act] = {
    "read a task": lambda r: r.client("dynamodb").get_item(**r.table, Key=KEY),
    "write a row": lambda r: r.client("dynamodb").put_item(**r.table, Item=KEY),
    "change a row": lambda r: r.client("dynamodb").update_item(
        **r.table,
        Key=KEY,
        UpdateExpression="SET due_at = :at",
        ExpressionAttributeValues={":at": {"N": "0"}},
    ),
    "delete a row": lambda r: r.client("dynamodb").delete_item(**r.table, Key=KEY),
    "scan the table": lambda r: r.client("dynamodb").scan(**r.table),
    "query what is due": lambda r: r.client("dynamodb").query(
        **r.table, IndexName="due", KeyConditionExpression=DUE, ExpressionAttributeValues=SHARD
    ),
    "delete the table": lambda r: r.client("dynamodb").delete_table(**r.table),
    "write an image": lambda r: r.client("s3").put_object(**r.object("images/a/0"), Body=b"x"),
    "read an image": lambda r: r.client("s3").get_object(**r.object("images/a/0")),
    "read another prefix": lambda r: r.client("s3").get_object(**r.object("else/a")),
    "write another prefix": lambda r: r.client("s3").put_object(**r.object("else/a"), Body=b"x"),
    "delete an image": lambda r: r.client("s3").delete_object(**r.object("images/a/0")),
    "list the bucket": lambda r: r.client("s3").list_objects_v2(
        Bucket=r.outputs["ImagesBucketName"]
    ),
    "ring": lambda r: r.client("sqs").send_message(
        QueueUrl=r.outputs["TaskQueueUrl"], MessageBody='{"task_id": "nobody", "by": "test"}'
    ),
    "take from the queue": lambda r: r.client("sqs").receive_message(
        QueueUrl=r.outputs["TaskQueueUrl"]
    ),
    "empty the queue": lambda r: r.client("sqs").purge_queue(QueueUrl=r.outputs["TaskQueueUrl"]),
    "read PoYo's key": lambda r: r.client("secretsmanager").get_secret_value(
        SecretId=r.outputs["ApiSecretArn"]
    ),
    "read the callback keys": lambda r: r.client("secretsmanager").get_secret_value(
        SecretId=r.outputs["CallbackSecretArn"]
    ),
    "change a secret": lambda r: r.client("secretsmanager").put_secret_value(
        SecretId=r.outputs["CallbackSecretArn"], SecretString="{}"
    ),
}
TASKS = {"read a task", "write a row", "change a row"}
ALLOWED = {
    "Api": TASKS | {"read an image", "ring", "read PoYo's key", "read the callback keys"},
    "Webhook": {"ring", "read the callback keys"},
    # Lambda itself takes from the queue with the worker's role.
    "Worker": TASKS
    | {"write an image", "read an image", "ring", "take from the queue"}
    | {"read PoYo's key", "read the callback keys"},
    "Sweep": {"change a row", "query what is due", "ring"},
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_its_work_and_nothing_else(stack: System, role: str) -> None:
    acting = Role(stack, role)

    allowed = {name for name, act in ACTS.items() if not _denied(act, acting)}

    assert allowed == ALLOWED[role]


def _denied(act: Act, role: Role) -> bool:
    try:
        act(role)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return False


def test_the_sweep_may_change_nothing_but_the_next_look() -> None:
    template = (Path(__file__).parent.parent / "template.yaml").read_text()

    claim = re.search(r"Sid: ClaimDue.*?Sid:", template, re.DOTALL)

    assert claim
    assert (
        "ForAllValues:StringEquals:\n                  dynamodb:Attributes: [pk, due_at]"
        in claim[0]
    )


def test_no_statement_allows_a_wildcard_action() -> None:
    template = (Path(__file__).parent.parent / "template.yaml").read_text()
    allowing = re.findall(r"Effect: Allow\n\s+Action: (.*)", template)

    assert len(allowing) >= 10
    assert not [actions for actions in allowing if "*" in actions]
