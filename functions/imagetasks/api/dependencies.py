"""What the API's routes share: their edges, who asks, and how an order is placed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import uuid4

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2 as Event

from bootstrap import submitter_from_env
from imagetasks.api import order_request, problems, request
from imagetasks.api.order_request import TaskRequest
from imagetasks.api.problem_details import Refusal
from imagetasks.aws.image_bucket import Images
from imagetasks.aws.secrets import OWNER_SEPARATOR, ApiKeys
from imagetasks.aws.upload_bucket import Uploads
from imagetasks.errors import InvalidOrder, TaskNotFound
from imagetasks.outbound.notifications import Deliveries
from imagetasks.poyo import models
from imagetasks.tasks.image_reference import is_upload, upload_id
from imagetasks.tasks.task import Task, derive_task_id
from imagetasks.workflows.owner_tasks import Reader
from imagetasks.workflows.submit import Order, Submitter

BALANCE_S = 60.0  # that PoYo's balance is believed; callers ask far more often than it matters


@dataclass(frozen=True, slots=True)
class House:
    """The API's edges."""

    api_keys: ApiKeys
    submitter: Submitter
    reader: Reader
    images: Images
    uploads: Uploads
    deliveries: Deliveries
    balance: Callable[[], Decimal]

    @classmethod
    def from_env(cls) -> House:
        """Everything that the routes need; a missing variable is named at once."""
        api_keys, images = ApiKeys.from_env(), Images.from_env()
        submitter = submitter_from_env(api_keys, images)
        reader = Reader(
            store=submitter.store,
            doorbell=submitter.doorbell,
            pace=submitter.pace,
            sleep=time.sleep,
        )
        return cls(
            api_keys=api_keys,
            submitter=submitter,
            reader=reader,
            images=images,
            uploads=submitter.uploads,
            deliveries=Deliveries.from_env(),
            balance=Remembered(submitter.poyo.balance),
        )

    def owner(self, event: Event) -> str:
        """Whose tasks the caller may see: its key's own, or those of the user it acts for."""
        name = self.api_keys.owner_of(request.server_key(event))
        if name is None:
            raise Refusal(problems.UNAUTHORIZED)
        user = request.user(event)
        return f"{name}{OWNER_SEPARATOR}{user}" if user else name

    def place(
        self, event: Event, ordered: TaskRequest, *, owner: str, key: str | None
    ) -> tuple[Task, bool]:
        """The task of `ordered`, and whether it is a replay; without a key each is a new one.

        Raises InvalidOrder, UploadInvalid or Refusal, all before anything is sent.
        """
        key = key or uuid4().hex
        wish = order_request.poyo_input(ordered)
        self.check_callback(ordered.callback_url)
        self._check_uploads(owner, key, wish.get("image_urls", []))
        placed = Order(
            owner=owner,
            idempotency_key=key,
            model=ordered.model,
            input=wish,
            metadata=ordered.metadata,
            estimate=models.estimate(wish),
            origin=request.origin(event),
            notify_url=ordered.callback_url,
        )
        task, replayed = self.submitter.submit(placed)
        if task.deleted_at is not None:
            raise Refusal(problems.DELETED)
        return task, replayed

    def check_callback(self, url: str | None) -> None:
        """Raises InvalidOrder when this deployment may not call `url`."""
        if url is not None and not self.deliveries.accepts(url):
            detail = "must be a public https address that this service may call"
            raise InvalidOrder([{"pointer": "/callback_url", "detail": detail}])

    def _check_uploads(self, owner: str, key: str, urls: list[str]) -> None:
        """Every upload is there and a picture; a replay's may be gone by now."""
        named = [upload_id(url) for url in urls if is_upload(url)]
        if not named:
            return
        try:
            self.submitter.store.read(derive_task_id(owner, key))
        except TaskNotFound:
            for each in named:
                self.uploads.check(owner, each)


@dataclass(slots=True)
class Remembered:
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
