"""The clients that the api and the worker share, built once from the environment."""

from __future__ import annotations

from dataclasses import dataclass

from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.client import shared_client
from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.order_repository import OrderRepository
from imagetasks.aws.secrets import ApiKeys, CallbackKeys
from imagetasks.aws.submit_slots import SubmitSlots
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.aws.wait_slots import WaitSlots
from imagetasks.clock import Clock, system_clock
from imagetasks.limits import Limits
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.poyo import transport
from imagetasks.poyo.client import PoyoClient
from imagetasks.workflows.owner_tasks import OwnerTasks
from imagetasks.workflows.place_order import OrderPlacement
from imagetasks.workflows.spending import Spending, SpendingDefaults
from imagetasks.workflows.submit import Submitter
from imagetasks.workflows.task_updater import TaskUpdater


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Clients:
    """Clients of AWS and PoYo, and the clock."""

    api_keys: ApiKeys
    callback_keys: CallbackKeys
    repository: TaskRepository
    images: ImageBucket
    uploads: UploadBucket
    poyo: PoyoClient
    updater: TaskUpdater
    clock: Clock

    @classmethod
    def from_env(cls) -> Clients:
        """Every client; a missing variable is named at once."""
        secrets, queues = shared_client("secretsmanager"), shared_client("sqs")
        api_keys, images = ApiKeys.from_env(secrets), ImageBucket.from_env()
        repository, clock = TaskRepository(Table.from_env()), system_clock(Limits.from_env())
        return cls(
            api_keys=api_keys,
            callback_keys=CallbackKeys.from_env(secrets),
            repository=repository,
            images=images,
            uploads=UploadBucket(images.client, images.bucket),
            poyo=PoyoClient(
                send=transport.send,
                base_url=transport.base_url_from_env(),
                key=api_keys.poyo_key,
                refresh_key=api_keys.refresh_key,
            ),
            updater=TaskUpdater(
                repository=repository, queue=TaskQueue.from_env(queues), clock=clock
            ),
            clock=clock,
        )


def build_submitter(clients: Clients) -> Submitter:
    """The workflow that sends paid POSTs."""
    return Submitter(
        slots=SubmitSlots(clients.repository.table, clients.clock),
        poyo=clients.poyo,
        callback_keys=clients.callback_keys,
        uploads=clients.uploads,
        updater=clients.updater,
        clock=clients.clock,
    )


def build_placement(clients: Clients, tasks: OwnerTasks, spending: Spending) -> OrderPlacement:
    """The workflow that checks and places orders."""
    return OrderPlacement(
        submitter=build_submitter(clients),
        spending=spending,
        orders=OrderRepository(clients.repository.table),
        uploads=clients.uploads,
        notifications=NotificationSender.from_env(),
        own_file=tasks.file,
        shared_file=tasks.shared_file,
    )


def build_spending(clients: Clients) -> Spending:
    """The workflow that says what a caller may spend."""
    return Spending(
        repository=BudgetRepository(clients.repository.table),
        defaults=SpendingDefaults.from_env(),
        clock=clients.clock,
    )


def build_owner_tasks(clients: Clients) -> OwnerTasks:
    """The workflow that reads, waits for, lists and deletes tasks."""
    return OwnerTasks(
        repository=clients.repository,
        updater=clients.updater,
        clock=clients.clock,
        wait_slots=WaitSlots.from_env(clients.repository.table, clients.clock),
    )
