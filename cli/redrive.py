"""Lets things run again after a problem: dead letters, failed tasks that PoYo may have completed, and
submits that wait because PoYo failed (each command closes the circuit breaker).

imagetasks stack redrive dead-letters       moves every dead-lettered message back to its queue
imagetasks stack redrive task ID [ID ...]   reconciles these tasks again
imagetasks stack redrive failed             reconciles every recoverable failure that has a PoYo id
imagetasks stack redrive breaker            only closes the circuit breaker

Sending a task message is always safe: it only triggers a reconcile, and a reconcile leaves a
finished task unchanged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from cli.stack import CommandError, Stack, argument_parser, run_command
from imagetasks.tasks.failure_reasons import RECOVERABLE
from imagetasks.tasks.task import task_pk


def redrive_dead_letters(stack: Stack) -> str:
    """Move every dead letter back to its queue.

    A message is deleted from the dead-letter queue only after SQS has accepted its copy.
    """
    sqs, moved = stack.client("sqs"), 0
    for kind in ("Task", "Notification"):
        source, target = stack.output(f"{kind}DeadLetterQueueUrl"), stack.output(f"{kind}QueueUrl")
        while messages := _receive(sqs, source):
            for message in messages:
                sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
                sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
                moved += 1
            print(f"{moved} moved", file=sys.stderr)
    return f"{moved} dead letters are back in their queues"


def enqueue_named(stack: Stack, task_ids: list[str]) -> str:
    """Send one task message for each of the tasks that the operator named. Raises CommandError, before
    anything is sent, if one of them does not exist."""
    table = stack.table()
    if unknown := [task_id for task_id in task_ids if not table.get(task_pk(task_id))]:
        raise CommandError(f"there is no task {', '.join(unknown)}: nothing was sent")
    return enqueue_tasks(stack, task_ids)


def enqueue_tasks(stack: Stack, task_ids: list[str]) -> str:
    """Send one task message for each of the tasks."""
    sqs, queue = stack.client("sqs"), stack.output("TaskQueueUrl")
    for task_id in task_ids:
        body = json.dumps({"task_id": task_id, "source": "operator", "poyo_id": None})
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    return f"task messages sent: {len(task_ids)}"


def enqueue_failed(stack: Stack) -> str:
    """Send a task message for every recoverable failure with a PoYo id. Scans the whole table."""
    dynamodb, table = stack.client("dynamodb"), stack.output("TasksTableName")
    return enqueue_tasks(stack, list(_recoverable_failures(dynamodb, table)))


def close_circuit_breaker(stack: Stack) -> str:
    """Forget PoYo's failures: orders that wait for PoYo are sent within a minute, in their order."""
    dynamodb = stack.client("dynamodb")
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):  # no order was ever placed
        dynamodb.update_item(
            TableName=stack.output("TasksTableName"),
            Key={"pk": {"S": "account"}},
            UpdateExpression="SET failures = :none ADD revision :one",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":none": {"N": "0"}, ":one": {"N": "1"}},
        )
    return "the circuit breaker is closed: waiting orders are sent within a minute"


def _receive(sqs: Any, queue_url: str) -> list[dict[str, str]]:
    response = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    return list(response.get("Messages", []))


def _recoverable_failures(dynamodb: Any, table: str) -> Iterator[str]:
    reasons = {f":reason{n}": {"S": reason} for n, reason in enumerate(RECOVERABLE)}
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression=f"#state = :failed AND reason IN ({', '.join(reasons)})"
        " AND attribute_exists(poyo_id)",
        ProjectionExpression="task_id",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":failed": {"S": "failed"}, **reasons},
    )
    for page in pages:
        yield from (item["task_id"]["S"] for item in page["Items"])


def _run(options: argparse.Namespace) -> str:
    stack = Stack(options.stack, options.region)
    closed = close_circuit_breaker(stack)
    if options.command == "breaker":
        return closed
    if options.command == "dead-letters":
        return redrive_dead_letters(stack)
    if options.command == "task":
        return enqueue_named(stack, options.task_id)
    return enqueue_failed(stack)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 on success, 1 with the reason on stderr, 130 after Ctrl-C."""
    parser = argument_parser("redrive", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("dead-letters", help="move every dead letter back to its queue")
    task = commands.add_parser("task", help="reconcile the given tasks again")
    task.add_argument("task_id", nargs="+")
    commands.add_parser("failed", help="reconcile every recoverable failure that has a PoYo id")
    commands.add_parser("breaker", help="only close the circuit breaker of submits")
    options = parser.parse_args(arguments)
    return run_command(lambda: _run(options), "run the same command again, it does no harm")
