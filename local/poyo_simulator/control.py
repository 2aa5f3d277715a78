"""The control API under ``/control``: look inside, order faults, push the clock. No key, no rate
limit; only for requests that name this machine as their host."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from local.poyo_simulator.fault_rules import read_rules
from local.poyo_simulator.faults import FAULTS
from local.poyo_simulator.responses import PoyoError, bad_request, read_json
from local.poyo_simulator.settings import UnfitError, changed, number
from local.poyo_simulator.simulator import WORLD, World
from local.poyo_simulator.task_details import task_view
from local.poyo_simulator.tasks import Task

routes = web.RouteTableDef()


def _task(request: web.Request) -> Task:
    task = request.app[WORLD].book.find(request.match_info["task_id"])
    if task is None:
        raise PoyoError(404, "not_found", "no such task here")
    return task


def _open_task(request: web.Request) -> Task:
    task = _task(request)
    if not task.open:
        raise PoyoError(409, "conflict", f"the task is already {task.state}")
    return task


@routes.get("/control/health")
async def health(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    return web.json_response({"ok": True, "seed": world.seed, "tasks": len(world.book.tasks)})


@routes.get("/control/tasks")
async def tasks(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    return web.json_response({"tasks": [await task_view(world, t) for t in world.book.tasks]})


@routes.get("/control/tasks/{task_id}")
async def task(request: web.Request) -> web.Response:
    found = _task(request)
    view = await task_view(request.app[WORLD], found)
    return web.json_response({**view, "input": found.order.input})


@routes.get("/control/tasks/{task_id}/image")
async def image(request: web.Request) -> web.Response:
    picture = await request.app[WORLD].gallery.of(_task(request))
    return web.Response(body=picture.png, content_type="image/png")


@routes.post("/control/tasks/{task_id}/callback")
async def callback(request: web.Request) -> web.Response:
    found = _task(request)
    if found.open:
        raise PoyoError(409, "conflict", f"the task is still {found.state}")
    request.app[WORLD].ring_again(found)
    return web.json_response({"ok": True}, status=202)


@routes.post("/control/tasks/{task_id}/finish")
async def finish(request: web.Request) -> web.Response:
    found = _open_task(request)
    found.fails_with = None
    request.app[WORLD].end_now(found)
    return web.json_response({"ok": True, "state": found.state})


@routes.post("/control/tasks/{task_id}/fail")
async def fail(request: web.Request) -> web.Response:
    found = _open_task(request)
    body = await read_json(request)
    message = body.get("message") if isinstance(body, dict) else None
    request.app[WORLD].end_now(found, str(message or "Server exception"))
    return web.json_response({"ok": True, "state": found.state})


@routes.get("/control/log")
async def log(request: web.Request) -> web.Response:
    query = request.query
    since = query.get("since", "0")
    if not since.isdigit():
        raise bad_request("since must be a number")
    wanted = {key: query[key] for key in ("kind", "task_id", "outcome") if key in query}
    return web.json_response(request.app[WORLD].journal.since(int(since), **wanted))


@routes.get("/control/faults")
async def faults(request: web.Request) -> web.Response:
    rules = [rule.view() for rule in request.app[WORLD].rules.rules]
    table = {
        fault.name: {"stage": fault.stage, "does": fault.does, "parameters": fault.parameters}
        for fault in FAULTS.values()
    }
    return web.json_response({"rules": rules, "available": table})


@routes.put("/control/faults")
async def put_faults(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    world.rules.rules = read_rules(await read_json(request))
    return web.json_response({"rules": [rule.view() for rule in world.rules.rules]})


@routes.delete("/control/faults")
async def delete_faults(request: web.Request) -> web.Response:
    request.app[WORLD].rules.rules = []
    return web.json_response({"rules": []})


@routes.put("/control/clock")
async def clock(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    body = await read_json(request)
    given = body if isinstance(body, dict) else {}
    try:
        speed = number(given.get("speed", world.clock.speed))
        advance_s = number(given.get("advance_seconds", 0))
    except UnfitError as error:
        raise bad_request(f"speed and advance_seconds {error}") from error
    world.clock.change(speed=speed, advance_s=advance_s)
    return web.json_response({"now": world.clock.now(), "speed": world.clock.speed})


@routes.get("/control/settings")
async def settings(request: web.Request) -> web.Response:
    return web.json_response(request.app[WORLD].settings.view())


@routes.put("/control/settings")
async def put_settings(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    world.settings = changed(world.settings, await read_json(request))
    return web.json_response(world.settings.view())


@routes.post("/control/reset")
async def reset(request: web.Request) -> web.Response:
    world: World = request.app[WORLD]
    await world.reset()
    return web.json_response({"ok": True, "seed": world.seed})


def _check_host(request: web.Request) -> None:
    control = request.path.startswith("/control/")
    if control and request.url.host not in ("127.0.0.1", "localhost"):
        raise PoyoError(403, "forbidden", "the control API answers to 127.0.0.1 only")


@web.middleware
async def guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refusals become answers; a web page that got a name pointed at us stays outside."""
    try:
        _check_host(request)
        return await handler(request)
    except PoyoError as refusal:
        return refusal.answer().send(request)
    except web.HTTPException as error:
        return PoyoError(error.status, "http_error", error.reason).answer().send(request)
