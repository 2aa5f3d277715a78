"""Rings again for what nobody heard: dead letters, and tasks that failed but were perhaps paid.

python -m cli.redrive dead-letters       every dead letter goes back to the queue
python -m cli.redrive task ID [ID ...]   look at these tasks once more
python -m cli.redrive failed             look at every softly failed task that PoYo has an id of

Ringing is always safe: a bell only means *look*, and a finished task is not looked at again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.stack import Stack, Wrong, asking

SOFT = ("unconfirmed", "timed_out", "result_expired")


def dead_letters(stack: Stack) -> str:
    """Move every dead letter back; each is deleted there only after it is safe here."""
    sqs = stack.client("sqs")
    source, target = stack.output("TaskDeadLetterQueueUrl"), stack.output("TaskQueueUrl")
    moved = 0
    while messages := _received(sqs, source):
        for message in messages:
            sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
        print(f"{moved} moved", file=sys.stderr)
    return f"{moved} dead letters are back in the queue"


def tasks(stack: Stack, task_ids: list[str]) -> str:
    """Ring for each of the tasks."""
    sqs, queue = stack.client("sqs"), stack.output("TaskQueueUrl")
    for task_id in task_ids:
        body = json.dumps({"task_id": task_id, "source": "operator", "poyo_id": None})
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    return f"rung for {len(task_ids)} tasks"


def failed(stack: Stack) -> str:
    """Ring for every softly failed task that PoYo has an id of; reads the whole table once."""
    found = list(_softly_failed(stack.client("dynamodb"), stack.output("TasksTableName")))
    return tasks(stack, found)


def _received(sqs: Any, queue_url: str) -> list[dict[str, str]]:
    answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    return list(answer.get("Messages", []))


def _softly_failed(dynamodb: Any, table: str) -> Iterator[str]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="#state = :failed AND reason IN (:a, :b, :c) AND attribute_exists(poyo_id)",
        ProjectionExpression="task_id",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={
            ":failed": {"S": "failed"},
            **{name: {"S": reason} for name, reason in zip((":a", ":b", ":c"), SOFT, strict=True)},
        },
    )
    for page in pages:
        yield from (item["task_id"]["S"] for item in page["Items"])


def _carried_out(asked: argparse.Namespace) -> str:
    stack = Stack(asked.stack, asked.region)
    if asked.what == "dead-letters":
        return dead_letters(stack)
    return tasks(stack, asked.task_id) if asked.what == "task" else failed(stack)


def main() -> int:
    """Carry out one command; 0 when done, 1 with the reason when not."""
    parser = asking("redrive", __doc__)
    whats = parser.add_subparsers(dest="what", required=True)
    whats.add_parser("dead-letters", help="put every dead letter back into the queue")
    whats.add_parser("task", help="look at some tasks again").add_argument("task_id", nargs="+")
    whats.add_parser("failed", help="look again at every softly failed task that PoYo knows")
    try:
        print(_carried_out(parser.parse_args()))
    except (Wrong, ClientError, BotoCoreError) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
