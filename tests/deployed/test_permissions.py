"""Least privilege: with IAM enforced, each function's role is denied what the function does not need.

Every other test of the deployed stack runs under the same enforcement and shows that the roles suffice. Two
permissions cannot be tested here. The emulator does not evaluate update expressions, so a test reads in the
template that the sweep may change only `due_at`. It writes logs without the role, and compares the ARN of a log
group in another form than AWS: tests/repository/test_template_permissions.py reads that a function may write its own log.
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
from local.stack import NAME
from local.system import System

Act = Callable[["Role"], object]
ROLES = ("Api", "Webhook", "Worker", "Notify", "Sweep")


class Role:
    """A function's role, and clients that have only its permissions."""

    def __init__(self, stack: System, function: str) -> None:
        self.outputs = stack.outputs
        name = stack.outputs[f"{function}FunctionName"]
        arn = stack.client("lambda").get_function_configuration(FunctionName=name)["Role"]
        assumed = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="tests")
        self._credentials = assumed["Credentials"]
        self._url = stack.cloud_url
        self._stack = stack

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

    @property
    def access_log(self) -> dict[str, str]:
        """A new stream in a log group that is no function's."""
        resource = self._stack.client("cloudformation").describe_stack_resource(
            StackName=NAME, LogicalResourceId="AccessLogs"
        )
        group = resource["StackResourceDetail"]["PhysicalResourceId"]
        return {"logGroupName": group, "logStreamName": "a test"}

    def query(self, index: str, key: str) -> Any:
        return self.client("dynamodb").query(
            **self.table,
            IndexName=index,
            KeyConditionExpression="#of = :nobody",
            ExpressionAttributeNames={"#of": key},
            ExpressionAttributeValues={":nobody": {"S": "nobody"}},
        )

    def erase(self, *keys: str) -> Any:
        """Delete the keys in one request; raises ClientError for the first that fails."""
        response: dict[str, Any] = self.client("s3").delete_objects(
            Bucket=self.outputs["ImagesBucketName"],
            Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
        )
        for error in response.get("Errors", ()):
            raise ClientError({"Error": error}, "DeleteObjects")
        return response


