"""What arrives at the callback door: PoYo's own bells, strangers, and those who found a URL."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from imagetasks.workflows.receive_callback import CallbackRequest
from tests.simulation import answers
from tests.simulation.scheduler import World
from tests.simulation.secrets import WEBHOOK_KEY
from tests.simulation.upstream_ledger import FAILURES, Made

RETRIES_S = (60, 120, 240, 480, 600)

Knock = Callable[[str, CallbackRequest, Callable[[bool], None]], None]


class Announcer:
    """PoYo telling us that a task has ended: perhaps never, perhaps twice, perhaps tomorrow."""

    def __init__(self, world: World, knock: Knock) -> None:
        self._world = world
        self._knock = knock

    def __call__(self, made: Made) -> None:
        """The task ended just now."""
        fault = self._world.fault("poyo.callback")
        self._world.tell("poyo", f"ended {made.poyo_id}", f"{made.end}, callback {fault or 'sent'}")
        if fault == "lost":
            return
        wait_s = self._world.chance.uniform(0, 3)
        if fault == "late":
            wait_s = self._world.chance.choice((300, 7200, 40_000))
        if fault == "last_minute":  # just as we lose patience with a submit nobody answered
            wait_s = (
                3600 + self._world.chance.uniform(0, 70) - (self._world.now - made.made_at) / 1000
            )
        body = self._body(made, fault)
        readable = fault not in ("truncated", "garbled")
        headers = signature(made.poyo_id, self._stamp(fault)) if self._world.plan.signed else {}
        callback = addressed(made.callback_url, headers, body)
        for _ in range(2 if fault == "doubled" else 1):
            self._world.after(max(0, wait_s), lambda: self._ring(made, callback, readable, 0))

    def _ring(self, made: Made, callback: CallbackRequest, readable: bool, tries: int) -> None:
        def answered(ok: bool) -> None:
            if ok and readable:
                made.heard_at = made.heard_at or self._world.now
            elif not ok and tries < len(RETRIES_S):
                again: Callable[[], None] = lambda: self._ring(made, callback, readable, tries + 1)  # noqa: E731
                self._world.after(RETRIES_S[tries], again)

        self._knock("poyo", callback, answered)

    def _body(self, made: Made, fault: str | None) -> bytes:
        chance = self._world.chance
        if made.end in FAILURES:
            data = answers.failed(made.poyo_id, FAILURES[made.end], chance)
        else:
            data = answers.finished(made.poyo_id, made.urls, chance)
        body = answers.state(data, wrapped=self._world.plan.wrapped)
        if fault == "truncated":
            return body[: chance.randrange(len(body))]
        return b"\xff\xfe\x00{" + body if fault == "garbled" else body

    def _stamp(self, fault: str | None) -> int:
        return self._world.now // 1000 - (86_400 if fault == "stale_signature" else 0)


def signature(poyo_id: str, stamp: int) -> Mapping[str, str]:
    """PoYo's headers: they cover the id and the time, not the body."""
    digest = hmac.digest(WEBHOOK_KEY.encode(), f"{poyo_id}.{stamp}".encode(), hashlib.sha256)
    return {
        "x-webhook-timestamp": str(stamp),
        "x-webhook-signature": base64.b64encode(digest).decode(),
    }


def addressed(url: str, headers: Mapping[str, str], body: bytes) -> CallbackRequest:
    """A request to a callback URL, as the gateway hands it over."""
    kid, task_id, mac = url.split("/")[-3:]
    return CallbackRequest(kid=kid, task_id=task_id, mac=mac, headers=headers, body=body)


def strange(kind: str, url: str, other: str, retired: str) -> CallbackRequest:
    """What somebody without the URL may try: nothing of it may open."""
    kid, task_id, mac = url.split("/")[-3:]
    body = json.dumps({"task_id": "STRANGER", "status": "finished"}).encode()
    wrong: dict[str, dict[str, Any]] = {
        "wrong_mac": {"mac": ("A" if mac[0] != "A" else "B") + mac[1:]},
        "unknown_kid": {"kid": "k999"},
        "mac_of_another_task": {"mac": other.rsplit("/", 1)[1]},
        "malformed": {"mac": mac + "=%00", "task_id": "../" + task_id},
        "retired_kid": {"kid": retired if retired != kid else "k0"},
    }
    parts = {"kid": kid, "task_id": task_id, "mac": mac} | wrong[kind]
    return CallbackRequest(headers={}, body=body, **parts)


def leaked(kind: str, url: str, other_id: str) -> tuple[CallbackRequest, bool]:
    """What somebody with the URL may say, and whether an id can be read from it."""
    bodies = {
        "id_nobody_has": json.dumps({"task_id": "NOBODYHASTHISID0"}).encode(),
        "id_of_another_task": json.dumps({"data": {"task_id": other_id}}).encode(),
        "no_body": b"",
        "nested_body": b"[" * 10_000 + b"]" * 10_000,
        "not_utf8": "größe".encode("latin-1"),
    }
    return addressed(url, {}, bodies[kind]), kind.startswith("id_")
