"""Callbacks: written as letters, signed, delivered, and delivered again until somebody answers."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace

import aiohttp

from local.poyo_simulator.callback_faults import CALLBACK_FAULTS, Letter
from local.poyo_simulator.clock import Clock
from local.poyo_simulator.event_log import Journal
from local.poyo_simulator.fault_rules import Use
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.tasks import Task

ANSWER_WITHIN = aiohttp.ClientTimeout(total=10)
LONGEST_WAIT_S = 600.0


def sign(key: str, task_id: str, timestamp: str) -> str:
    """PoYo's ``X-Webhook-Signature``; it covers the id and the time, and not the body."""
    mac = hmac.new(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


@dataclass
class Crew:
    """The work going on in the background, so that it can all be stopped at once."""

    tasks: set[asyncio.Task[object]] = field(default_factory=set)

    def start(self, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()


class Callbacks:
    """Rings whoever a task's ``callback_url`` names."""

    def __init__(self, clock: Clock, journal: Journal, crew: Crew) -> None:
        self._clock, self._journal, self._crew = clock, journal, crew
        self._session: aiohttp.ClientSession | None = None

    def ring(
        self,
        task: Task,
        told: dict[str, object],
        uses: list[Use],
        settings: Settings,
        kind: str = "true",
    ) -> list[asyncio.Event]:
        """Sends what is told, spoiled by the faults; each event is set after a first attempt."""
        if task.order.callback_url is None:
            return []
        letter = Letter(told, settings.wrapped, kind)
        for use in uses:
            CALLBACK_FAULTS[use.fault](letter, use)
        faults = [use.fault for use in uses]
        if letter.unsent:
            self._journal.add("callback", task.id, "not sent", faults=faults)
            return []
        copies = [replace(letter, kind="copy") for _ in range(letter.copies)]
        letters = [*letter.before, letter, *copies]
        arrived = [asyncio.Event() for _ in letters]
        for one, event in zip(letters, arrived, strict=True):
            self._crew.start(self._deliver(task, one, settings, event, faults))
        return arrived

    async def _deliver(
        self,
        task: Task,
        letter: Letter,
        settings: Settings,
        arrived: asyncio.Event,
        faults: list[str],
    ) -> None:
        await self._clock.sleep(letter.delay_s)
        wait = settings.callback_first_wait
        for attempt in range(1, settings.callback_retries + 2):
            status = await self._post(task, letter, settings)
            outcome = "unanswered" if status is None else f"answered {status}"
            facts = {"ring": letter.kind, "attempt": attempt, "http": status}
            task.rings.append({**facts, "at": round(self._clock.now(), 3)})
            url = task.order.callback_url
            self._journal.add(
                "callback", task.id, outcome, callback_url=url, faults=faults, **facts
            )
            arrived.set()
            heard = status is not None and 200 <= status < 300
            if heard or letter.kind == "forged":
                return
            await self._clock.sleep(min(wait, LONGEST_WAIT_S))
            wait *= 2

    async def _post(self, task: Task, letter: Letter, settings: Settings) -> int | None:
        """The HTTP status of the answer, ``None`` when there was none in time."""
        if self._session is None:
            # A kept connection that the other side closed would look like an unanswered callback.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(timeout=ANSWER_WITHIN, connector=connector)
        headers = {"Content-Type": "application/json", **_signature(letter, settings.webhook_key)}
        try:
            async with self._session.post(
                str(task.order.callback_url),
                data=letter.body(),
                headers=headers,
                allow_redirects=False,
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _signature(letter: Letter, key: str | None) -> dict[str, str]:
    if letter.signed == "not" or (key is None and letter.signed == "well"):
        return {}
    signing_key = "a wrong key" if letter.signed == "badly" or key is None else key
    timestamp = str(int(time.time() - letter.signed_ago_s))
    signature = sign(signing_key, str(letter.told["task_id"]), timestamp)
    return {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}