KEY = {"pk": {"S": "test#nobody"}}
DUE = "due_shard = :shard"
SHARD = {":shard": {"S": "0"}}
ACTS: dict[str, Act] = {
    "read a task": lambda r: r.client("dynamodb").get_item(**r.table, Key=KEY),
    "write an item": lambda r: r.client("dynamodb").put_item(**r.table, Item=KEY),
    "update an item": lambda r: r.client("dynamodb").update_item(
        **r.table,
        Key=KEY,
        UpdateExpression="SET due_at = :at",
        ExpressionAttributeValues={":at": {"N": "0"}},
    ),
    "delete an item": lambda r: r.client("dynamodb").delete_item(**r.table, Key=KEY),
    "scan the table": lambda r: r.client("dynamodb").scan(**r.table),
    "scan an owner's list": lambda r: r.client("dynamodb").scan(**r.table, IndexName="by_owner"),
    "read several tasks": lambda r: r.client("dynamodb").batch_get_item(
        RequestItems={r.table["TableName"]: {"Keys": [KEY]}}
    ),
    "write several items": lambda r: r.client("dynamodb").batch_write_item(
        RequestItems={r.table["TableName"]: [{"PutRequest": {"Item": KEY}}]}
    ),
    "list tasks": lambda r: r.query("by_owner", "owner_key"),
    "list tasks by status": lambda r: r.query("by_owner_status", "owner_status_key"),
    "query the table": lambda r: r.client("dynamodb").query(
        **r.table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": KEY["pk"]}
    ),
    "query due tasks": lambda r: r.client("dynamodb").query(
        **r.table, IndexName="due", KeyConditionExpression=DUE, ExpressionAttributeValues=SHARD
    ),
    "delete the table": lambda r: r.client("dynamodb").delete_table(**r.table),
    "write an image": lambda r: r.client("s3").put_object(**r.object("images/a/0"), Body=b"x"),
    "read an image": lambda r: r.client("s3").get_object(**r.object("images/a/0")),
    "read another prefix": lambda r: r.client("s3").get_object(**r.object("else/a")),
    "write another prefix": lambda r: r.client("s3").put_object(**r.object("else/a"), Body=b"x"),
    "put an upload": lambda r: r.client("s3").put_object(**r.object("uploads/a/b"), Body=b"x"),
    "read an upload": lambda r: r.client("s3").get_object(**r.object("uploads/a/b")),
    "delete an upload": lambda r: r.client("s3").delete_object(**r.object("uploads/a/b")),
    "delete another prefix": lambda r: r.client("s3").delete_object(**r.object("else/a")),
    "erase a task's images": lambda r: r.erase("images/a/0", "images/a/1"),
    "erase uploads": lambda r: r.erase("uploads/a/b"),
    "make an image public": lambda r: r.client("s3").put_object_acl(
        **r.object("images/a/0"), ACL="public-read"
    ),
    "delete an image": lambda r: r.client("s3").delete_object(**r.object("images/a/0")),
    "list the bucket": lambda r: r.client("s3").list_objects_v2(
        Bucket=r.outputs["ImagesBucketName"]
    ),
    "send a task message": lambda r: r.client("sqs").send_message(
        QueueUrl=r.outputs["TaskQueueUrl"], MessageBody='{"task_id": "nobody", "source": "test"}'
    ),
    "send a notification message": lambda r: r.client("sqs").send_message(
        QueueUrl=r.outputs["NotificationQueueUrl"],
        MessageBody='{"task_id": "nobody", "source": "test"}',
    ),
    "receive from the notification queue": lambda r: r.client("sqs").receive_message(
        QueueUrl=r.outputs["NotificationQueueUrl"]
    ),
    "receive from the queue": lambda r: r.client("sqs").receive_message(
        QueueUrl=r.outputs["TaskQueueUrl"]
    ),
    "receive dead letters": lambda r: r.client("sqs").receive_message(
        QueueUrl=r.outputs["TaskDeadLetterQueueUrl"]
    ),
    "write to the access log": lambda r: r.client("logs").create_log_stream(**r.access_log),
    "create a log group": lambda r: r.client("logs").create_log_group(logGroupName="another"),
    "purge the queue": lambda r: r.client("sqs").purge_queue(QueueUrl=r.outputs["TaskQueueUrl"]),
    "read PoYo's key": lambda r: r.client("secretsmanager").get_secret_value(
        SecretId=r.outputs["ApiSecretArn"]
    ),
    "read the callback keys": lambda r: r.client("secretsmanager").get_secret_value(
        SecretId=r.outputs["CallbackSecretArn"]
    ),
    "read the token keys": lambda r: r.client("secretsmanager").get_secret_value(
        SecretId=r.outputs["TokenSecretArn"]
    ),
    "change a secret": lambda r: r.client("secretsmanager").put_secret_value(
        SecretId=r.outputs["CallbackSecretArn"], SecretString="{}"
    ),
}
TASKS = {"read a task", "write an item", "update an item"}
LISTS = {"read several tasks", "list tasks", "list tasks by status"}
KEYS = {"read PoYo's key", "read the callback keys"}
ALLOWED = {
    # A browser uploads with a form that this role has signed.
    "Api": TASKS
    | LISTS
    | KEYS
    | {"read the token keys"}
    | {"read an image", "put an upload", "read an upload", "send a task message"},
    "Webhook": {"send a task message", "read the callback keys"},
    # Lambda itself receives from the queue with the worker's role. PoYo reads an upload from a URL
    # that this role has signed.
    "Worker": TASKS
    | KEYS
    | {"write an image", "read an image", "delete an image", "erase a task's images"}
    | {"read an upload", "send a task message", "receive from the queue"}
    | {"send a notification message"},
    "Notify": {"read a task", "update an item", "send a task message", "read PoYo's key"}
    | {"receive from the notification queue"},
    "Sweep": {"update an item", "query due tasks", "send a task message"},
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_allows_what_the_function_needs_and_nothing_else(stack: System, role: str) -> None:
    acting = Role(stack, role)

    allowed = {name for name, act in ACTS.items() if not _denied(act, acting)}

    assert allowed == ALLOWED[role]


def _denied(act: Act, role: Role) -> bool:
    try:
        act(role)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return False


def test_the_sweep_may_change_only_due_at() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text()

    claim = re.search(r"Sid: ClaimDue.*?Sid:", template, re.DOTALL)

    assert claim
    assert re.search(
        r"ForAllValues:StringEquals:\n +dynamodb:Attributes: \[pk, due_at\]\n", claim[0]
    )


def test_no_statement_allows_a_wildcard_action() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text()
    allowing = re.findall(r"Effect: Allow\n\s+Action: (.*)", template)

    assert len(allowing) >= 10
    assert not [actions for actions in allowing if "*" in actions]
