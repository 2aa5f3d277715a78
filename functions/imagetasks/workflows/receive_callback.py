"""Receiving a callback of PoYo: verify its URL and enqueue its task. Nothing else of it is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks import telemetry
from imagetasks.poyo import signature
from imagetasks.poyo.answer import parse_callback_id
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import TaskMessage

if TYPE_CHECKING:
    from imagetasks.aws.secrets import CallbackKeys
    from imagetasks.aws.task_queue import TaskQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """A request to the callback route as it arrived; header names are lower-case."""

    kid: str
    task_id: str
    token: str
    headers: Mapping[str, str]
    body: bytes


def receive_callback(request: CallbackRequest, *, keys: CallbackKeys, queue: TaskQueue) -> bool:
    """Enqueue the task of a valid callback and return True; return False for any other request.

    The URL is verified first, without calling another service. An id without PoYo's signature raises
    an alarm if the key for it is configured, and the task is enqueued without it: the key may be
    wrong, and a poll does no harm. The task's state stays; called by the webhook. Raises
    QueueUnavailable, SecretInvalid or SecretUnavailable: PoYo repeats the callback.
    """
    known = keys.all()
    if not signed_urls.verify_callback(known, request.kid, request.task_id, request.token):
        return False
    poyo_id = parse_callback_id(request.body)
    signing_key = keys.poyo_callback_signing_key()
    if signing_key and poyo_id and not signature.verify(signing_key, poyo_id, request.headers):
        telemetry.alarm("callback_signature_rejected", task_id=request.task_id)
        poyo_id = None
    queue.send(TaskMessage(task_id=request.task_id, source="callback", poyo_id=poyo_id))
    return True
