"""Requests to the callback URLs: PoYo's own callbacks, forged ones, and those to leaked URLs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from imagetasks.workflows.receive_callback import CallbackRequest
from tests.simulation import upstream_responses
from tests.simulation.scheduler import Simulator
from tests.simulation.secrets import SIGNING_KEY
from tests.simulation.upstream_ledger import FAILURES, PoyoTask

RETRIES_S = (60, 120, 240, 480, 600)

SendCallback = Callable[[str, CallbackRequest, Callable[[bool], None]], None]


class CallbackSender:
    """Sends PoYo's callbacks: once, twice, delayed, damaged, or never."""

    def __init__(self, simulator: Simulator, send_callback: SendCallback) -> None:
        self._simulator = simulator
        self._send_callback = send_callback

    def __call__(self, task: PoyoTask) -> None:
        """Schedule the callback of a task that ends now."""
        fault = self._simulator.fault("poyo.callback")
        self._simulator.record(
            "poyo", f"ended {task.poyo_id}", f"{task.result}, callback {fault or 'sent'}"
        )
        if fault == "lost":
            return
        wait_s = self._simulator.rng.uniform(0, 3)
        if fault == "delayed":
            wait_s = self._simulator.rng.choice((300, 3600, 10_000))
        if (
            fault == "at_deadline"
        ):  # about when a task in `unknown` expires, an hour after the submit
            wait_s = (
                3600
                + self._simulator.rng.uniform(0, 70)
                - (self._simulator.now - task.created_at) / 1000
            )
        body = self._body(task, fault)
        readable = fault not in ("truncated", "garbled")
        headers = (
            signature(task.poyo_id, self._timestamp(fault))
            if self._simulator.scenario.signed_callbacks
            else {}
        )
        callback = callback_request(task.callback_url, headers, body)
        for _ in range(2 if fault == "duplicated" else 1):
            self._simulator.after(max(0, wait_s), lambda: self._send(task, callback, readable, 0))

    def _send(
        self, task: PoyoTask, callback: CallbackRequest, readable: bool, attempt: int
    ) -> None:
        def on_response(ok: bool) -> None:
            if ok and readable:
                task.callback_accepted_at = task.callback_accepted_at or self._simulator.now
            elif not ok and attempt < len(RETRIES_S):
                self._simulator.after(
                    RETRIES_S[attempt], lambda: self._send(task, callback, readable, attempt + 1)
                )

        self._send_callback("poyo", callback, on_response)

    def _body(self, task: PoyoTask, fault: str | None) -> bytes:
        rng = self._simulator.rng
        if task.result in FAILURES:
            data = upstream_responses.failed_task(task.poyo_id, FAILURES[task.result], rng)
        else:
            data = upstream_responses.finished_task(task.poyo_id, task.urls, rng)
        body = upstream_responses.task_body(data, wrapped=self._simulator.scenario.wrapped_bodies)
        if fault == "truncated":
            return body[: rng.randrange(len(body))]
        return b"\xff\xfe\x00{" + body if fault == "garbled" else body

    def _timestamp(self, fault: str | None) -> int:
        return self._simulator.now // 1000 - (86_400 if fault == "stale_signature" else 0)


def signature(poyo_id: str, timestamp: int) -> Mapping[str, str]:
    """PoYo's signature headers: they cover the id and the time, not the body."""
    digest = hmac.digest(SIGNING_KEY.encode(), f"{poyo_id}.{timestamp}".encode(), hashlib.sha256)
    return {
        "x-webhook-timestamp": str(timestamp),
        "x-webhook-signature": base64.b64encode(digest).decode(),
    }


def callback_request(url: str, headers: Mapping[str, str], body: bytes) -> CallbackRequest:
    """A request to a callback URL, as API Gateway passes it on."""
    kid, task_id, mac = url.split("/")[-3:]
    return CallbackRequest(kid=kid, task_id=task_id, token=mac, headers=headers, body=body)


def invalid_callback(kind: str, url: str, other: str, retired: str) -> CallbackRequest:
    """A callback by a caller who does not know the URL: it must be rejected."""
    kid, task_id, mac = url.split("/")[-3:]
    body = json.dumps({"task_id": "UNKNOWN", "status": "finished"}).encode()
    wrong: dict[str, dict[str, Any]] = {
        "wrong_mac": {"token": ("A" if mac[0] != "A" else "B") + mac[1:]},
        "unknown_kid": {"kid": "k999"},
        "mac_of_another_task": {"token": other.rsplit("/", 1)[1]},
        "malformed": {"token": mac + "=%00", "task_id": "../" + task_id},
        "retired_kid": {"kid": retired if retired != kid else "k0"},
    }
    parts = {"kid": kid, "task_id": task_id, "token": mac} | wrong[kind]
    return CallbackRequest(headers={}, body=body, **parts)


def leaked_url_callback(kind: str, url: str, other_id: str) -> CallbackRequest:
    """A callback by a caller who knows the URL and has no key to sign an id with."""
    bodies = {
        "unknown_id": json.dumps({"task_id": "UNKNOWNPOYOTASK0"}).encode(),
        "id_of_another_task": json.dumps({"data": {"task_id": other_id}}).encode(),
        "no_body": b"",
        "nested_body": b"[" * 10_000 + b"]" * 10_000,
        "not_utf8": "größe".encode("latin-1"),
    }
    return callback_request(url, {}, bodies[kind])
