"""The control API under ``/control``: inspects tasks, sets faults, changes the clock.

It needs no key and has no rate limit; it accepts only requests whose Host is this machine.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from local.poyo_simulator.fault_rules import parse_rules
from local.poyo_simulator.faults import FAULTS
from local.poyo_simulator.responses import PoyoError, bad_request, read_json
from local.poyo_simulator.settings import InvalidValueError, number, updated
from local.poyo_simulator.simulator import SIMULATOR, Simulator
from local.poyo_simulator.task_details import task_details
from local.poyo_simulator.tasks import Task

routes = web.RouteTableDef()


def _task(request: web.Request) -> Task:
    task = request.app[SIMULATOR].tasks.find(request.match_info["task_id"])
    if task is None:
        raise PoyoError(404, "not_found", "task not found")
    return task


def _open_task(request: web.Request) -> Task:
    task = _task(request)
    if not task.open:
        raise PoyoError(409, "conflict", f"the task is already {task.state}")
    return task


@routes.get("/control/health")
async def health(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return web.json_response(
        {"ok": True, "seed": simulator.seed, "tasks": len(simulator.tasks.tasks)}
    )


@routes.get("/control/tasks")
async def tasks(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    return web.json_response(
        {"tasks": [await task_details(simulator, t) for t in simulator.tasks.tasks]}
    )


@routes.get("/control/tasks/{task_id}")
async def task(request: web.Request) -> web.Response:
    found = _task(request)
    details = await task_details(request.app[SIMULATOR], found)
    return web.json_response({**details, "input": found.order.input, "sent": found.order.sent})


@routes.get("/control/tasks/{task_id}/image")
async def image(request: web.Request) -> web.Response:
    found = await request.app[SIMULATOR].images.get(_task(request))
    return web.Response(body=found.content, content_type=found.content_type)


@routes.post("/control/tasks/{task_id}/callback")
async def callback(request: web.Request) -> web.Response:
    found = _task(request)
    if found.open:
        raise PoyoError(409, "conflict", f"the task is still {found.state}")
    request.app[SIMULATOR].resend_callback(found)
    return web.json_response({"ok": True}, status=202)


@routes.post("/control/tasks/{task_id}/finish")
async def finish(request: web.Request) -> web.Response:
    found = _open_task(request)
    found.fails_with = None
    request.app[SIMULATOR].end_now(found)
    return web.json_response({"ok": True, "state": found.state})


@routes.post("/control/tasks/{task_id}/fail")
async def fail(request: web.Request) -> web.Response:
    found = _open_task(request)
    body = await read_json(request)
    message = body.get("message") if isinstance(body, dict) else None
    request.app[SIMULATOR].end_now(found, str(message or "Server exception"))
    return web.json_response({"ok": True, "state": found.state})


@routes.get("/control/log")
async def log(request: web.Request) -> web.Response:
    query = request.query
    since = query.get("since", "0")
    if not since.isdigit():
        raise bad_request("since must be a number")
    filters = {key: query[key] for key in ("kind", "task_id", "outcome") if key in query}
    return web.json_response(request.app[SIMULATOR].event_log.since(int(since), **filters))


@routes.get("/control/faults")
async def faults(request: web.Request) -> web.Response:
    rules = [rule.body() for rule in request.app[SIMULATOR].faults.rules]
    table = {
        fault.name: {"stage": fault.stage, "does": fault.does, "parameters": fault.parameters}
        for fault in FAULTS.values()
    }
    return web.json_response({"rules": rules, "available": table})


@routes.put("/control/faults")
async def put_faults(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    simulator.faults.rules = parse_rules(await read_json(request))
    return web.json_response({"rules": [rule.body() for rule in simulator.faults.rules]})


@routes.delete("/control/faults")
async def delete_faults(request: web.Request) -> web.Response:
    request.app[SIMULATOR].faults.rules = []
    return web.json_response({"rules": []})


@routes.put("/control/catalog")
async def put_catalog(request: web.Request) -> web.Response:
    catalog = request.app[SIMULATOR].catalog
    catalog.change(await read_json(request))
    return web.json_response({"models": len(catalog.items), "sold": len(catalog.sold)})


@routes.put("/control/clock")
async def clock(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    body = await read_json(request)
    given = body if isinstance(body, dict) else {}
    try:
        speed = number(given.get("speed", simulator.clock.speed))
        advance_s = number(given.get("advance_seconds", 0))
    except InvalidValueError as error:
        raise bad_request(f"speed and advance_seconds {error}") from error
    simulator.clock.change(speed=speed, advance_s=advance_s)
    return web.json_response({"now": simulator.clock.now(), "speed": simulator.clock.speed})


@routes.get("/control/settings")
async def settings(request: web.Request) -> web.Response:
    return web.json_response(request.app[SIMULATOR].settings.public_values())


@routes.put("/control/settings")
async def put_settings(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    simulator.settings = updated(simulator.settings, await read_json(request))
    return web.json_response(simulator.settings.public_values())


@routes.post("/control/reset")
async def reset(request: web.Request) -> web.Response:
    simulator: Simulator = request.app[SIMULATOR]
    await simulator.reset()
    return web.json_response({"ok": True, "seed": simulator.seed})


def _check_host(request: web.Request) -> None:
    control = request.path.startswith("/control/")
    if control and request.url.host not in ("127.0.0.1", "localhost"):
        raise PoyoError(403, "forbidden", "the control API is available on 127.0.0.1 only")


@web.middleware
async def handle_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn errors into responses, and keep web pages away from the control API.

    A page whose host name resolves to 127.0.0.1 (DNS rebinding) still sends that name as Host.
    """
    try:
        _check_host(request)
        return await handler(request)
    except PoyoError as error:
        return error.response().send(request)
    except web.HTTPException as error:
        return PoyoError(error.status, "http_error", error.reason).response().send(request)
