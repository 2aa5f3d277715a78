"""Edges from the environment for the two functions that may speak to PoYo."""

from __future__ import annotations

from imagetasks import wire
from imagetasks.doorbell import Doorbell
from imagetasks.images import Images
from imagetasks.limits import Limits
from imagetasks.pace import production
from imagetasks.poyo import Poyo
from imagetasks.secrets import ApiKeys, CallbackKeys
from imagetasks.store import Store
from imagetasks.submit import Submitter
from imagetasks.table import Table
from imagetasks.uploads import Uploads


def submitter_from_env(api_keys: ApiKeys, images: Images) -> Submitter:
    """Everything that the one POST needs; a missing variable is named at once."""
    poyo = Poyo(
        send=wire.send,
        base_url=wire.base_url_from_env(),
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
