"""``GET /api/generate/status/{task_id}``: the status of a task."""

from aiohttp import web

from local.poyo_simulator.account import require_key
from local.poyo_simulator.responses import HttpResponse, PoyoError
from local.poyo_simulator.simulator import SIMULATOR, Simulator
from local.poyo_simulator.status_faults import STATUS_FAULTS, StatusResponse, task_not_found


async def get_status(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    task_id = request.match_info["task_id"]
    try:
        require_key(request, simulator.settings)
        response, faults = _read(simulator, task_id)
    except PoyoError as error:
        response, faults = error.response(), []
    outcome = f"answered {response.status}"
    simulator.event_log.add("status", task_id[:128], outcome, http=response.status, faults=faults)
    return response.send(request)


def _read(simulator: Simulator, task_id: str) -> tuple[HttpResponse, list[str]]:
    task = simulator.tasks.find(task_id)
    if task is None:
        raise task_not_found()
    task.status_reads += 1
    status = StatusResponse(task.body(simulator.clock.now()))
    faults = simulator.faults.select("status", task.order, task.id, task.state)
    for fault in faults:
        STATUS_FAULTS[fault.name](status, fault)
    return status.http_response(), [fault.name for fault in faults]
