"""What the API's routes share: their edges, who asks, and how an order is placed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import uuid4

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from bootstrap import build_submitter
from imagetasks.api import order_request, problems, request
from imagetasks.api.order_request import CreateTaskRequest
from imagetasks.api.problem_details import ProblemError
from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import OWNER_SEPARATOR, ApiKeys
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.errors import InvalidOrder, TaskNotFound
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.poyo import models
from imagetasks.tasks.image_reference import is_upload, upload_id
from imagetasks.tasks.task import Task, derive_task_id
from imagetasks.workflows.owner_tasks import OwnerTasks
from imagetasks.workflows.submit import Order, Submitter

BALANCE_S = 60.0  # that PoYo's balance is believed; callers ask far more often than it matters


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """The API's edges."""

    api_keys: ApiKeys
    submitter: Submitter
    reader: OwnerTasks
    images: ImageBucket
    uploads: UploadBucket
    deliveries: NotificationSender
    balance: Callable[[], Decimal]

    @classmethod
    def from_env(cls) -> ApiDependencies:
        """Everything that the routes need; a missing variable is named at once."""
        api_keys, images = ApiKeys.from_env(), ImageBucket.from_env()
        submitter = build_submitter(api_keys, images)
        reader = OwnerTasks(
            repository=submitter.repository,
            queue=submitter.queue,
            clock=submitter.clock,
            sleep=time.sleep,
        )
        return cls(
            api_keys=api_keys,
            submitter=submitter,
            reader=reader,
            images=images,
            uploads=submitter.uploads,
            deliveries=NotificationSender.from_env(),
            balance=CachedBalance(submitter.poyo.balance),
        )

    def owner(self, event: Event) -> str:
        """Whose tasks the caller may see: its key's own, or those of the user it acts for."""
        name = self.api_keys.owner_for_key(request.bearer_token(event))
        if name is None:
            raise ProblemError(problems.UNAUTHORIZED)
        user = request.acting_user(event)
        return f"{name}{OWNER_SEPARATOR}{user}" if user else name

    def place(
        self, event: Event, ordered: CreateTaskRequest, *, owner: str, key: str | None
    ) -> tuple[Task, bool]:
        """The task of `ordered`, and whether it is a replay; without a key each is a new one.

        Raises InvalidOrder, UploadInvalid or Refusal, all before anything is sent.
        """
        key = key or uuid4().hex
        wish = order_request.poyo_input(ordered)
        self.validate_notification_url(ordered.callback_url)
        self._check_uploads(owner, key, wish.get("image_urls", []))
        placed = Order(
            owner=owner,
            idempotency_key=key,
            model=ordered.model,
            input=wish,
            metadata=ordered.metadata,
            estimated_credits=models.estimate_credits(wish),
            public_base_url=request.public_base_url(event),
            notification_url=ordered.callback_url,
        )
        task, replayed = self.submitter.submit(placed)
        if task.deleted_at is not None:
            raise ProblemError(problems.TASK_DELETED)
        return task, replayed

    def validate_notification_url(self, url: str | None) -> None:
        """Raises InvalidOrder when this deployment may not call `url`."""
        if url is not None and not self.deliveries.allows(url):
            detail = "must be a public https address that this service may call"
            raise InvalidOrder([{"pointer": "/callback_url", "detail": detail}])

    def _check_uploads(self, owner: str, key: str, urls: list[str]) -> None:
        """Every upload is there and a picture; a replay's may be gone by now."""
        named = [upload_id(url) for url in urls if is_upload(url)]
        if not named:
            return
        try:
            self.submitter.repository.get(derive_task_id(owner, key))
        except TaskNotFound:
            for each in named:
                self.uploads.validate(owner, each)


@dataclass(slots=True)
class CachedBalance:
    """A number that is asked for at most once a minute."""

    ask: Callable[[], Decimal]
    clock: Callable[[], float] = time.monotonic
    _number: Decimal = Decimal(0)
    _until: float = field(default=float("-inf"))

    def __call__(self) -> Decimal:
        """The number as it was within the last minute. Raises what asking raises."""
        if self.clock() >= self._until:
            self._number, self._until = self.ask(), self.clock() + BALANCE_S
        return self._number
