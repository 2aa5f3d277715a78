"""The SQS queue of task messages: each message reconciles one task, independently of the others."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from bootstrap import Clients, build_submitter
from imagetasks import telemetry
from imagetasks.aws.client import shared_client
from imagetasks.aws.task_queue import NotificationQueue
from imagetasks.outbound.download import ImageDownloader
from imagetasks.tasks.message import TaskMessage
from imagetasks.workflows.reconcile import TaskReconciler

clients = Clients.from_env()
reconciler = TaskReconciler(
    repository=clients.repository,
    poyo=clients.poyo,
    images=clients.images,
    downloader=ImageDownloader.from_env(base_url=clients.poyo.base_url),
    submitter=build_submitter(clients),
    notifications=NotificationQueue.from_env(shared_client("sqs")),
    updater=clients.updater,
    clock=clients.clock,
)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def process_message(record: SQSRecord) -> None:
    """Reconcile one task. SQS repeats a failed message, then moves it to the dead-letter queue."""
    message = TaskMessage.from_json(record.body)
    telemetry.bind_task(message.task_id)
    try:
        reconciler.reconcile(message)
    except Exception as error:
        telemetry.alarm("reconcile_failed", **telemetry.described(error))
        raise


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An SQS batch; the response names the messages that failed."""
    clients.clock.begin(context.get_remaining_time_in_millis)
    return dict(process_partial_response(event, process_message, processor, context))
