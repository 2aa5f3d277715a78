"""`python -m tests.simulation --seeds 2000`, or `--seed 7` for one and its story."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from multiprocessing import Pool

from tests.simulation import report
from tests.simulation.run import Result, play

ENOUGH = 2000  # from so many seeds on, what was not reached is a failure


def main() -> int:
    """Play the seeds asked for; 1 when a promise was broken or something was never reached."""
    asked = _arguments()
    if asked.seed is not None:
        result = play(asked.seed, lies=asked.lies, telling=True)
        report.story(result)
        return int(result.broken is not None)
    began = time.monotonic()
    seeds = range(asked.first, asked.first + asked.seeds)
    counts: Counter[tuple[str, str]] = Counter()
    lifecycles, broken = 0, []
    for result in _played(seeds, lies=asked.lies, jobs=asked.jobs):
        counts += result.counts
        lifecycles += result.lifecycles
        if result.broken:
            broken.append(result)
            report.broken(result)
            if len(broken) >= asked.most:
                break
    missing = report.coverage(counts)
    seconds = time.monotonic() - began
    report.summary(len(seeds), lifecycles, seconds, len(broken))
    return int(bool(broken) or (bool(missing) and asked.seeds >= ENOUGH))


def _played(seeds: range, *, lies: bool, jobs: int) -> Iterable[Result]:
    one = partial(play, lies=lies)
    if jobs == 1:
        yield from map(one, seeds)
        return
    with Pool(jobs) as pool:  # left early it does not wait for what is still being played
        yield from pool.imap(one, seeds, chunksize=5)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many (300)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (0)")
    parser.add_argument("--seed", type=int, help="play only this one and print its story")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (1)")
    parser.add_argument("--most", type=int, default=5, help="stop after so many failures (5)")
    parser.add_argument("--lies", action="store_true", help="PoYo also denies what it has made")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
