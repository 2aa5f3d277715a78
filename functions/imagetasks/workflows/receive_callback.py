"""Hearing a callback: is it for us, and which bell does it ring? Nothing of it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.poyo import client
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage

if TYPE_CHECKING:
    from imagetasks.aws.secrets import CallbackKeys
    from imagetasks.aws.task_queue import TaskQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """A request to the callback route as it came in; header names are lower-case."""

    kid: str
    task_id: str
    mac: str
    headers: Mapping[str, str]
    body: bytes


def receive_callback(callback: CallbackRequest, *, keys: CallbackKeys, queue: TaskQueue) -> bool:
    """Ring for the callback's task and say True, or False for a stranger, who learns nothing else.

    The URL is the key and is checked first, without asking anyone. Raises QueueUnavailable: PoYo
    shall ring again.
    """
    known = keys.keys_for(callback.kid)
    if not signed_urls.verify_callback(known, callback.kid, callback.task_id, callback.mac):
        return False
    poyo_id = client.parse_callback_id(callback.body)
    webhook_key = keys.poyo_callback_signing_key()
    if webhook_key and poyo_id and not client.verify(webhook_key, poyo_id, callback.headers):
        return False
    queue.send(TaskMessage(task_id=callback.task_id, source="callback", poyo_id=poyo_id))
    return True
