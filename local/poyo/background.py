"""A simulated PoYo in a thread of this process, for tests."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from local.poyo.clock import Clock
from local.poyo.server import serving
from local.poyo.settings import Settings
from local.poyo.world import World


@contextmanager
def in_background(
    settings: Settings | None = None, *, port: int = 0, speed: float = 1.0, seed: str | None = None
) -> Iterator[str]:
    """Gives the origin of a PoYo that is gone when the block ends."""
    origin: Future[str] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def live() -> None:
        world = World(settings or Settings(), Clock(speed), seed)
        try:
            async with serving(world, port) as address:
                origin.set_result(address)
                await stop.wait()
        except OSError as error:
            origin.set_exception(error)

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()), daemon=True)
    thread.start()
    try:
        yield origin.result(timeout=10)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)
        loop.close()
