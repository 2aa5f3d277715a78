"""The SQS queue of notifications: each message notifies one caller that its task has ended."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from imagetasks import telemetry
from imagetasks.aws.client import shared_client
from imagetasks.aws.secrets import ApiKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.clock import system_clock
from imagetasks.limits import Limits
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.tasks.message import TaskMessage
from imagetasks.workflows.notify_caller import CallerNotifier
from imagetasks.workflows.task_updater import TaskUpdater

repository, clock = TaskRepository(Table.from_env()), system_clock(Limits.from_env())
notifier = CallerNotifier(
    sender=NotificationSender.from_env(),
    keys=ApiKeys.from_env(shared_client("secretsmanager")),
    repository=repository,
    updater=TaskUpdater(
        repository=repository, queue=TaskQueue.from_env(shared_client("sqs")), clock=clock
    ),
    clock=clock,
)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def process_message(record: SQSRecord) -> None:
    """Notify one caller. SQS repeats a failed message, then moves it to the dead-letter queue."""
    message = TaskMessage.from_json(record.body)
    telemetry.bind_task(message.task_id)
    try:
        notifier.notify(message.task_id)
    except Exception as error:
        telemetry.alarm("notify_failed", **telemetry.described(error))
        raise


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An SQS batch; the response names the messages that failed."""
    clock.begin(context.get_remaining_time_in_millis)
    return dict(process_partial_response(event, process_message, processor, context))
