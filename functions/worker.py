"""The queue of bells: one look for each, each on its own."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from bootstrap import build_submitter
from imagetasks import telemetry
from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import ApiKeys
from imagetasks.outbound.download import ImageDownloader
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.tasks.message import TaskMessage
from imagetasks.workflows.notify_caller import CallerNotifier
from imagetasks.workflows.reconcile import TaskReconciler
from imagetasks.workflows.task_updater import TaskUpdater

api_keys, images = ApiKeys.from_env(), ImageBucket.from_env()
submitter = build_submitter(api_keys, images)
repository, queue, clock = submitter.repository, submitter.queue, submitter.clock
updater = TaskUpdater(repository=repository, queue=queue, clock=clock)
notifier = CallerNotifier(
    images=images,
    deliveries=NotificationSender.from_env(),
    keys=api_keys,
    updater=updater,
    clock=clock,
)
reconciler = TaskReconciler(
    repository=repository,
    poyo=submitter.poyo,
    images=images,
    downloads=ImageDownloader.from_env(),
    queue=queue,
    submitter=submitter,
    notifier=notifier,
    updater=updater,
    clock=clock,
)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def look(record: SQSRecord) -> None:
    """One bell. Whatever goes wrong here is ours: the queue brings it back, then dead letters."""
    ring = TaskMessage.from_json(record.body)
    telemetry.bind_task(ring.task_id)
    try:
        reconciler.reconcile(ring)
    except Exception as error:
        telemetry.alarm("reconcile_failed", error=type(error).__name__)
        raise


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """SQS, with the failed messages named in the answer."""
    return dict(process_partial_response(event, look, processor, context))
