"""Waits for what a deployed system does in its own time."""

import time
from collections.abc import Callable

TIMEOUT_S = 120


def until[T](read: Callable[[], T], wanted: Callable[[T], bool], timeout_s: float = TIMEOUT_S) -> T:
    """Return what `read` returns as soon as `wanted` accepts it."""
    deadline = time.monotonic() + timeout_s
    while not wanted(value := read()):
        assert time.monotonic() < deadline, value
        time.sleep(0.1)
    return value
