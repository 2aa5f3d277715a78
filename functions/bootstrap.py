"""Edges from the environment for the two functions that may speak to PoYo."""

from __future__ import annotations

from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.aws.secrets import ApiKeys, CallbackKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.upload_bucket import UploadBucket
from imagetasks.clock import system_clock
from imagetasks.limits import Limits
from imagetasks.poyo import transport
from imagetasks.poyo.client import PoyoClient
from imagetasks.workflows.submit import Submitter


def build_submitter(api_keys: ApiKeys, images: ImageBucket) -> Submitter:
    """Everything that the one POST needs; a missing variable is named at once."""
    poyo = PoyoClient(
        send=transport.send,
        base_url=transport.base_url_from_env(),
        key=api_keys.poyo_key,
        refresh_key=api_keys.refresh_key,
    )
    return Submitter(
        repository=TaskRepository(Table.from_env()),
        poyo=poyo,
        queue=TaskQueue.from_env(),
        callback_keys=CallbackKeys.from_env(),
        uploads=UploadBucket(images.client, images.bucket),
        clock=system_clock(Limits.from_env()),
    )
