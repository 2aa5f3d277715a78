"""Edges from the environment for the two functions that may speak to PoYo."""

from __future__ import annotations

from imagetasks.aws.image_bucket import Images
from imagetasks.aws.secrets import ApiKeys, CallbackKeys
from imagetasks.aws.table import Table
from imagetasks.aws.task_queue import Doorbell
from imagetasks.aws.task_repository import Store
from imagetasks.aws.upload_bucket import Uploads
from imagetasks.clock import production
from imagetasks.limits import Limits
from imagetasks.poyo import transport
from imagetasks.poyo.client import Poyo
from imagetasks.workflows.submit import Submitter


def submitter_from_env(api_keys: ApiKeys, images: Images) -> Submitter:
    """Everything that the one POST needs; a missing variable is named at once."""
    poyo = Poyo(
        send=transport.send,
        base_url=transport.base_url_from_env(),
        key=api_keys.poyo_key,
        renewed=api_keys.renewed,
    )
    return Submitter(
        store=Store(Table.from_env()),
        poyo=poyo,
        doorbell=Doorbell.from_env(),
        callback_keys=CallbackKeys.from_env(),
        uploads=Uploads(images.client, images.bucket),
        pace=production(Limits.from_env()),
    )
