"""Hearing a callback: is it for us, and which bell does it ring? Nothing of it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.poyo import client
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import Ring

if TYPE_CHECKING:
    from imagetasks.aws.secrets import CallbackKeys
    from imagetasks.aws.task_queue import Doorbell


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A request to the callback route as it came in; header names are lower-case."""

    kid: str
    task_id: str
    mac: str
    headers: Mapping[str, str]
    body: bytes


def hear(callback: Callback, *, keys: CallbackKeys, doorbell: Doorbell) -> bool:
    """Ring for the callback's task and say True, or False for a stranger, who learns nothing else.

    The URL is the key and is checked first, without asking anyone. Raises QueueUnavailable: PoYo
    shall ring again.
    """
    known = keys.naming(callback.kid)
    if not signed_urls.opens(known, callback.kid, callback.task_id, callback.mac):
        return False
    poyo_id = client.read_callback_id(callback.body)
    webhook_key = keys.poyo_webhook_key()
    if webhook_key and poyo_id and not client.signed(webhook_key, poyo_id, callback.headers):
        return False
    doorbell.ring(Ring(task_id=callback.task_id, by="callback", poyo_id=poyo_id))
    return True
