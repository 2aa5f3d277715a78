"""A simulated PoYo in a thread of this process, for tests."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from local.poyo_simulator.clock import Clock
from local.poyo_simulator.server import serving
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.simulator import Simulator


@contextmanager
def in_background(
    settings: Settings | None = None, *, port: int = 0, speed: float = 1.0, seed: str | None = None
) -> Iterator[str]:
    """Run a simulated PoYo while the block runs; yields its origin."""
    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def run() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        simulator = Simulator(settings or Settings(), Clock(speed), seed)
        try:
            async with serving(simulator, port) as origin:
                started.set_result((origin, lambda: loop.call_soon_threadsafe(stop.set)))
                await stop.wait()
        except OSError as error:
            started.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    origin, stop = started.result(timeout=10)
    try:
        yield origin
    finally:
        stop()
        thread.join(timeout=10)
