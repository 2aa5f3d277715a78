"""What is still to be done when a task has ended: its caller is told, what was deleted is erased."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.errors import DeliveryFailed
from imagetasks.poyo import compat, signature
from imagetasks.tasks import failure_reasons

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import Images
    from imagetasks.aws.secrets import ApiKeys
    from imagetasks.clock import Pace
    from imagetasks.outbound.notifications import Deliveries
    from imagetasks.tasks.task import Task
    from imagetasks.workflows.task_updater import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftercare:
    """Both go through the to-do list, so that neither is forgotten when a function dies."""

    images: Images
    deliveries: Deliveries
    keys: ApiKeys
    steps: Steps
    pace: Pace

    def due(self, task: Task) -> bool:
        """Whether the task's caller is to be told of its end by now."""
        told = task.notices is None or not task.ended
        return not told and self.pace.clock() >= (task.notice_at or 0)

    def tell(self, task: Task) -> None:
        """One try at the caller's own callback. Whoever moves the next try on makes this one."""
        tries, waits = task.notices or 0, self.pace.limits.notice_waits_s
        if tries > len(waits):  # whoever made the last one went away before it could say so
            self._told(task)
            return
        wait_s = waits[min(tries, len(waits) - 1)]
        following = {"notices": tries + 1, "notice_at": self.pace.after(wait_s)}
        claim = self.steps.later(task, wait_s, **following)
        if not claim.won:
            return
        try:
            self._post(claim.task)
        except DeliveryFailed as error:
            telemetry.warn("not_told", task_id=task.task_id, code=error.code, tries=tries)
            if tries < len(waits):
                return
            telemetry.count("callback_given_up")
        self._told(claim.task)

    def erase(self, task: Task) -> None:
        """Take its images away, and once more when whoever was copying one must be gone."""
        self.images.erase(task.task_id)
        again_s = self.pace.limits.erase_again_s
        if self.pace.older(task.deleted_at or 0, again_s):
            self.steps.move(task, due_at=None, files=[])
        else:
            self.steps.move(task, due_at=(task.deleted_at or 0) + again_s * 1000)

    def _post(self, task: Task) -> None:
        """PoYo's unwrapped task object, signed as PoYo signs when the caller's key has a secret."""
        content = json.dumps(compat.shown(task, origin=task.origin)).encode()
        key = self.keys.webhook_key(task.owner)
        signed = signature.sign(key, task.task_id, self.pace.clock() // 1000) if key else {}
        headers = {"Content-Type": "application/json", **signed}
        self.deliveries.post(str(task.notify_url), content, headers=headers)

    def _told(self, task: Task) -> None:
        """Nothing more to say. A soft failure may have had looks of its own: it gets one now."""
        open_still = failure_reasons.softly_failed(task) and (task.poyo_id or task.hints)
        due_at = self.pace.clock() if open_still else None
        self.steps.move(task, due_at=due_at, notices=None, notice_at=None)
