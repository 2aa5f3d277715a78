"""``POST /api/generate/submit``: the one door through which a task comes into being."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

from aiohttp import web

from local.poyo_simulator.account import check_key
from local.poyo_simulator.clock import naive
from local.poyo_simulator.orders import Order, read_order
from local.poyo_simulator.responses import Answer, PoyoError, read_json, success
from local.poyo_simulator.simulator import WORLD, World
from local.poyo_simulator.submit_faults import SUBMIT_FAULTS, Steps
from local.poyo_simulator.tasks import Task


@dataclass
class Desk:
    """One submit being handled; keeps what the journal will say about it."""

    world: World
    task: Task | None = None
    created: bool = False
    callback_url: str | None = None
    faults: list[str] = field(default_factory=list)

    async def handle(self, body: object, idempotency_key: str | None) -> Answer:
        world = self.world
        world.account.pace(world.settings)
        order = read_order(body, idempotency_key)
        steps = Steps(partial(self._accept, order), self._ring_first)
        uses = world.rules.strike("submit", order)
        self.faults += [use.fault for use in uses]
        for use in reversed(uses):
            steps = replace(steps, accept=partial(SUBMIT_FAULTS[use.fault], use, steps))
        return await steps.accept()

    async def _accept(self, order: Order) -> Answer:
        known = self.world.book.with_key(order.idempotency_key)
        if known and self.world.settings.idempotency == "honour":
            self.task = known
            known.submits += 1
        else:
            self.task, faults = self.world.accept(order)
            self.created = True
            self.faults += faults
        created_time = naive(self.task.created)
        told = {"task_id": self.task.id, "status": "not_started", "created_time": created_time}
        return success(told)

    async def _ring_first(self) -> None:
        """Ends the task at once and returns when its callback was answered, or not in time."""
        if self.task is not None and self.task.open:
            arrived = self.world.end_now(self.task)
            await asyncio.gather(*(event.wait() for event in arrived))


async def submit(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    desk = Desk(world)
    key = request.headers.get("Idempotency-Key")
    try:
        check_key(request, world.settings)
        if key:
            world.book.key_submits[key] += 1
        body = await read_json(request)
        url = body.get("callback_url") if isinstance(body, dict) else None
        desk.callback_url = url if isinstance(url, str) else None
        answer = await desk.handle(body, key)
    except PoyoError as refusal:
        answer = refusal.answer()
    world.journal.add(
        "submit",
        desk.task.id if desk.task else None,
        "dropped" if answer.hang_up else f"answered {answer.status}",
        http=None if answer.hang_up else answer.status,
        created=desk.created,
        callback_url=desk.callback_url,
        idempotency_key=key,
        faults=desk.faults,
    )
    return answer.send(request)
