"""``GET /api/generate/status/{task_id}``: how a task is doing."""

from aiohttp import web

from local.poyo_simulator.account import check_key
from local.poyo_simulator.responses import Answer, PoyoError
from local.poyo_simulator.simulator import WORLD, World
from local.poyo_simulator.status_faults import STATUS_FAULTS, Reading, not_found


async def status(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    task_id = request.match_info["task_id"]
    try:
        check_key(request, world.settings)
        answer, faults = _read(world, task_id)
    except PoyoError as refusal:
        answer, faults = refusal.answer(), []
    outcome = f"answered {answer.status}"
    world.journal.add("status", task_id[:128], outcome, http=answer.status, faults=faults)
    return answer.send(request)


def _read(world: World, task_id: str) -> tuple[Answer, list[str]]:
    task = world.book.find(task_id)
    if task is None:
        raise not_found()
    task.status_reads += 1
    reading = Reading(task.told(world.clock.now()))
    uses = world.rules.strike("status", task.order, task.id, task.state)
    for use in uses:
        STATUS_FAULTS[use.fault](reading, use)
    return reading.answer(), [use.fault for use in uses]
