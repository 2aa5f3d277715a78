"""`python -m tests.simulation --seeds 2000` runs many seeds; `--seed 7` prints the trace of one."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from multiprocessing import Pool

from tests.simulation import report
from tests.simulation.run import Result, run_seed

COVERAGE_SEEDS = 2000  # with so many seeds or more, incomplete coverage is a failure


def main() -> int:
    """Run the seeds; return 1 when an invariant is violated or coverage is incomplete."""
    arguments = _arguments()
    if arguments.seed is not None:
        result = run_seed(arguments.seed, upstream_denies=arguments.upstream_denies, tracing=True)
        report.print_trace(result)
        return int(result.violation is not None)
    began = time.monotonic()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    counts: Counter[tuple[str, str]] = Counter()
    lifecycles, violated = 0, []
    for result in _results(seeds, upstream_denies=arguments.upstream_denies, jobs=arguments.jobs):
        counts += result.counts
        lifecycles += result.lifecycles
        if result.violation:
            violated.append(result)
            report.print_violation(result)
            if len(violated) >= arguments.most:
                break
    missing = report.print_coverage(counts)
    seconds = time.monotonic() - began
    report.print_summary(len(seeds), lifecycles, seconds, len(violated))
    return int(bool(violated) or (bool(missing) and arguments.seeds >= COVERAGE_SEEDS))


def _results(seeds: range, *, upstream_denies: bool, jobs: int) -> Iterable[Result]:
    run_one = partial(run_seed, upstream_denies=upstream_denies)
    if jobs == 1:
        yield from map(run_one, seeds)
        return
    with Pool(jobs) as pool:  # terminates the remaining runs when it is left early
        yield from pool.imap(run_one, seeds, chunksize=5)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds (300)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="run only this seed and print its trace")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (1)")
    parser.add_argument("--most", type=int, default=5, help="stop after so many violations (5)")
    parser.add_argument(
        "--upstream-denies", action="store_true", help="PoYo also denies tasks that it created"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
