"""Peak memory of a process that copies one image: how much a file of 50 MB takes more than one of 2 MB.

Each copy runs in a process of its own, five for each size and side in turns, because a process never
gives its peak back.
"""

from __future__ import annotations

import statistics

from benchmarks.interpreter import ensure_built
from benchmarks.measured import handler_process
from benchmarks.report import Row, main, show
from benchmarks.servers import Servers, servers

SIZES_MB, ROUNDS, MAX_GROWTH_MB = (2, 50), 5, 14
SIDES = {"benchmarks.copying": "worker", "benchmarks.baselines.naive_copy": ""}


def measure() -> list[Row]:
    """The growth of our copy, against that of the naive one."""
    ensure_built()
    peaks: dict[tuple[str, int], list[float]] = {}
    with servers() as local:
        for _ in range(ROUNDS):
            for module in SIDES:
                for size in SIZES_MB:
                    peaks.setdefault((module, size), []).append(_peak_mb(module, size, local))
    small, large = SIZES_MB
    ours, naive = (
        statistics.median(peaks[module, large]) - statistics.median(peaks[module, small])
        for module in SIDES
    )
    return [
        Row(
            number=8,
            measure="memory growth from a file of 2 MB to one of 50 MB",
            value=ours,
            unit="MB",
            baseline=f"requests and put_object: {show(naive)} MB",
            ratio=ours / naive,
            goal=f"≤ {MAX_GROWTH_MB} MB",
            met=ours <= MAX_GROWTH_MB,
        )
    ]


def _peak_mb(module: str, megabytes: int, local: Servers) -> float:
    events = [{"url": local.image_url(megabytes), "task_id": "x5syhv2d4ewo3t3kliialymxrs"}]
    with handler_process(module, events, local, deployed=SIDES[module]) as call:
        return call(1).peak_mb


if __name__ == "__main__":
    main(measure, __doc__)
