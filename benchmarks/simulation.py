"""Measures how many lifecycles the fault simulation runs in a second of CPU time, in one process.

`PYTHONPATH=functions python -m benchmarks.simulation`. A lifecycle is one accepted task, from the order until no
work is left for it, with all of its polls, callbacks, notifications, sweeps and faults. The seeds are the first
ones of `make simulate`; the time is the CPU time of this process without its imports.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from benchmarks.report import Row, main
from tests.simulation.run import run_seed

SEEDS = 200
GOAL = 400


def measure() -> list[Row]:
    """The rate of lifecycles, and how much work one of them is."""
    run_seed(0)  # fills the caches of the imported modules
    counts: Counter[tuple[str, str]] = Counter()
    lifecycles = 0
    started = time.process_time()
    for seed in range(SEEDS):
        result = run_seed(seed)
        if result.violation:
            sys.exit(f"seed {seed}: {result.violation}")
        lifecycles += result.lifecycles
        counts += result.counts
    spent = time.process_time() - started
    effects = sum(count for (what, _), count in counts.items() if what == "effect")
    rate = lifecycles / spent
    return [
        Row(
            number=15,
            measure="simulated lifecycles per second of one core",
            value=rate,
            unit="1/s",
            goal=f">= {GOAL}",
            met=rate >= GOAL,
        ),
        Row(
            number=15,
            measure="calls to simulated services in one lifecycle",
            value=effects / lifecycles,
            unit="calls",
        ),
        Row(number=15, measure="CPU time of one such call", value=spent / effects * 1e6, unit="us"),
    ]


if __name__ == "__main__":
    main(measure, __doc__)
