"""The file host: ``GET /files/{id}/{id}.png`` until a file expires."""

from aiohttp import web

from local.poyo_simulator.fault_rules import InjectedFault
from local.poyo_simulator.file_faults import FILE_FAULTS, file_not_found
from local.poyo_simulator.simulator import SIMULATOR
from local.poyo_simulator.tasks import Task


async def head(_request: web.Request) -> web.Response:
    """Respond 403, as PoYo's CDN has been observed to do for HEAD."""
    return web.Response(status=403)


async def get(request: web.Request) -> web.StreamResponse:
    simulator = request.app[SIMULATOR]
    task_id = request.match_info["task_id"]
    task = simulator.tasks.find(task_id)
    name = request.match_info["name"]
    known = task is not None and name in task.file_names
    if task is None or not known or not simulator.file_is_available(task):
        simulator.event_log.add("file", task_id[:128], "answered 404", http=404, faults=[])
        return file_not_found()
    task.file_reads += 1
    image = await simulator.images.get(task, task.file_names.index(name))
    faults = simulator.faults.select("file", task.order, task.id)
    _log_read(request, task, faults)
    for fault in faults:
        response = await FILE_FAULTS[fault.name](request, image, fault)
        if response is not None:
            return response
    return web.Response(body=image.content, content_type=image.content_type)


def _log_read(request: web.Request, task: Task, faults: list[InjectedFault]) -> None:
    names = [fault.name for fault in faults]
    agent = request.headers.get("User-Agent", "")[:128]
    request.app[SIMULATOR].event_log.add("file", task.id, "read", agent=agent, faults=names)
