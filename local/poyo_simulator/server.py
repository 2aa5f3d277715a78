"""The server: every route on one port of 127.0.0.1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from local.poyo_simulator import catalog, control, files
from local.poyo_simulator.account import balance, check_key
from local.poyo_simulator.simulator import WORLD, World
from local.poyo_simulator.status import status
from local.poyo_simulator.submit import submit

HOST = "127.0.0.1"


async def user_balance(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    check_key(request, world.settings)
    return balance(world.account, world.settings).send(request)


def application(world: World) -> web.Application:
    app = web.Application(middlewares=[control.guarded])
    app[WORLD] = world
    app.router.add_post("/api/generate/submit", submit)
    app.router.add_get("/api/generate/status/{task_id}", status)
    app.router.add_get("/api/user/balance", user_balance)
    app.router.add_get("/v1/catalog/models", catalog.models)
    app.router.add_get("/v1/catalog/models/{model}", catalog.model)
    app.router.add_get("/files/{task_id}/{name}.png", files.get, allow_head=False)
    app.router.add_head("/files/{task_id}/{name}.png", files.head)
    app.add_routes(control.routes)
    return app


@asynccontextmanager
async def serving(world: World, port: int) -> AsyncIterator[str]:
    """Listens while the block runs; gives the origin. ``OSError`` when the port is taken."""
    runner = web.AppRunner(application(world), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        world.origin = f"http://{HOST}:{runner.addresses[0][1]}"
        yield world.origin
    finally:
        await world.close()
        await runner.cleanup()


async def serve_until(stop: asyncio.Event, world: World, port: int) -> None:
    async with serving(world, port) as origin:
        print(f"simulated PoYo listening on {origin}", flush=True)
        await stop.wait()
