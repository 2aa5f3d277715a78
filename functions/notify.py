"""The SQS queue of notifications: each message notifies one caller that its task has ended."""

from __future__ import annotations

from typing import Any

from imagetasks.aws.client import shared_client
from imagetasks.aws.secrets import ApiKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue, process_batch
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


def notify(message: TaskMessage) -> None:
    """Notify the caller of one task."""
    notifier.notify(message.task_id)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An SQS batch; the response names the messages that failed."""
    clock.begin(context.get_remaining_time_in_millis)
    return process_batch(event, notify, alarm="notify_failed")
