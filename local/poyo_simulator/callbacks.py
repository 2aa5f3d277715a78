"""Sends callbacks: signs them, posts them, and retries each until it gets a 2xx response."""

import asyncio
import base64
import hashlib
import hmac
import time
from dataclasses import replace

import aiohttp

from local.poyo_simulator.background_tasks import BackgroundTasks
from local.poyo_simulator.callback_faults import CALLBACK_FAULTS, Callback
from local.poyo_simulator.clock import Clock
from local.poyo_simulator.event_log import EventLog
from local.poyo_simulator.fault_rules import InjectedFault
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.tasks import Task

RESPONSE_TIMEOUT = aiohttp.ClientTimeout(total=10)
MAX_WAIT_S = 600.0


def sign(key: str, task_id: str, timestamp: str) -> str:
    """Return PoYo's ``X-Webhook-Signature``; it covers the task id and the time, not the body."""
    mac = hmac.new(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


class CallbackSender:
    """Sends a task's callbacks to its ``callback_url``."""

    def __init__(self, clock: Clock, event_log: EventLog, background: BackgroundTasks) -> None:
        self._clock, self._event_log, self._background = clock, event_log, background
        self._session: aiohttp.ClientSession | None = None

    def send(
        self,
        task: Task,
        body: dict[str, object],
        faults: list[InjectedFault],
        settings: Settings,
        variant: str = "original",
    ) -> list[asyncio.Event]:
        """Start sending a task object with these faults; each event is set after a first attempt."""
        if task.order.callback_url is None:
            return []
        callback = Callback(body, settings.wrapped, variant)
        for fault in faults:
            CALLBACK_FAULTS[fault.name](callback, fault)
        names = [fault.name for fault in faults]
        if callback.suppressed:
            self._event_log.add("callback", task.id, "not sent", faults=names)
            return []
        copies = [replace(callback, variant="copy") for _ in range(callback.copies)]
        callbacks = [*callback.forgeries, callback, *copies]
        attempted = [asyncio.Event() for _ in callbacks]
        for one, event in zip(callbacks, attempted, strict=True):
            self._background.start(self._deliver(task, one, settings, event, names))
        return attempted

    async def _deliver(
        self,
        task: Task,
        callback: Callback,
        settings: Settings,
        attempted: asyncio.Event,
        faults: list[str],
    ) -> None:
        await self._clock.sleep(callback.delay_s)
        wait = settings.callback_first_wait
        for attempt in range(1, settings.callback_retries + 2):
            status = await self._post(task, callback, settings)
            outcome = "unanswered" if status is None else f"answered {status}"
            facts = {"variant": callback.variant, "attempt": attempt, "http": status}
            task.callbacks.append({**facts, "at": round(self._clock.now(), 3)})
            url = task.order.callback_url
            self._event_log.add(
                "callback", task.id, outcome, callback_url=url, faults=faults, **facts
            )
            attempted.set()
            delivered = status is not None and 200 <= status < 300
            if delivered or callback.variant == "forged":
                return
            await self._clock.sleep(min(wait, MAX_WAIT_S))
            wait *= 2

    async def _post(self, task: Task, callback: Callback, settings: Settings) -> int | None:
        """Return the HTTP status of the response, ``None`` if there was none in time."""
        if self._session is None:
            # A reused connection that the server has closed would count as an unanswered callback.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(timeout=RESPONSE_TIMEOUT, connector=connector)
        headers = {
            "Content-Type": "application/json",
            **_signature_headers(callback, settings.webhook_key),
        }
        try:
            async with self._session.post(
                str(task.order.callback_url),
                data=callback.body(),
                headers=headers,
                allow_redirects=False,
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _signature_headers(callback: Callback, key: str | None) -> dict[str, str]:
    if callback.signature == "none" or (key is None and callback.signature == "valid"):
        return {}
    signing_key = "a wrong key" if callback.signature == "wrong_key" or key is None else key
    timestamp = str(int(time.time() - callback.signature_age_s))
    signature = sign(signing_key, str(callback.task["task_id"]), timestamp)
    return {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}
