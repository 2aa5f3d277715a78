"""The HTTP server: every route on one port of 127.0.0.1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from local.poyo_simulator import catalog, control, files
from local.poyo_simulator.account import balance_response, require_key
from local.poyo_simulator.simulator import SIMULATOR, Simulator
from local.poyo_simulator.status import get_status
from local.poyo_simulator.submit import submit

HOST = "127.0.0.1"


async def get_balance(request: web.Request) -> web.Response:
    simulator = request.app[SIMULATOR]
    require_key(request, simulator.settings)
    return balance_response(simulator.account, simulator.settings).send(request)


def build_application(simulator: Simulator) -> web.Application:
    app = web.Application(middlewares=[control.handle_errors])
    app[SIMULATOR] = simulator
    app.router.add_post("/api/generate/submit", submit)
    app.router.add_get("/api/generate/status/{task_id}", get_status)
    app.router.add_get("/api/user/balance", get_balance)
    app.router.add_get("/v1/catalog/models", catalog.list_models)
    app.router.add_get("/v1/catalog/models/{model}", catalog.get_model)
    app.router.add_get("/files/{task_id}/{name}", files.get, allow_head=False)
    app.router.add_head("/files/{task_id}/{name}", files.head)
    app.add_routes(control.routes)
    return app


@asynccontextmanager
async def serving(simulator: Simulator, port: int) -> AsyncIterator[str]:
    """Listen while the block runs; yields the origin. Raises ``OSError`` if the port is in use."""
    runner = web.AppRunner(build_application(simulator), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        simulator.origin = f"http://{HOST}:{runner.addresses[0][1]}"
        yield simulator.origin
    finally:
        await simulator.close()
        await runner.cleanup()


async def serve_until(stop: asyncio.Event, simulator: Simulator, port: int) -> None:
    async with serving(simulator, port) as origin:
        print(f"simulated PoYo listening on {origin}", flush=True)
        await stop.wait()
