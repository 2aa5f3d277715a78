"""Calls of one function in many threads at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

THREADS = 50


def concurrently[T](act: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Call `act` in that many threads at the same moment; returns the results."""
    barrier = Barrier(threads)

    def run(n: int) -> T:
        barrier.wait()
        return act(n)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))
