"""The SQS queue of task messages: each message reconciles one task, independently of the others."""

from __future__ import annotations

from typing import Any

from bootstrap import Clients, build_submitter
from imagetasks.aws.client import shared_client
from imagetasks.aws.task_queue import NotificationQueue, process_batch
from imagetasks.outbound.download import ImageDownloader
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


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An SQS batch; the response names the messages that failed."""
    clients.clock.begin(context.get_remaining_time_in_millis)
    return process_batch(event, reconciler.reconcile, alarm="reconcile_failed")
