"""Notifying the caller: POST a finished or failed task to the `callback_url` of its order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import NotificationFailed, TaskNotFound
from imagetasks.poyo import compat, signature
from imagetasks.tasks.failure_reasons import is_recoverable
from imagetasks.tasks.task import notification_is_due

if TYPE_CHECKING:
    from imagetasks.aws.secrets import ApiKeys
    from imagetasks.aws.task_repository import TaskRepository
    from imagetasks.clock import Clock
    from imagetasks.outbound.notifications import NotificationSender
    from imagetasks.tasks.task import Task
    from imagetasks.workflows.task_updater import TaskUpdater


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CallerNotifier:
    """Called by the notify function. A pending notification keeps its task in the due index, so that
    it is not forgotten when a function or a message is lost."""

    sender: NotificationSender
    keys: ApiKeys
    repository: TaskRepository
    updater: TaskUpdater
    clock: Clock

    def notify(self, task_id: str) -> None:
        """Make the attempt that is due by now; a duplicate or late message finds none and sends
        nothing. Raises DatabaseUnavailable or SecretUnavailable."""
        try:
            task = self.repository.get(task_id)
        except TaskNotFound:
            telemetry.warning("task_not_found", source="notify")
            return
        if notification_is_due(task, now_ms=self.clock.now_ms()):
            self.attempt(task)

    def attempt(self, task: Task) -> None:
        """One attempt to notify the caller of a finished or failed task, whose state stays.

        Only the function whose write moves the next attempt may send this one. Raises
        DatabaseUnavailable or SecretUnavailable.
        """
        attempts, waits_s = task.notification_attempts or 0, self.clock.limits.notification_waits_s
        # The function that made the last attempt crashed before it recorded that.
        if attempts > len(waits_s):
            self._mark_done(task)
            return
        # Before the claim, so that a secret that cannot be read uses up no attempt.
        key = self.keys.notification_signing_key(task.owner)
        wait_s = waits_s[min(attempts, len(waits_s) - 1)]
        claim = self.updater.retry_in(
            task,
            wait_s,
            notification_attempts=attempts + 1,
            next_notification_at=self.clock.after(wait_s),
        )
        if not claim.applied:
            return
        try:
            self._send(claim.task, key)
        except NotificationFailed as error:
            telemetry.warning(
                "notification_failed", task_id=task.task_id, code=error.code, attempts=attempts
            )
            if attempts < len(waits_s):
                return
            telemetry.count_metric("notification_abandoned")
        self._mark_done(claim.task)

    def _send(self, task: Task, key: str) -> None:
        """PoYo's unwrapped task object, signed as PoYo signs if there is a signing `key`."""
        body = json.dumps(compat.task_body(task, public_base_url=task.public_base_url)).encode()
        signed = signature.headers(key, task.task_id, self.clock.now_ms() // 1000) if key else {}
        headers = {"Content-Type": "application/json", **signed}
        self.sender.send(str(task.notification_url), body, headers=headers)

    def _mark_done(self, task: Task) -> None:
        """No further attempts. If the failure is recoverable, poll PoYo again now."""
        has_id = task.poyo_id or task.candidate_poyo_ids
        due_at = self.clock.now_ms() if is_recoverable(task) and has_id else None
        self.updater.reschedule(
            task, due_at=due_at, notification_attempts=None, next_notification_at=None
        )
