"""``POST /api/generate/submit``: creates a task."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

from aiohttp import web

from local.poyo_simulator.account import require_key
from local.poyo_simulator.clock import naive_timestamp
from local.poyo_simulator.orders import Order, read_order
from local.poyo_simulator.responses import HttpResponse, PoyoError, read_json, success
from local.poyo_simulator.simulator import SIMULATOR, Simulator
from local.poyo_simulator.submit_faults import SUBMIT_FAULTS, SubmitSteps
from local.poyo_simulator.tasks import Task


@dataclass
class SubmitHandler:
    """Handles one submit and keeps what its event in the log will contain."""

    simulator: Simulator
    task: Task | None = None
    created: bool = False
    callback_url: str | None = None
    faults: list[str] = field(default_factory=list)

    async def handle(self, body: object, idempotency_key: str | None) -> HttpResponse:
        simulator = self.simulator
        simulator.account.count_submit(simulator.settings)
        order = read_order(body, idempotency_key, simulator.catalog.sold)
        steps = SubmitSteps(partial(self._accept, order), self._finish_with_callback)
        faults = simulator.faults.select("submit", order)
        self.faults += [fault.name for fault in faults]
        for fault in reversed(faults):
            steps = replace(steps, accept=partial(SUBMIT_FAULTS[fault.name], fault, steps))
        return await steps.accept()

    async def _accept(self, order: Order) -> HttpResponse:
        existing = self.simulator.tasks.with_key(order.idempotency_key)
        if existing and self.simulator.settings.idempotency == "honour":
            self.task = existing
            existing.submits += 1
        else:
            self.task, faults = self.simulator.accept(order)
            self.created = True
            self.faults += faults
        created_time = naive_timestamp(self.task.created)
        data = {"task_id": self.task.id, "status": "not_started", "created_time": created_time}
        return success(data)

    async def _finish_with_callback(self) -> None:
        """End the task at once; return after the first attempt of each of its callbacks."""
        if self.task is not None and self.task.open:
            attempted = self.simulator.end_now(self.task)
            await asyncio.gather(*(event.wait() for event in attempted))


async def submit(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    handler = SubmitHandler(simulator)
    key = request.headers.get("Idempotency-Key")
    try:
        require_key(request, simulator.settings)
        if key:
            simulator.tasks.key_submits[key] += 1
        body = await read_json(request)
        url = body.get("callback_url") if isinstance(body, dict) else None
        handler.callback_url = url if isinstance(url, str) else None
        response = await handler.handle(body, key)
    except PoyoError as error:
        response = error.response()
    simulator.event_log.add(
        "submit",
        handler.task.id if handler.task else None,
        "dropped" if response.drop_connection else f"answered {response.status}",
        http=None if response.drop_connection else response.status,
        created=handler.created,
        callback_url=handler.callback_url,
        idempotency_key=key,
        faults=handler.faults,
    )
    return response.send(request)
