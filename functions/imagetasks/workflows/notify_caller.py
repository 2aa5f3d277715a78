"""What is still to be done when a task has ended: its caller is told, what was deleted is erased."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import NotificationFailed
from imagetasks.poyo import compat, signature
from imagetasks.tasks import failure_reasons

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import ImageBucket
    from imagetasks.aws.secrets import ApiKeys
    from imagetasks.clock import Clock
    from imagetasks.outbound.notifications import NotificationSender
    from imagetasks.tasks.task import Task
    from imagetasks.workflows.task_updater import TaskUpdater


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerNotifier:
    """Both go through the to-do list, so that neither is forgotten when a function dies."""

    images: ImageBucket
    deliveries: NotificationSender
    keys: ApiKeys
    updater: TaskUpdater
    clock: Clock

    def is_due(self, task: Task) -> bool:
        """Whether the task's caller is to be told of its end by now."""
        told = task.notification_attempts is None or not task.ended
        return not told and self.clock.now_ms() >= (task.next_notification_at or 0)

    def attempt(self, task: Task) -> None:
        """One try at the caller's own callback. Whoever moves the next try on makes this one."""
        tries, waits = task.notification_attempts or 0, self.clock.limits.notification_waits_s
        if tries > len(waits):  # whoever made the last one went away before it could say so
            self._told(task)
            return
        wait_s = waits[min(tries, len(waits) - 1)]
        following = {
            "notification_attempts": tries + 1,
            "next_notification_at": self.clock.after(wait_s),
        }
        claim = self.updater.retry_in(task, wait_s, **following)
        if not claim.applied:
            return
        try:
            self._post(claim.task)
        except NotificationFailed as error:
            telemetry.warning(
                "notification_failed", task_id=task.task_id, code=error.code, tries=tries
            )
            if tries < len(waits):
                return
            telemetry.count_metric("notification_abandoned")
        self._told(claim.task)

    def erase(self, task: Task) -> None:
        """Take its images away, and once more when whoever was copying one must be gone."""
        self.images.delete_all(task.task_id)
        again_s = self.clock.limits.erase_again_s
        if self.clock.has_elapsed(task.deleted_at or 0, again_s):
            self.updater.reschedule(task, due_at=None, files=[])
        else:
            self.updater.reschedule(task, due_at=(task.deleted_at or 0) + again_s * 1000)

    def _post(self, task: Task) -> None:
        """PoYo's unwrapped task object, signed as PoYo signs when the caller's key has a secret."""
        content = json.dumps(compat.task_body(task, origin=task.public_base_url)).encode()
        key = self.keys.notification_signing_key(task.owner)
        signed = signature.headers(key, task.task_id, self.clock.now_ms() // 1000) if key else {}
        headers = {"Content-Type": "application/json", **signed}
        self.deliveries.send(str(task.notification_url), content, headers=headers)

    def _told(self, task: Task) -> None:
        """Nothing more to say. A soft failure may have had looks of its own: it gets one now."""
        open_still = failure_reasons.is_recoverable(task) and (
            task.poyo_id or task.candidate_poyo_ids
        )
        due_at = self.clock.now_ms() if open_still else None
        self.updater.reschedule(
            task, due_at=due_at, notification_attempts=None, next_notification_at=None
        )
