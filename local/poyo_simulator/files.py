"""The file host: ``GET /files/{id}/{id}.png`` for as long as a file is kept."""

from aiohttp import web

from local.poyo_simulator.fault_rules import Use
from local.poyo_simulator.file_faults import FILE_FAULTS, gone
from local.poyo_simulator.simulator import WORLD
from local.poyo_simulator.tasks import Task


async def head(_request: web.Request) -> web.Response:
    """The real CDN has been seen refusing HEAD."""
    return web.Response(status=403)


async def get(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    task_id = request.match_info["task_id"]
    task = world.book.find(task_id)
    if task is None or request.match_info["name"] != task_id or not world.file_is_kept(task):
        world.journal.add("file", task_id[:128], "answered 404", http=404, faults=[])
        return gone()
    task.file_reads += 1
    picture = await world.gallery.of(task)
    uses = world.rules.strike("file", task.order, task.id)
    _note(request, task, uses)
    for use in uses:
        answer = await FILE_FAULTS[use.fault](request, picture.png, use)
        if answer is not None:
            return answer
    return web.Response(body=picture.png, content_type="image/png")


def _note(request: web.Request, task: Task, uses: list[Use]) -> None:
    faults = [use.fault for use in uses]
    agent = request.headers.get("User-Agent", "")[:128]
    request.app[WORLD].journal.add("file", task.id, "read", agent=agent, faults=faults)
