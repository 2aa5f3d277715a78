"""Placing an order: what only this deployment can check of it, then the submit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.errors import InvalidOrder, TaskDeleted, TaskNotFound
from imagetasks.tasks.image_reference import is_upload, upload_id
from imagetasks.tasks.task import derive_task_id

if TYPE_CHECKING:
    from imagetasks.aws.task_repository import TaskRepository
    from imagetasks.aws.upload_bucket import UploadBucket
    from imagetasks.outbound.notifications import NotificationSender
    from imagetasks.workflows.submit import Order, Placement, Submitter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OrderPlacement:
    """Checks orders against the world and hands them to the submitter."""

    submitter: Submitter
    repository: TaskRepository
    uploads: UploadBucket
    notifications: NotificationSender

    def place(self, order: Order) -> Placement:
        """Check `order`, create its task and submit it. Called by `POST /v1/tasks` and
        `POST /api/generate/submit`; states as in `Submitter.submit`.

        Raises InvalidOrder or InvalidUpload before anything is written, TaskDeleted when the key
        stands for a deleted task, and what `Submitter.submit` raises.
        """
        self.validate_notification_url(order.notification_url)
        self._validate_uploads(order)
        placement = self.submitter.submit(order)
        if placement.task.deleted_at is not None:
            raise TaskDeleted(placement.task.task_id)
        return placement

    def validate_notification_url(self, url: str | None) -> None:
        """Raise InvalidOrder if this deployment may not send notifications to `url`. Called by
        `place` and `POST /v1/quotes`."""
        if url is not None and not self.notifications.allows(url):
            detail = "must be a public https address that this service may call"
            raise InvalidOrder([{"pointer": "/callback_url", "detail": detail}])

    def _validate_uploads(self, order: Order) -> None:
        """Every upload exists and is an image. A replay skips this: its uploads may have expired."""
        uploads = [upload_id(url) for url in order.input.get("image_urls", []) if is_upload(url)]
        if not uploads:
            return
        try:
            self.repository.get(derive_task_id(order.owner, order.idempotency_key))
        except TaskNotFound:
            for each in uploads:
                self.uploads.validate(order.owner, each)
