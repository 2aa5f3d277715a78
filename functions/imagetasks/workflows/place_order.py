"""Placing an order: the task that its key already stands for, what only this deployment can check, then
the submit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.errors import (
    BudgetExhausted,
    DatabaseUnavailable,
    FileExpired,
    FileNotFound,
    IdempotencyKeyReused,
    InvalidOrder,
    InvalidUpload,
    OrdersPaused,
    TaskDeleted,
    TaskNotFound,
    TokenRevoked,
    TooManyOrders,
)
from imagetasks.tasks.budgets import scopes
from imagetasks.tasks.image_reference import file_reference, is_upload, task_file, upload_id
from imagetasks.tasks.task import derive_task_id
from imagetasks.workflows.submit import Placement

if TYPE_CHECKING:
    from imagetasks.aws.order_repository import OrderBasis, OrderRepository
    from imagetasks.aws.upload_bucket import UploadBucket
    from imagetasks.outbound.notifications import NotificationSender
    from imagetasks.tasks.caller import Caller
    from imagetasks.tasks.task import StoredImage, Task
    from imagetasks.workflows.order import Order
    from imagetasks.workflows.spending import Spending
    from imagetasks.workflows.submit import Submitter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OrderPlacement:
    """Checks orders against the world and hands them to the submitter. `own_file` is a
    file of an owner's task, `shared_file` the one that a signed URL names (both of `OwnerTasks`)."""

    submitter: Submitter
    spending: Spending
    orders: OrderRepository
    uploads: UploadBucket
    notifications: NotificationSender
    own_file: Callable[[str, str, str], StoredImage]
    shared_file: Callable[[str, str, str], StoredImage]

    def read(self, caller: Caller, idempotency_key: str | None) -> OrderBasis:
        """What the table says of an order with this key, or without one: the task that the key stands for,
        deleted or not, and what `place` needs. No state changes. Called by the routes of orders before
        anything that may refuse the order."""
        key = idempotency_key
        task_id = derive_task_id(caller.owner, key) if key else None
        return self.orders.read(task_id, scopes(caller).values())

    def replay(self, task: Task, fingerprint: str) -> Placement:
        """The answer to the order with this fingerprint under the key of `task`. No rule of today is
        asked, because the order was accepted by the rules of its day and may be paid. No state
        changes.

        Raises IdempotencyKeyReused for another order, TaskDeleted.
        """
        if task.fingerprint != fingerprint:
            raise IdempotencyKeyReused(task.task_id)
        if task.deleted_at is not None:
            raise TaskDeleted(task.task_id)
        return Placement(task, replayed=True)

    def place(self, order: Order, caller: Caller, basis: OrderBasis) -> Placement:
        """Check `order`, reserve its credits, create its task and submit it, after `read`. Called by
        `POST /v1/tasks` and `POST /api/generate/submit`; states as in `Submitter.submit`.

        Raises InvalidOrder, OrdersPaused or BudgetExhausted before anything is written, TaskDeleted
        when the key stands for a deleted task, and what `Submitter.submit` raises.
        """
        self.check(
            order.owner,
            addresses=order.addresses,
            public_base_url=order.public_base_url,
            notification_url=order.notification_url,
        )
        try:
            limits = self.spending.admit(caller, order.estimated_credits, basis.rules)
            placement = self.submitter.submit(order, limits, basis.account)
        except (BudgetExhausted, OrdersPaused, TokenRevoked, TooManyOrders) as error:
            # A concurrent request with the same key may have taken the place that this one lacks.
            earlier = self.read(caller, order.idempotency_key).earlier
            if earlier is None:
                self.spending.report_refusal(error, caller)
                raise
            return self.replay(earlier, order.fingerprint)
        if placement.replayed:
            return self.replay(placement.task, order.fingerprint)
        with contextlib.suppress(DatabaseUnavailable):  # the next order reports it
            self.spending.report(limits)
        return placement

    def check(
        self,
        owner: str,
        *,
        addresses: Mapping[str, str],
        public_base_url: str,
        notification_url: str | None,
    ) -> None:
        """Raise InvalidOrder for everything in an order that this deployment cannot use. `addresses` are
        the URLs in its input by JSON pointer. Called by `place` and `POST /v1/quotes`."""
        problems = list(self._image_errors(owner, addresses, public_base_url))
        if notification_url is not None and not self.notifications.allows(notification_url):
            detail = "must be a public https address that this service may call"
            problems.append({"pointer": "/callback_url", "detail": detail})
        if problems:
            raise InvalidOrder(problems)

    def _image_errors(
        self, owner: str, addresses: Mapping[str, str], public_base_url: str
    ) -> Iterable[Mapping[str, str]]:
        """What is wrong with each of `addresses` that names an upload or an image of this service."""
        urls = dict.fromkeys(addresses.values())
        details = {url: self._image_error(owner, url, public_base_url) for url in urls}
        for pointer, url in addresses.items():
            if detail := details[url]:
                yield {"pointer": pointer, "detail": detail}

    def _image_error(self, owner: str, url: str, public_base_url: str) -> str | None:
        try:
            if is_upload(url):
                self.uploads.validate(owner, upload_id(url))
            elif own := task_file(url):
                self.own_file(owner, own.task_id, own.n)
            elif image := file_reference(url, public_base_url):
                self.shared_file(image.task_id, image.n, image.token)
        except InvalidUpload as error:
            return error.detail
        except FileNotFound:
            return "no such image: its task is not finished, or has no image of that number"
        except (TaskNotFound, FileExpired):
            return "no such image: its task does not exist or was deleted, or the image has expired"
        return None
